// JSON as the bytes that it is written with (RFC 8259): what is not asked for stays as its author wrote it. Pure.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "agent/base/error.hpp"

namespace omnitide::cni {

// One value inside of a valid text; a view, valid as long as the text.
class Json {
 public:
  enum class Kind : std::uint8_t { null, boolean, number, string, array, object };

  // The whole text is one value, with white space around it. invalid_argument says at which byte it is none; at most
  // 64 levels deep.
  [[nodiscard]] static Result<Json> parse(std::string_view text);

  [[nodiscard]] Kind kind() const;
  [[nodiscard]] std::string_view text() const { return text_; }  // without white space around it

  // The last member of that name, as Go's decoder takes it. Of anything but an object: none.
  [[nodiscard]] std::optional<Json> find(std::string_view name) const;
  [[nodiscard]] std::vector<Json> items() const;  // of an array, else none
  [[nodiscard]] std::vector<std::pair<std::string, Json>> members() const;

  // Decoded: surrogates that have no other half become U+FFFD. Nothing when it is no string.
  [[nodiscard]] std::optional<std::string> string() const;
  // A whole number without sign, fraction and exponent.
  [[nodiscard]] std::optional<std::uint32_t> number() const;
  [[nodiscard]] std::string text_member(std::string_view name) const;  // empty when there is no such string

 private:
  explicit Json(std::string_view text) : text_(text) {}
  std::string_view text_;
};

}  // namespace omnitide::cni
