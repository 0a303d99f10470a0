#include "agent/registry/wire.hpp"

#include <fmt/format.h>
#include <google/protobuf/message.h>
#include <google/protobuf/timestamp.pb.h>

#include <algorithm>

#include "agent/base/text.hpp"
#include "agent/codec/json.hpp"

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

Result<> decode(const io::HttpRequest& request, google::protobuf::Message& message) {
  message.Clear();
  if (request.body.empty()) return {};
  const std::string_view type = request.header("content-type");
  if (is_type(type, kProtobuf)) {
    if (message.ParseFromString(request.body)) return {};
    return invalid("", fmt::format("the body is not a valid {}", message.GetDescriptor()->name()));
  }
  if (type.empty() || is_type(type, kJson)) return codec::from_json(request.body, message);
  return invalid("Content-Type", fmt::format("bodies of type {} are not understood", printable(type, 80)))
      .with_hint("say \"Content-Type: application/json\" or application/x-protobuf");
}

io::HttpResponse reply(const io::HttpRequest& request, const google::protobuf::Message& message) {
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

void set_time(google::protobuf::Timestamp* out, WallTime time) {
  const std::int64_t milliseconds = time.time_since_epoch().count();
  const std::int64_t seconds = milliseconds >= 0 ? milliseconds / 1000 : (milliseconds - 999) / 1000;
  out->set_seconds(seconds);
  out->set_nanos(static_cast<std::int32_t>((milliseconds - seconds * 1000) * 1'000'000));
}

WallTime time_of(const google::protobuf::Timestamp& time) {
  // Beyond year 9999 nothing is meant; the clamp keeps the product in range.
  const std::int64_t seconds = std::clamp<std::int64_t>(time.seconds(), 0, 253402300799);
  return WallTime(std::chrono::milliseconds(seconds * 1000 + std::clamp(time.nanos(), 0, 999'999'999) / 1'000'000));
}

}  // namespace omnitide::registry
