#include "agent/daemon/part_conditions.hpp"

#include <algorithm>
#include <array>
#include <string_view>

#include "agent/base/characters.hpp"

namespace omnitide::daemon {

namespace {

using model::Condition;
using model::ConditionStatus;
using model::PartState;

// "ebpf-metrics" is "EbpfMetrics".
std::string camel_case(std::string_view words) {
  std::string out;
  bool first = true;
  for (const char c : words) {
    const bool letter = is_alphanumeric(c);
    if (letter) out += first && c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c;
    first = !letter;
  }
  return out;
}

Condition of_part(const model::PartStatus& part) {
  constexpr std::array<std::string_view, 5> kReasons{"Off", "Starting", "Running", "Degraded", "Failed"};
  Condition out;
  out.type = camel_case(part.name) + "Ready";
  out.status = part.state == PartState::on         ? ConditionStatus::true_
               : part.state == PartState::starting ? ConditionStatus::unknown
                                                   : ConditionStatus::false_;
  out.reason = kReasons.at(static_cast<std::size_t>(part.state));
  out.message = part.reason;
  return out;
}

}  // namespace

std::vector<Condition> part_conditions(const std::vector<model::PartStatus>& parts,
                                       const std::string& not_ready_because, const std::vector<Condition>& before,
                                       WallTime now) {
  std::vector<Condition> out;
  const bool ready = not_ready_because.empty();
  out.push_back({.type = "Ready",
                 .status = ready ? ConditionStatus::true_ : ConditionStatus::false_,
                 .reason = ready ? "AgentReady" : "AgentNotReady",
                 .message = not_ready_because,
                 .since = now});
  for (const model::PartStatus& part : parts)
    if (part.state != PartState::off && part.name != "telemetry") out.push_back(of_part(part));
  for (Condition& condition : out) {
    const auto old = std::ranges::find(before, condition.type, &Condition::type);
    condition.since = old != before.end() && old->status == condition.status ? old->since : now;
  }
  return out;
}

bool same_conditions(const std::vector<Condition>& a, const std::vector<Condition>& b) {
  return std::ranges::equal(a, b, [](const Condition& one, const Condition& other) {
    return one.type == other.type && one.status == other.status && one.reason == other.reason;
  });
}

}  // namespace omnitide::daemon
