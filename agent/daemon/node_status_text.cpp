#include "agent/daemon/node_status_text.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <utility>

#include "agent/base/text.hpp"
#include "omnitide/node/v1/health.pb.h"

namespace omnitide::daemon {

namespace k8s = kubernetes;
using model::ConditionStatus;

namespace {

std::string_view condition_word(ConditionStatus status) {
  return status == ConditionStatus::true_ ? "True" : status == ConditionStatus::false_ ? "False" : "Unknown";
}

// "restart-unit" -> "RestartUnit"
std::string action_word(std::string_view words) {
  std::string out;
  for (const std::string_view each : split(words, '-')) {
    if (each.empty()) continue;
    out += static_cast<char>(each[0] >= 'a' && each[0] <= 'z' ? each[0] - 'a' + 'A' : each[0]);
    out += each.substr(1);
  }
  return out;
}

std::string capital_status(std::string_view word) {
  return word == "true" ? "True" : word == "false" ? "False" : "Unknown";
}

WallTime event_time(const node::v1::HealthEvent& event) {
  const std::chrono::nanoseconds since =
      std::chrono::seconds(event.time().seconds()) + std::chrono::nanoseconds(event.time().nanos());
  return WallTime{std::chrono::floor<std::chrono::milliseconds>(since)};
}

// As node-problem-detector words them (pkg/util/helpers.go, GenerateConditionChangeEvent); a fault is a Warning here.
void tell_condition(const node::v1::HealthEvent& event, k8s::EventNote& out) {
  out.source = "health";
  out.warning = event.outcome() == "true";
  out.reason = event.reason().empty() ? event.subject() : event.reason();
  out.action = "ConditionChanged";
  out.subject = event.subject();
  out.note = fmt::format("Node condition {} is now: {}, reason: {}, message: \"{}\"", event.subject(),
                         capital_status(event.outcome()), event.reason(), printable(event.message()));
}

void tell_log_line(const node::v1::HealthEvent& event, k8s::EventNote& out) {
  out.source = event.subject();
  out.warning = true;
  out.reason = event.reason();
  out.action = "Observed";
  out.note = printable(event.message());
  for (const node::v1::HealthEvidence& each : event.evidence())
    if (each.name() == "before") out.times += parse_number<std::uint64_t>(each.value()).value_or(0);
}

void tell_remedy(const node::v1::HealthEvent& event, k8s::EventNote& out) {
  constexpr std::array<std::pair<std::string_view, std::string_view>, 8> kReasons{{{"act", "RemedyStarted"},
                                                                                   {"done", "RemedyDone"},
                                                                                   {"would-act", "RemedyWouldStart"},
                                                                                   {"helped", "RemedyHelped"},
                                                                                   {"failed", "RemedyFailed"},
                                                                                   {"held", "RemedyHeld"},
                                                                                   {"exhausted", "RemedyExhausted"},
                                                                                   {"refused", "RemedyRefused"}}};
  const auto* const reason =
      std::ranges::find(kReasons, event.outcome(), &std::pair<std::string_view, std::string_view>::first);
  out.source = "remediation";
  out.reason = reason == kReasons.end() ? "Remedy" : std::string(reason->second);
  out.warning = event.outcome() == "failed" || event.outcome() == "held" || event.outcome() == "exhausted" ||
                event.outcome() == "refused";
  const std::string_view what = event.subject();
  out.action = action_word(what.substr(0, what.find(' ')));
  out.subject = event.subject();
  out.note = fmt::format("{}: {}", printable(what), printable(event.message()));
}

void tell_operator(const node::v1::HealthEvent& event, k8s::EventNote& out) {
  out.source = "remediation";
  out.reason = event.outcome() == "paused" ? "RemediationPaused" : "RemediationResumed";
  out.action = "Remediation";
  out.note = event.message().empty() ? "Remediation was " + event.outcome()
                                     : fmt::format("Remediation was {} {}", event.outcome(), event.message());
}

}  // namespace

std::vector<k8s::NodeCondition> node_conditions(std::span<const model::Condition> conditions,
                                                std::span<const std::string> before) {
  std::vector<k8s::NodeCondition> out;
  for (const model::Condition& each : conditions) {
    std::string type = k8s::written_by_kubelet(each.type) ? std::string(k8s::kOwnTypes) + each.type : each.type;
    const bool known = each.status != ConditionStatus::unknown;
    if (!known && std::ranges::find(before, type) == before.end()) continue;
    if (std::ranges::find(out, type, &k8s::NodeCondition::type) != out.end()) continue;
    out.push_back({.type = std::move(type),
                   .status = std::string(condition_word(each.status)),
                   .reason = each.reason,
                   .message = each.message,
                   .since = each.since});
  }
  return out;
}

std::optional<k8s::EventNote> node_event(std::string_view node, const node::v1::HealthEvent& event) {
  k8s::EventNote out;
  // kubelet's events name the Node as its own UID, and `kubectl describe node` looks for that.
  out.about = {.api = "v1", .kind = "Node", .space = {}, .name = std::string(node), .uid = std::string(node)};
  out.time = event_time(event);
  if (event.kind() == "condition")
    tell_condition(event, out);
  else if (event.kind() == "event")
    tell_log_line(event, out);
  else if (event.kind() == "remedy")
    tell_remedy(event, out);
  else if (event.kind() == "operator" && event.outcome() != "run")
    tell_operator(event, out);
  else
    return std::nullopt;
  return out;
}

}  // namespace omnitide::daemon
