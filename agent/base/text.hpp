// Small text helpers that more than one room needs.
#pragma once

#include <charconv>
#include <concepts>
#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace omnitide {

[[nodiscard]] std::string_view trim(std::string_view text);                                // ASCII white space
[[nodiscard]] std::vector<std::string_view> split(std::string_view text, char separator);  // keeps empty fields
[[nodiscard]] std::vector<std::string_view> split_words(std::string_view text);  // by white space, no empty fields
[[nodiscard]] std::string join(std::span<const std::string> parts, std::string_view separator);
[[nodiscard]] std::string to_lower(std::string_view text);  // ASCII

// The whole text as a number: no sign for unsigned types, no white space, no trailing bytes.
template <std::integral T>
[[nodiscard]] std::optional<T> parse_number(std::string_view text, int base = 10) {
  T value{};
  if (base == 16 && text.starts_with("0x")) text.remove_prefix(2);
  const auto [end, problem] = std::from_chars(text.data(), text.data() + text.size(), value, base);
  if (problem != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return value;
}

[[nodiscard]] std::string hex_encode(std::string_view bytes);  // lower case
[[nodiscard]] std::optional<std::string> hex_decode(std::string_view text);
[[nodiscard]] std::string base32_encode_lower(std::string_view bytes);  // RFC 4648 alphabet, lower case, no padding
[[nodiscard]] std::string base64_encode(std::string_view bytes);        // RFC 4648, padded
[[nodiscard]] std::optional<std::string> base64_decode(std::string_view text);

// For printing what a device, a peer or a file said: control bytes, escapes and invalid UTF-8 become \xNN, so that it
// can neither move a cursor nor forge a line. At most `limit` bytes are kept, then "...".
[[nodiscard]] std::string printable(std::string_view text, std::size_t limit = 4096);
// The text with every byte that is no part of valid UTF-8 as U+FFFD: what protobuf's string fields demand.
[[nodiscard]] std::string valid_utf8(std::string_view text);
[[nodiscard]] bool is_ascii(std::string_view text);
// A JSON string literal with its quotes; invalid UTF-8 becomes U+FFFD.
[[nodiscard]] std::string json_quote(std::string_view text);

// The candidate with the smallest edit distance, when it is near enough to be a likely typing error; else empty.
[[nodiscard]] std::string_view nearest(std::string_view word, std::span<const std::string> candidates);

// Bytes for people: "23.4 GiB".
[[nodiscard]] std::string human_bytes(unsigned long long bytes);

}  // namespace omnitide
