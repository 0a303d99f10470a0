// What words mean and how names must look: YAML's plain scalars as the API server reads them, and the syntax of names,
// labels and ports (k8s.io/apimachinery/pkg/util/validation). Inside this room only.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace omnitide::policy {

inline constexpr std::size_t kLongestShown = 80;  // bytes of a word in what is said of it
inline constexpr std::int64_t kMostPort = 65535;

[[nodiscard]] constexpr bool is_digit(char c) { return c >= '0' && c <= '9'; }

// Exactly `count` hexadecimal digits.
[[nodiscard]] std::optional<char32_t> parse_hex(std::string_view digits, std::size_t count);
void append_utf8(std::string& out, char32_t code);
// Where a text stops to be UTF-8 without control characters (tab and line ends are none); npos: nowhere.
[[nodiscard]] std::size_t first_bad_byte(std::string_view text);

// A plain scalar's type by YAML 1.1 as Kubernetes has it (sigs.k8s.io/yaml): `no` and `on` are truth values, 010 is
// octal, 12:30 and 2026-01-31 are text. A lone y or n is text, and a truth value where one is wanted.
enum class WordType : std::uint8_t { text, null, boolean, integer, fraction };
[[nodiscard]] WordType type_of_word(std::string_view word);
[[nodiscard]] std::optional<bool> boolean_of(std::string_view word);
[[nodiscard]] std::optional<std::int64_t> integer_of(std::string_view word);

// Each returns what is wrong, or an empty text.
[[nodiscard]] std::string_view wrong_label_name(std::string_view text);   // RFC 1123 label: a namespace's name
[[nodiscard]] std::string_view wrong_subdomain(std::string_view text);    // RFC 1123 subdomain: other names
[[nodiscard]] std::string_view wrong_label_key(std::string_view text);    // "app", "example.com/app"
[[nodiscard]] std::string_view wrong_label_value(std::string_view text);  // may be empty
[[nodiscard]] std::string_view wrong_port_name(std::string_view text);    // IANA service name, RFC 6335
[[nodiscard]] std::string_view wrong_interface(
    std::string_view text);  // a device's name, dev_valid_name() in net/core/dev.c

}  // namespace omnitide::policy
