// Reading the kernel's text files without allocating: lines, words, numbers.
#pragma once

#include <charconv>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "agent/base/error.hpp"
#include "agent/base/text.hpp"

namespace omnitide::discovery {

[[nodiscard]] inline Error malformed(std::string_view path) {
  return fail(Code::invalid_argument, std::string(path) + " is malformed");
}

// Calls take(line) for every line without its end, empty ones too.
template <class Take>
void each_line(std::string_view text, Take&& take) {
  while (!text.empty()) {
    const std::size_t end = text.find('\n');
    take(text.substr(0, end));
    if (end == std::string_view::npos) return;
    text.remove_prefix(end + 1);
  }
}

// Walks the words of a line.
class Words {
 public:
  explicit Words(std::string_view line) : rest_(line) {}
  // The next word; empty at the end.
  [[nodiscard]] std::string_view next() {
    std::size_t begin = 0;
    while (begin < rest_.size() && is_space(rest_[begin]))
      ++begin;
    std::size_t end = begin;
    while (end < rest_.size() && !is_space(rest_[end]))
      ++end;
    const std::string_view word = rest_.substr(begin, end - begin);
    rest_.remove_prefix(end);
    return word;
  }
  [[nodiscard]] std::string_view skip(unsigned words) {
    for (; words > 0; --words)
      (void)next();
    return next();
  }
  [[nodiscard]] std::string_view rest() const { return rest_; }

 private:
  [[nodiscard]] static bool is_space(char c) { return c == ' ' || (c >= '\t' && c <= '\r'); }
  std::string_view rest_;
};

// A whole number or a decimal one, as a metric's value. Whole numbers go through 64 bits, so that the double is the one
// nearest to them.
[[nodiscard]] inline std::optional<double> value_of(std::string_view text) {
  if (const auto whole = parse_number<std::uint64_t>(text)) return static_cast<double>(*whole);
  if (const auto whole = parse_number<std::int64_t>(text)) return static_cast<double>(*whole);
  double value = 0;
  const auto [end, problem] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (problem != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return value;
}

// The part of the text in front of the separator; the text goes on behind it. The whole text when it is not in it.
[[nodiscard]] inline std::string_view cut(std::string_view& text, char separator) {
  const std::size_t at = text.find(separator);
  const std::string_view head = text.substr(0, at);
  text = at == std::string_view::npos ? std::string_view{} : text.substr(at + 1);
  return head;
}

}  // namespace omnitide::discovery
