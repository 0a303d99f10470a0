#include "agent/kubernetes/node_conditions.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <boost/json.hpp>

#include "agent/base/text.hpp"
#include "agent/kubernetes/json.hpp"
#include "agent/kubernetes/words.hpp"

namespace omnitide::kubernetes {

namespace {

// k8s.io/api/core/v1 types.go, NodeConditionType.
constexpr std::array<std::string_view, 5> kKubeletTypes{"Ready", "MemoryPressure", "DiskPressure", "PIDPressure",
                                                        "NetworkUnavailable"};

constexpr std::size_t kConditionReason = 128, kConditionMessage = 1024;

}  // namespace

bool written_by_kubelet(std::string_view type) { return std::ranges::find(kKubeletTypes, type) != kKubeletTypes.end(); }

std::string conditions_body(std::string_view node, std::span<const NodeCondition> conditions, WallTime heartbeat) {
  const std::string beat = api_time(heartbeat);
  std::string list;
  for (const NodeCondition& each : conditions) {
    if (!list.empty()) list += ',';
    list += fmt::format(
        R"({{"type":{},"status":"{}","lastHeartbeatTime":"{}","lastTransitionTime":"{}","reason":{},"message":{}}})",
        json_quote(each.type), each.status, beat, api_time(each.since),
        json_quote(shortened(each.reason, kConditionReason)), json_quote(shortened(each.message, kConditionMessage)));
  }
  const std::string status = list.empty() ? "{}" : R"({"conditions":[)" + list + "]}";
  return fmt::format(R"({{"apiVersion":"v1","kind":"Node","metadata":{{"name":{}}},"status":{}}})", json_quote(node),
                     status);
}

std::vector<std::string> types_in_conflict(std::span<const Conflict> conflicts) {
  constexpr std::string_view kBegin = ".status.conditions[type=\"";
  std::vector<std::string> out;
  for (const Conflict& each : conflicts) {
    const std::size_t end = each.field.find('"', kBegin.size());
    if (!each.field.starts_with(kBegin) || end == std::string::npos) continue;
    std::string type = each.field.substr(kBegin.size(), end - kBegin.size());
    if (std::ranges::find(out, type) == out.end()) out.push_back(std::move(type));
  }
  return out;
}

std::vector<std::string> types_not_admitted(std::string_view message) {
  constexpr std::string_view kBegin = "the agent may not write the condition ";
  std::vector<std::string> out;
  const std::size_t at = message.find(kBegin);
  if (at == std::string_view::npos) return out;
  for (const std::string_view each : split(message.substr(at + kBegin.size()), ','))
    if (const std::string_view type = trim(each); !type.empty()) out.emplace_back(type);
  return out;
}

Result<std::vector<std::string>> abandoned_types(std::string_view node, std::span<const std::string> types,
                                                 WallTime since) {
  boost::system::error_code problem;
  const boost::json::value parsed = boost::json::parse(boost::json::string_view(node.data(), node.size()), problem);
  const boost::json::object* status =
      !problem && parsed.is_object() ? object_member(parsed.get_object(), "status") : nullptr;
  const boost::json::value* list = status != nullptr ? status->if_contains("conditions") : nullptr;
  if (list == nullptr || !list->is_array()) return fail(Code::data_loss, "the Node has no conditions");
  std::vector<std::string> out;
  for (const boost::json::value& each : list->get_array()) {
    if (!each.is_object()) continue;
    std::string type = text_member(each.get_object(), "type");
    if (std::ranges::find(types, type) == types.end()) continue;
    const auto beat = parse_rfc3339(text_member(each.get_object(), "lastHeartbeatTime"));
    if (beat && *beat < since) out.push_back(std::move(type));
  }
  return out;
}

}  // namespace omnitide::kubernetes
