#include "agent/kubernetes/acceptance.hpp"

#include <fmt/format.h>

#include <boost/json.hpp>

#include "agent/base/text.hpp"
#include "agent/kubernetes/json.hpp"
#include "agent/kubernetes/words.hpp"

namespace omnitide::kubernetes {

namespace {

constexpr std::size_t kAcceptanceMessage = 1024;

std::int64_t acceptance_number(const boost::json::object& object, std::string_view key) {
  const boost::json::value* value = object.if_contains(key);
  return value != nullptr && value->is_int64() ? value->get_int64() : 0;
}

}  // namespace

Result<Acceptance> acceptance_of(std::string_view object) {
  boost::system::error_code problem;
  const boost::json::value parsed = boost::json::parse(boost::json::string_view(object.data(), object.size()), problem);
  const boost::json::object* whole = problem ? nullptr : parsed.if_object();
  const boost::json::object* meta = whole != nullptr ? object_member(*whole, "metadata") : nullptr;
  if (meta == nullptr) return fail(Code::data_loss, "a policy object is not readable");
  Acceptance out;
  out.uid = text_member(*meta, "uid");
  out.generation = acceptance_number(*meta, "generation");
  const boost::json::object* status = object_member(*whole, "status");
  const boost::json::value* conditions = status != nullptr ? status->if_contains("conditions") : nullptr;
  if (conditions == nullptr || !conditions->is_array()) return out;
  for (const boost::json::value& each : conditions->get_array()) {
    if (!each.is_object() || text_member(each.get_object(), "type") != kAcceptedType) continue;
    out.accepted = text_member(each.get_object(), "status") == "True";
    out.observed = acceptance_number(each.get_object(), "observedGeneration");
  }
  return out;
}

std::string acceptance_body(std::string_view api, std::string_view kind, std::string_view name, std::int64_t generation,
                            const Verdict& verdict, WallTime now) {
  return fmt::format(
      R"({{"apiVersion":"{}","kind":"{}","metadata":{{"name":{}}},"status":{{"conditions":[{{"type":"{}","status":"{}",)"
      R"("observedGeneration":{},"lastTransitionTime":"{}","reason":"{}","message":{}}}]}}}})",
      api, kind, json_quote(name), kAcceptedType, verdict.accepted ? "True" : "False", generation, api_time(now),
      verdict.reason, json_quote(shortened(verdict.message, kAcceptanceMessage)));
}

}  // namespace omnitide::kubernetes
