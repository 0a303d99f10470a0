#include "agent/cni/sandbox.hpp"

#include <algorithm>
#include <array>

#include "agent/base/text.hpp"
#include "agent/cni/json.hpp"

namespace omnitide::cni {

namespace {

constexpr std::array<std::string_view, 3> kStates{"judged", "waiting", "open"};
constexpr std::size_t kMostAddresses = 8;

}  // namespace

std::string to_json(const Sandbox& sandbox) {
  std::string addresses;
  for (const std::string& each : sandbox.addresses)
    addresses += (addresses.empty() ? "" : ",") + json_quote(each);
  return "{\"container\":" + json_quote(sandbox.container) + ",\"namespace\":" + json_quote(sandbox.name_space) +
         ",\"name\":" + json_quote(sandbox.name) + ",\"uid\":" + json_quote(sandbox.uid) +
         ",\"device\":" + json_quote(sandbox.device) + ",\"ifindex\":" + std::to_string(sandbox.ifindex) +
         ",\"addresses\":[" + addresses + "]}";
}

Result<Sandbox> parse_sandbox(std::string_view text) {
  const Result<Json> whole = Json::parse(text);
  if (whole.has_error()) return Error(whole.error()).within("the body");
  Sandbox out{.container = whole->text_member("container"),
              .name_space = whole->text_member("namespace"),
              .name = whole->text_member("name"),
              .uid = whole->text_member("uid"),
              .device = whole->text_member("device"),
              .ifindex = 0,
              .addresses = {}};
  if (out.name_space.empty() || out.name.empty()) return fail(Code::invalid_argument, "the body names no pod");
  if (const auto ifindex = whole->find("ifindex")) out.ifindex = ifindex->number().value_or(0);
  const auto addresses = whole->find("addresses");
  for (const Json& each : addresses ? addresses->items() : std::vector<Json>()) {
    if (out.addresses.size() == kMostAddresses) break;
    out.addresses.push_back(each.string().value_or(""));
  }
  return out;
}

std::string to_json(const Answer& answer) {
  return "{\"state\":" + json_quote(kStates[static_cast<std::size_t>(answer.state)]) +
         ",\"reason\":" + json_quote(answer.reason) + "}\n";
}

Result<Answer> parse_answer(std::string_view text) {
  const Result<Json> whole = Json::parse(text);
  if (whole.has_error()) return Error(whole.error()).within("the agent's answer");
  const auto state = std::ranges::find(kStates, whole->text_member("state"));
  if (state == kStates.end()) return fail(Code::invalid_argument, "the agent's answer says no state");
  return Answer{.state = static_cast<Answer::State>(state - kStates.begin()), .reason = whole->text_member("reason")};
}

}  // namespace omnitide::cni
