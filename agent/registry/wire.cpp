#include "agent/registry/wire.hpp"

#include <fmt/format.h>
#include <google/protobuf/message_lite.h>
#include <google/protobuf/timestamp.pb.h>

#include <algorithm>

#include "agent/base/text.hpp"
#include "agent/codec/json.hpp"
#include "agent/codec/time.hpp"

namespace omnitide::registry {

namespace {

constexpr std::string_view kProtobuf = "application/x-protobuf", kJson = "application/json";

// The type of "Application/JSON; charset=utf-8".
bool is_type(std::string_view header, std::string_view type) {
  header = trim(header.substr(0, header.find(';')));
  return header.size() == type.size() && (header == type || to_lower(header) == type);
}

}  // namespace

bool wants_protobuf(const io::HttpRequest& request) {
  std::string_view accept = request.header("accept");
  while (!accept.empty()) {
    const std::size_t comma = std::min(accept.find(','), accept.size());
    const std::string_view one = accept.substr(0, comma);
    if (is_type(one, kProtobuf)) return true;
    if (is_type(one, kJson)) return false;
    accept.remove_prefix(std::min(comma + 1, accept.size()));
  }
  return false;
}

Result<> decode(const io::HttpRequest& request, google::protobuf::MessageLite& message) {
  message.Clear();
  if (request.body.empty()) return {};
  const std::string_view type = request.header("content-type");
  if (is_type(type, kProtobuf)) {
    if (message.ParseFromString(request.body)) return {};
    return invalid("", fmt::format("the body is not a valid {}", codec::name_of(message)));
  }
  if (type.empty() || is_type(type, kJson)) return codec::from_json(request.body, message);
  return invalid("Content-Type", fmt::format("bodies of type {} are not understood", printable(type, 80)))
      .with_hint("say \"Content-Type: application/json\" or application/x-protobuf");
}

io::HttpResponse reply(const io::HttpRequest& request, const google::protobuf::MessageLite& message) {
  io::HttpResponse response;
  if (wants_protobuf(request)) {
    response.content_type = kProtobuf;
    message.SerializeToString(&response.body);
  } else {
    response.content_type = kJson;
    response.body = codec::to_json(message);
  }
  return response;
}

io::HttpResponse refuse(const Error& error, std::chrono::seconds retry_after) {
  io::HttpResponse response = io::error_response(error);
  if (error.code == Code::resource_exhausted || error.code == Code::unavailable) {
    response.headers.emplace_back("Retry-After", fmt::format("{}", std::max(retry_after.count(), std::int64_t{1})));
  }
  if (error.code == Code::aborted && error.field == kSupersededField) response.close = true;
  return response;
}

Error invalid(std::string field, std::string message) {
  Error error = fail(Code::invalid_argument, std::move(message));
  error.field = std::move(field);
  return error;
}

}  // namespace omnitide::registry
