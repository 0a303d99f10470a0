// Bodies by content negotiation: application/json (the default) or application/x-protobuf.
#pragma once

#include <string>
#include <string_view>

#include "agent/base/clock.hpp"
#include "agent/base/error.hpp"
#include "agent/io/http.hpp"

namespace google::protobuf {
class MessageLite;
}

namespace omnitide::registry {

// invalid_argument names the field. An empty body is an empty message.
[[nodiscard]] Result<> decode(const io::HttpRequest& request, google::protobuf::MessageLite& message);
[[nodiscard]] io::HttpResponse reply(const io::HttpRequest& request, const google::protobuf::MessageLite& message);
[[nodiscard]] bool wants_protobuf(const io::HttpRequest& request);
// With Retry-After where trying again helps; closes the connection of a superseded agent.
[[nodiscard]] io::HttpResponse refuse(const Error& error, std::chrono::seconds retry_after = std::chrono::seconds(2));

[[nodiscard]] Error invalid(std::string field, std::string message);

// Error::field of an agent that another start or boot has taken over from.
inline constexpr std::string_view kSupersededField = "startId";

}  // namespace omnitide::registry
