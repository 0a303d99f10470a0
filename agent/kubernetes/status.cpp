#include "agent/kubernetes/status.hpp"

#include <fmt/format.h>

#include <boost/json.hpp>
#include <utility>

#include "agent/base/text.hpp"
#include "agent/kubernetes/json.hpp"
#include "agent/kubernetes/wire.hpp"
#include "omnitide/peer/v1/kubernetes.pb.h"

namespace omnitide::kubernetes {

namespace {

namespace proto = peer::v1::kubernetes;
constexpr std::size_t kLongestMessage = 1000, kLongestName = 100, kMostConflicts = 1000;

struct StatusFields {
  unsigned code = 0;
  std::string reason{}, message{};
  int retry_after = 0;
  std::vector<Conflict> conflicts{};
};

std::int64_t number_member(const boost::json::object& object, std::string_view key) {
  const boost::json::value* value = object.if_contains(key);
  return value != nullptr && value->is_int64() ? value->get_int64() : 0;
}

// `conflict with "MANAGER" using v1`, or with `subresource` and a time behind it.
std::string manager_in(std::string_view message) {
  const std::size_t begin = message.find('"');
  const std::size_t end = begin == std::string_view::npos ? begin : message.find('"', begin + 1);
  return end == std::string_view::npos ? "another one"
                                       : printable(message.substr(begin + 1, end - begin - 1), kLongestName);
}

std::vector<Conflict> conflicts_in(const boost::json::object& details) {
  std::vector<Conflict> out;
  const boost::json::value* causes = details.if_contains("causes");
  if (causes == nullptr || !causes->is_array()) return out;
  for (const boost::json::value& each : causes->get_array()) {
    const boost::json::object* cause = each.if_object();
    if (cause == nullptr || text_member(*cause, "reason") != "FieldManagerConflict") continue;
    if (out.size() == kMostConflicts) break;
    out.push_back({text_member(*cause, "field"), manager_in(text_member(*cause, "message"))});
  }
  return out;
}

std::optional<StatusFields> from_json_status(std::string_view text) {
  boost::system::error_code problem;
  const boost::json::value parsed = boost::json::parse(boost::json::string_view(text.data(), text.size()), problem);
  if (problem || !parsed.is_object() || text_member(parsed.get_object(), "kind") != "Status") return std::nullopt;
  const boost::json::object& object = parsed.get_object();
  StatusFields out{.code = static_cast<unsigned>(number_member(object, "code")),
                   .reason = text_member(object, "reason"),
                   .message = text_member(object, "message")};
  if (const boost::json::object* details = object_member(object, "details")) {
    out.retry_after = static_cast<int>(number_member(*details, "retryAfterSeconds"));
    out.conflicts = conflicts_in(*details);
  }
  return out;
}

std::optional<StatusFields> status_fields(std::string_view object) {
  if (object.starts_with('{')) return from_json_status(object);
  const std::optional<std::string_view> raw = unwrap(object);
  proto::Status status;
  if (!raw || !status.ParseFromArray(raw->data(), static_cast<int>(raw->size()))) return std::nullopt;
  return StatusFields{.code = static_cast<unsigned>(status.code()),
                      .reason = status.reason(),
                      .message = status.message(),
                      .retry_after = status.details().retry_after_seconds()};
}

Code code_of(unsigned status, std::string_view reason) {
  if (reason == "AlreadyExists") return Code::already_exists;
  if (status == 410) return Code::aborted;
  if (status == 422) return Code::invalid_argument;
  return code_from_http_status(status);
}

Fault fault_from(unsigned status, const StatusFields& fields) {
  Fault out;
  out.status = status;
  out.reason = printable(fields.reason, 100);
  std::string message = fields.message.empty() ? "no words" : printable(fields.message, kLongestMessage);
  out.error = fail(code_of(status, fields.reason), fmt::format("the API server answered {}: {}", status, message));
  out.conflicts = fields.conflicts;
  if (fields.retry_after > 0) out.retry_after = std::chrono::seconds(std::min(fields.retry_after, 3600));
  return out;
}

}  // namespace

Fault fault_of(const Answer& answer) {
  const StatusFields fields =
      status_fields(answer.body).value_or(StatusFields{.message = printable(trim(answer.body), 200)});
  Fault out = fault_from(answer.status, fields);
  if (answer.retry_after) out.retry_after = answer.retry_after;
  return out;
}

Fault fault_of_status(std::string_view object) {
  const std::optional<StatusFields> fields = status_fields(object);
  if (!fields) {
    Fault out;
    out.status = 500;
    out.error = fail(Code::data_loss, "an error came that is no Status");
    return out;
  }
  return fault_from(fields->code, *fields);
}

}  // namespace omnitide::kubernetes
