// The checks of the configuration as probes.
#include <fmt/format.h>

#include "agent/base/text.hpp"
#include "agent/daemon/health_probe.hpp"

namespace omnitide::daemon {

namespace asio = boost::asio;
using config::CheckKind;
using config::HealthCheckConfig;
using health::Finding;
using health::Verdict;

namespace {

constexpr std::size_t kOthers = 0, kCommands = 1;  // groups

Look look_of(const HealthCheckConfig& check) {
  switch (check.kind) {
    case CheckKind::command: return command_look({.arguments = check.command});
    case CheckKind::http: return http_look(check);
    case CheckKind::tcp: return tcp_look(check);
    case CheckKind::grpc: return grpc_look(check);
    case CheckKind::file: break;
  }
  return file_look(check);
}

std::string what_of(const HealthCheckConfig& check) {
  const std::string target = check.kind == CheckKind::command ? join(check.command, " ") : check.target;
  return fmt::format("{} {}, each {}", name(check.kind), printable(target, 200), format_duration(check.interval));
}

// What the operator wants to be said of a fault; what was seen stays in its evidence.
asio::awaitable<Finding> worded(Look look, std::string reason, std::string message, std::shared_ptr<ProbeRun> run) {
  Finding found = co_await look(std::move(run));
  if (found.verdict != Verdict::bad) co_return found;
  if (!reason.empty()) found.reason = reason;
  if (!message.empty()) {
    found.evidence.emplace_back("seen", std::move(found.message));
    found.message = message;
  }
  co_return found;
}

}  // namespace

std::vector<Probe> configured_probes(const config::HealthConfig& config) {
  std::vector<Probe> out;
  for (const HealthCheckConfig& check : config.checks) {
    Probe probe;
    probe.name = check.name;
    probe.condition = check.condition;
    probe.what = what_of(check);
    probe.interval = check.interval;
    probe.timeout = check.timeout;
    probe.hysteresis = {check.failures, check.successes, check.failures};
    probe.group = check.kind == CheckKind::command ? kCommands : kOthers;
    probe.look = [look = look_of(check), reason = check.reason, message = check.message](
                     std::shared_ptr<ProbeRun> run) { return worded(look, reason, message, std::move(run)); };
    out.push_back(std::move(probe));
  }
  return out;
}

}  // namespace omnitide::daemon
