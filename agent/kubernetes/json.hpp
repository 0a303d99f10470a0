// Members of JSON objects. Inside of the room.
#pragma once

#include <boost/json.hpp>
#include <string>
#include <string_view>

namespace omnitide::kubernetes {

// Empty when there is none, or it is no text.
[[nodiscard]] inline std::string text_member(const boost::json::object& object, std::string_view key) {
  const boost::json::value* value = object.if_contains(key);
  return value != nullptr && value->is_string() ? std::string(value->get_string()) : std::string();
}

[[nodiscard]] inline boost::json::string json_text(std::string_view text) {
  return boost::json::string(text.data(), text.size());
}

// Null when there is none, or it is no object.
[[nodiscard]] inline const boost::json::object* object_member(const boost::json::object& object, std::string_view key) {
  const boost::json::value* value = object.if_contains(key);
  return value != nullptr ? value->if_object() : nullptr;
}

}  // namespace omnitide::kubernetes
