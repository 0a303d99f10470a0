// The agent itself: its loop, its memory, the certificates that it lives by.
#include <fmt/format.h>

#include <algorithm>

#include "agent/base/text.hpp"
#include "health/checks/checks.hpp"
#include "health/checks/probes.hpp"

namespace omnitide::health {

namespace {

using namespace std::chrono_literals;

// Of a certificate that is made for a day, less than three days are left from its first second on; of one that is made
// for half an hour, whose begin lies in the past, less than a quarter may be left when its renewal comes. A renewal has
// a quarter of the time that is left to succeed in.
double least_left(const Readings& readings, const std::string& certificate, double least) {
  const auto lifetime = readings.value(kCertificateLifetime, "certificate", certificate);
  const auto renewal = readings.value(kCertificateRenewal, "certificate", certificate);
  if (lifetime) least = std::min(least, *lifetime / 4);
  if (renewal) least = std::min(least, *renewal * 3 / 4);
  return least;
}

Finding look_at_certificates(const Readings& readings, std::chrono::duration<double> least) {
  std::string name;
  double shortest = 0;
  readings.each(kCertificateSeconds, [&](const model::SampleView& sample) {
    if (!name.empty() && sample.value >= shortest) return;
    shortest = sample.value;
    name = label(sample, "certificate");
  });
  if (name.empty()) return unknown("no certificate is watched");
  const std::string left =
      format_duration(std::chrono::minutes(static_cast<std::int64_t>(std::max(shortest, 0.0) / 60)));
  if (shortest <= 0)
    return bad("CertificateExpired", fmt::format("the certificate {} has expired", name), {{"certificate", name}});
  if (shortest < least_left(readings, name, least.count()))
    return bad("CertificateExpires", fmt::format("the certificate {} expires in {}", name, left),
               {{"certificate", name}, {"left", left}});
  return good("CertificatesValid", fmt::format("the first to expire, {}, has {} left", name, left));
}

Finding look_at_registry(const Readings& readings, std::chrono::duration<double> most) {
  const auto silent = readings.value(kRegistrySilence);
  if (!silent) return unknown("the node does not register");
  const std::string text = format_duration(std::chrono::seconds(static_cast<std::int64_t>(std::max(*silent, 0.0))));
  if (*silent > most.count())
    return bad("RegistrySilent", fmt::format("the registry was not heard for {}", text), {{"silent", text}});
  return good("RegistryHeard", fmt::format("the registry was heard {} ago", text));
}

Finding look_at_agent(const Readings& readings, const Thresholds& thresholds) {
  const auto lag = readings.value(kLoopLag);
  const auto bytes = readings.value(kAgentBytes);
  if (!lag || !bytes) return unknown("the agent was not measured");
  const Evidence seen{{"lag", fmt::format("{:.3f} s", *lag)},
                      {"resident", human_bytes(static_cast<unsigned long long>(*bytes))}};
  if (*lag > std::chrono::duration<double>(thresholds.loop_lag).count())
    return bad("LoopLags", fmt::format("the agent's loop was late by {:.1f} s", *lag), seen);
  if (*bytes > thresholds.agent_bytes)
    return bad("AgentMemoryHigh", fmt::format("the agent holds {}", seen[1].second), seen);
  return good("AgentRunsWell",
              fmt::format("its loop was late by {} at most, it holds {}", seen[0].second, seen[1].second));
}

}  // namespace

std::vector<Check> agent_checks(const Thresholds& thresholds) {
  return {
      Check{"certificates",
            "CertificateExpiring",
            "How long certificates are still valid",
            60s,
            {1, 1},
            {},
            [least = thresholds.certificate_lasts](const Readings& readings) {
              return look_at_certificates(readings, least);
            }},
      Check{"registry",
            "RegistryUnreachable",
            "How long the registry has not been heard",
            15s,
            {1, 1},
            {},
            [most = thresholds.registry_silent](const Readings& readings) { return look_at_registry(readings, most); }},
      Check{"agent",
            "AgentOverloaded",
            "The agent's own loop and memory",
            15s,
            {2, 4},
            {},
            [thresholds](const Readings& readings) { return look_at_agent(readings, thresholds); }}};
}

}  // namespace omnitide::health
