#include "agent/daemon/log_teller.hpp"

#include <chrono>
#include <utility>

#include "agent/base/text.hpp"

namespace omnitide::daemon {

namespace {

constexpr std::chrono::milliseconds kSameEvent = std::chrono::minutes(5);  // one of a kind in this time
constexpr std::uint32_t kEventsAMinute = 30;
constexpr std::size_t kToldLine = 512;

}  // namespace

LogTeller::LogTeller(Told told) : told_(std::move(told)), limiter_(kSameEvent, kEventsAMinute) {}

void LogTeller::tell(const health::LogHit& hit, std::pair<std::string, std::string> place, bool old) {
  const std::string line = printable(hit.line, kToldLine);
  if (hit.rule->permanent)
    return told_.finding({hit.rule->condition,
                          hit.rules->source,
                          health::Verdict::bad,
                          hit.rule->reason,
                          line,
                          {{"line", line}, std::move(place)}});
  if (old) return;
  const auto held = limiter_.pass(hit.rules->source + ' ' + hit.rule->reason, std::chrono::steady_clock::now());
  if (held) told_.event({hit.rules->source, hit.rule->reason, line, *held});
}

std::vector<health::Finding> LogTeller::defaults(const std::vector<health::LogRules>& rules) {
  std::vector<health::Finding> out;
  for (const health::LogRules& each : rules) {
    for (health::Finding finding : each.defaults) {
      finding.check = each.source;
      out.push_back(std::move(finding));
    }
  }
  return out;
}

}  // namespace omnitide::daemon
