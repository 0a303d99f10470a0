#include "agent/metrics/text_buffer.hpp"

#include <fmt/compile.h>
#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdint>

namespace omnitide::metrics {

namespace {

constexpr std::size_t kLongestNumber = 40;
constexpr double kExact = 9007199254740992.0;  // 2^53: whole numbers below are exact

// Eight bytes at a time: whether any is zero (Hacker's Delight, 6-1).
constexpr std::uint64_t every(unsigned char byte) { return 0x0101010101010101ULL * byte; }
constexpr std::uint64_t has_zero(std::uint64_t word) { return (word - every(1)) & ~word & every(0x80); }

bool is_plain(std::string_view text) {
  while (text.size() >= 8) {
    std::uint64_t word = 0;
    std::memcpy(&word, text.data(), sizeof word);
    const std::uint64_t special =
        has_zero(word ^ every('"')) | has_zero(word ^ every('\\')) | has_zero(word ^ every('\n'));
    if (special != 0) return false;
    text.remove_prefix(8);
  }
  return std::none_of(text.begin(), text.end(), [](char c) { return c == '"' || c == '\\' || c == '\n'; });
}

void append_escaped(TextBuffer& out, std::string_view text, bool quotes) {
  for (const char c : text) {
    if (c == '\n') {
      out.append("\\n");
      continue;
    }
    if (c == '\\' || (quotes && c == '"')) out.append('\\');
    out.append(c);
  }
}

bool append_special(TextBuffer& out, double value) {
  if (std::isfinite(value)) return false;
  out.append(std::isnan(value) ? "NaN" : value > 0 ? "+Inf" : "-Inf");
  return true;
}

}  // namespace

void append_number(TextBuffer& out, double value) {
  if (std::abs(value) < kExact) {
    const auto whole = static_cast<std::int64_t>(value);
    if (static_cast<double>(whole) == value) {
      char* to = out.room(kLongestNumber);
      out.wrote(static_cast<std::size_t>(std::to_chars(to, to + kLongestNumber, whole).ptr - to));
      return;
    }
  }
  if (append_special(out, value)) return;
  char* to = out.room(kLongestNumber);
  out.wrote(static_cast<std::size_t>(fmt::format_to(to, FMT_COMPILE("{}"), value) - to));
}

void append_bound(TextBuffer& out, double value) {
  if (append_special(out, value)) return;
  char* to = out.room(kLongestNumber);
  char* end = fmt::format_to(to, FMT_COMPILE("{}"), value);
  if (std::none_of(to, end, [](char c) { return c == '.' || c == 'e'; })) {
    *end++ = '.';
    *end++ = '0';
  }
  out.wrote(static_cast<std::size_t>(end - to));
}

void append_quoted(TextBuffer& out, std::string_view text) {
  if (is_plain(text)) return out.append(text);
  append_escaped(out, text, true);
}

void append_help(TextBuffer& out, std::string_view text) {
  if (is_plain(text)) return out.append(text);
  append_escaped(out, text, false);
}

}  // namespace omnitide::metrics
