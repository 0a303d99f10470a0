// The one JSON form of the project, for `-o json`, API bodies and watch lines: proto3 JSON, lowerCamelCase names,
// 64-bit integers as strings, bytes as base64, timestamps as RFC 3339. Lists, numbers, booleans and enums are always
// there, so that a reader need not know the defaults; empty texts and unset optional fields and messages are left out.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "agent/base/error.hpp"

namespace google::protobuf {
class MessageLite;
}

namespace omnitide::codec {

enum class JsonForm : std::uint8_t {
  compact,  // one line, no trailing line feed
  pretty,   // two blanks an indentation, with a trailing line feed
};

[[nodiscard]] std::string to_json(const google::protobuf::MessageLite& message, JsonForm form = JsonForm::compact);

// The message's name without its package, as errors tell it.
[[nodiscard]] std::string name_of(const google::protobuf::MessageLite& message);

// The same fields and values as to_json, as YAML in block style, with a trailing line feed.
[[nodiscard]] std::string to_yaml(const google::protobuf::MessageLite& message);

inline constexpr std::size_t kMaxJsonBytes = 8U << 20U;
inline constexpr int kMaxJsonDepth = 32;

// Replaces what `message` held. invalid_argument names what is wrong: no JSON, a field that the message has not, a
// value that does not fit. Too deep or too long is refused before it is parsed.
[[nodiscard]] Result<> from_json(std::string_view text, google::protobuf::MessageLite& message);

}  // namespace omnitide::codec
