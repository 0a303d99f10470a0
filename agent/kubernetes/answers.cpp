#include "agent/kubernetes/answers.hpp"

#include "agent/kubernetes/json.hpp"

namespace omnitide::kubernetes {

namespace {

constexpr std::string_view kNodeClaim = "authentication.kubernetes.io/node-name";

Result<boost::json::object> object_of(std::string_view text, std::string_view what) {
  boost::system::error_code problem;
  boost::json::value parsed = boost::json::parse(boost::json::string_view(text.data(), text.size()), problem);
  if (problem || !parsed.is_object())
    return fail(Code::data_loss, "the API server's answer is no " + std::string(what));
  return std::move(parsed.get_object());
}

const boost::json::array* array_member(const boost::json::object& object, std::string_view key) {
  const boost::json::value* value = object.if_contains(key);
  return value != nullptr ? value->if_array() : nullptr;
}

// Each value of the user's extra fields is a list.
std::string first_of(const boost::json::object& object, std::string_view key) {
  const boost::json::array* values = array_member(object, key);
  if (values == nullptr || values->empty() || !values->front().is_string()) return {};
  return std::string(values->front().get_string());
}

}  // namespace

std::string self_review_body() { return R"({"apiVersion":"authentication.k8s.io/v1","kind":"SelfSubjectReview"})"; }

Result<Self> self_of(std::string_view answer) {
  const Result<boost::json::object> object = object_of(answer, "SelfSubjectReview");
  if (object.has_error()) return object.error();
  const boost::json::object* status = object_member(*object, "status");
  const boost::json::object* user = status != nullptr ? object_member(*status, "userInfo") : nullptr;
  if (user == nullptr) return fail(Code::data_loss, "the API server's SelfSubjectReview names no user");
  Self out{.user = text_member(*user, "username"), .node = {}};
  if (const boost::json::object* extra = object_member(*user, "extra")) out.node = first_of(*extra, kNodeClaim);
  return out;
}

Result<NodeAnswer> node_of(std::string_view answer) {
  const Result<boost::json::object> object = object_of(answer, "Node");
  if (object.has_error()) return object.error();
  NodeAnswer out;
  if (const boost::json::object* metadata = object_member(*object, "metadata")) out.uid = text_member(*metadata, "uid");
  if (out.uid.empty()) return fail(Code::data_loss, "the API server's Node has no UID");
  const boost::json::object* status = object_member(*object, "status");
  const boost::json::array* addresses = status != nullptr ? array_member(*status, "addresses") : nullptr;
  if (addresses == nullptr) return out;
  for (const boost::json::value& each : *addresses)
    if (const boost::json::object* address = each.if_object())
      out.addresses.push_back(text_member(*address, "address"));
  return out;
}

Result<std::size_t> item_count(std::string_view answer) {
  const Result<boost::json::object> object = object_of(answer, "list");
  if (object.has_error()) return object.error();
  const boost::json::array* items = array_member(*object, "items");
  return items != nullptr ? items->size() : 0;
}

}  // namespace omnitide::kubernetes
