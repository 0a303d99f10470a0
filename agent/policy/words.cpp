#include "agent/policy/words.hpp"

#include <algorithm>
#include <array>
#include <cstring>
#include <vector>

#include "agent/base/text.hpp"

namespace omnitide::policy {

namespace {

constexpr std::size_t kLongestLabel = 63, kLongestSubdomain = 253, kLongestPortName = 15, kLongestInterface = 15;

constexpr bool is_lower(char c) { return c >= 'a' && c <= 'z'; }
constexpr bool is_lower_alnum(char c) { return is_lower(c) || is_digit(c); }
constexpr bool is_alnum(char c) { return is_lower_alnum(c) || (c >= 'A' && c <= 'Z'); }

template <std::size_t N>
bool is_one_of(std::string_view word, const std::array<std::string_view, N>& words) {
  return std::find(words.begin(), words.end(), word) != words.end();
}

constexpr std::array<std::string_view, 11> kTrue{"true", "True", "TRUE", "y",  "Y", "yes",
                                                 "Yes",  "YES",  "on",   "On", "ON"};
constexpr std::array<std::string_view, 11> kFalse{"false", "False", "FALSE", "n",   "N",  "no",
                                                  "No",    "NO",    "off",   "Off", "OFF"};
constexpr std::array<std::string_view, 12> kSpecialNumbers{".nan",  ".NaN",  ".NAN",  ".inf",  ".Inf",  ".INF",
                                                           "+.inf", "+.Inf", "+.INF", "-.inf", "-.Inf", "-.INF"};

// [-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?
bool is_number(std::string_view word) {
  std::size_t at = !word.empty() && (word[0] == '-' || word[0] == '+') ? 1 : 0;
  const auto digits = [&word, &at] {
    const std::size_t from = at;
    while (at < word.size() && is_digit(word[at]))
      ++at;
    return at - from;
  };
  const std::size_t whole = digits();
  std::size_t fraction = 0;
  if (at < word.size() && word[at] == '.') {
    ++at;
    fraction = digits();
  }
  if (whole + fraction == 0) return false;
  if (at < word.size() && (word[at] == 'e' || word[at] == 'E')) {
    ++at;
    if (at < word.size() && (word[at] == '-' || word[at] == '+')) ++at;
    if (digits() == 0) return false;
  }
  return at == word.size();
}

// Length of the UTF-8 sequence at the front, 0 when it is none (RFC 3629: shortest form, no surrogates).
std::size_t sequence_length(std::string_view text) {
  const auto byte = [text](std::size_t i) {
    return i < text.size() ? static_cast<unsigned>(static_cast<unsigned char>(text[i])) : 0U;
  };
  const auto follows = [&byte](std::size_t i) { return (byte(i) & 0xc0U) == 0x80; };
  const unsigned first = byte(0);
  if (first >= 0xc2 && first <= 0xdf) return follows(1) ? 2 : 0;
  if (first >= 0xe0 && first <= 0xef) {
    const bool shortest = first != 0xe0 || byte(1) >= 0xa0;
    const bool surrogate = first == 0xed && byte(1) >= 0xa0;
    return shortest && !surrogate && follows(1) && follows(2) ? 3 : 0;
  }
  if (first >= 0xf0 && first <= 0xf4) {
    const bool in_range = (first != 0xf0 || byte(1) >= 0x90) && (first != 0xf4 || byte(1) < 0x90);
    return in_range && follows(1) && follows(2) && follows(3) ? 4 : 0;
  }
  return 0;
}

// Whether all eight bytes are printable ASCII or above: no control characters, no bytes of longer sequences.
bool all_plain(const char* bytes) {
  std::uint64_t word = 0;
  std::memcpy(&word, bytes, sizeof word);
  constexpr std::uint64_t kHigh = 0x8080808080808080U;
  const std::uint64_t below_space = word - 0x2020202020202020U;  // borrows reach bytes above only where one is below
  return ((word | below_space) & kHigh) == 0;
}

}  // namespace

std::optional<char32_t> parse_hex(std::string_view digits, std::size_t count) {
  if (digits.size() != count || digits.starts_with("0x") || digits.starts_with('-')) return std::nullopt;
  const auto value = parse_number<std::uint32_t>(digits, 16);
  if (!value) return std::nullopt;
  return static_cast<char32_t>(*value);
}

void append_utf8(std::string& out, char32_t code) {
  const auto put = [&out](char32_t byte) { out += static_cast<char>(static_cast<unsigned char>(byte)); };
  if (code < 0x80) {
    put(code);
  } else if (code < 0x800) {
    put(0xc0 | (code >> 6U));
    put(0x80 | (code & 0x3fU));
  } else if (code < 0x10000) {
    put(0xe0 | (code >> 12U));
    put(0x80 | ((code >> 6U) & 0x3fU));
    put(0x80 | (code & 0x3fU));
  } else {
    put(0xf0 | (code >> 18U));
    put(0x80 | ((code >> 12U) & 0x3fU));
    put(0x80 | ((code >> 6U) & 0x3fU));
    put(0x80 | (code & 0x3fU));
  }
}

std::size_t first_bad_byte(std::string_view text) {
  std::size_t at = 0;
  while (at < text.size()) {
    if (at + 8 <= text.size() && all_plain(text.data() + at)) {
      at += 8;
      continue;
    }
    const auto c = static_cast<unsigned char>(text[at]);
    if (c >= 0x80) {
      const std::size_t length = sequence_length(text.substr(at, 4));
      if (length == 0) return at;
      at += length;
    } else if (c < 0x20 && c != '\t' && c != '\n' && c != '\r') {
      return at;
    } else {
      ++at;
    }
  }
  return std::string_view::npos;
}

std::optional<bool> boolean_of(std::string_view word) {
  if (is_one_of(word, kTrue)) return true;
  if (is_one_of(word, kFalse)) return false;
  return std::nullopt;
}

std::optional<std::int64_t> integer_of(std::string_view word) {
  std::string digits(word.substr(0, 64));
  std::erase(digits, '_');
  std::string_view rest = digits;
  const bool negative = rest.starts_with('-');
  if (negative || rest.starts_with('+')) rest.remove_prefix(1);
  int base = 10;
  if (rest.size() > 1 && rest[0] == '0') {
    const char mark = rest[1];
    base = mark == 'x' || mark == 'X' ? 16 : mark == 'b' || mark == 'B' ? 2 : 8;
    rest.remove_prefix(is_digit(mark) ? 1 : 2);
    if (!is_digit(mark) && std::string_view("xXbBoO").find(mark) == std::string_view::npos) return std::nullopt;
  }
  if (rest.starts_with("0x")) return std::nullopt;  // parse_number would take a second mark
  const auto value = parse_number<std::uint64_t>(rest, base);
  if (!value || *value > static_cast<std::uint64_t>(INT64_MAX)) return std::nullopt;
  const auto number = static_cast<std::int64_t>(*value);
  return negative ? -number : number;
}

WordType type_of_word(std::string_view word) {
  if (word.empty() || word == "~" || word == "null" || word == "Null" || word == "NULL") return WordType::null;
  const char c = word[0];
  if (is_digit(c) || c == '-' || c == '+' || c == '.') {
    if (is_one_of(word, kSpecialNumbers)) return WordType::fraction;
    if (c != '.' && integer_of(word)) return WordType::integer;
    std::string digits(word.substr(0, 64));
    if (c != '.') std::erase(digits, '_');
    return word.size() <= 64 && is_number(digits) ? WordType::fraction : WordType::text;
  }
  // One letter is text by YAML 1.2 and where a text is wanted; sigs.k8s.io/yaml is about to read it so too.
  return word.size() > 1 && boolean_of(word) ? WordType::boolean : WordType::text;
}

std::string_view wrong_label_name(std::string_view text) {
  if (text.empty()) return "is empty";
  if (text.size() > kLongestLabel) return "has more than 63 characters";
  if (!std::all_of(text.begin(), text.end(), [](char c) { return is_lower_alnum(c) || c == '-'; }))
    return "may have lower-case letters, digits and '-' only";
  if (text.front() == '-' || text.back() == '-') return "must begin and end with a lower-case letter or a digit";
  return {};
}

std::string_view wrong_subdomain(std::string_view text) {
  if (text.empty()) return "is empty";
  if (text.size() > kLongestSubdomain) return "has more than 253 characters";
  if (!std::all_of(text.begin(), text.end(), [](char c) { return is_lower_alnum(c) || c == '-' || c == '.'; }))
    return "may have lower-case letters, digits, '-' and '.' only";
  const std::vector<std::string_view> parts = split(text, '.');
  const bool good = std::all_of(parts.begin(), parts.end(), [](std::string_view part) {
    return !part.empty() && part.front() != '-' && part.back() != '-';
  });
  if (!good) return "must begin and end with a lower-case letter or a digit, and so must each part between dots";
  return {};
}

std::string_view wrong_label_key(std::string_view text) {
  const std::size_t slash = text.find('/');
  if (slash != std::string_view::npos) {
    if (!wrong_subdomain(text.substr(0, slash)).empty()) return "must have a DNS name before the '/'";
    text.remove_prefix(slash + 1);
  }
  if (text.empty()) return "has an empty name";
  return wrong_label_value(text);
}

std::string_view wrong_label_value(std::string_view text) {
  if (text.empty()) return {};
  if (text.size() > kLongestLabel) return "has more than 63 characters";
  if (!std::all_of(text.begin(), text.end(), [](char c) { return is_alnum(c) || c == '-' || c == '_' || c == '.'; }))
    return "may have letters, digits, '-', '_' and '.' only";
  if (!is_alnum(text.front()) || !is_alnum(text.back())) return "must begin and end with a letter or a digit";
  return {};
}

std::string_view wrong_port_name(std::string_view text) {
  if (text.empty()) return "is empty";
  if (text.size() > kLongestPortName) return "has more than 15 characters";
  if (!std::all_of(text.begin(), text.end(), [](char c) { return is_lower_alnum(c) || c == '-'; }))
    return "may have lower-case letters, digits and '-' only";
  if (std::none_of(text.begin(), text.end(), is_lower)) return "must have a letter";
  if (text.find("--") != std::string_view::npos) return "must not have '--'";
  if (text.front() == '-' || text.back() == '-') return "must not begin or end with '-'";
  return {};
}

std::string_view wrong_interface(std::string_view text) {
  if (text.empty()) return "is empty";
  if (text.size() > kLongestInterface) return "has more than 15 characters";
  if (text == "." || text == "..") return "is no name of a device";
  // Of which sign a char is depends on the processor.
  if (std::any_of(text.begin(), text.end(),
                  [](unsigned char c) { return c == '/' || c == ':' || c <= ' ' || c >= 0x7f; }))
    return "must not have '/', ':', white space or what is not ASCII";
  return {};
}

}  // namespace omnitide::policy
