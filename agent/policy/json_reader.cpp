// JSON by RFC 8259, without recursion. yaml-cpp takes most JSON for YAML's flow style, but knows no surrogate pairs and
// holds a whole one-line document in memory.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <string>
#include <vector>

#include "agent/policy/events.hpp"
#include "agent/policy/words.hpp"

namespace omnitide::policy {

namespace {

class JsonReader {
 public:
  JsonReader(Cursor& cursor, Events& events) : cursor_(cursor), events_(events) {}

  std::optional<Broken> run() {
    skip_space();
    if (ended()) return std::nullopt;
    while (!broken_ && !events_.stopped()) {
      if (!value()) break;
      // A value is complete: close what ends here, then go on behind a comma.
      while (!broken_ && !open_.empty() && ends_container()) {
      }
      if (broken_ || open_.empty()) break;
    }
    return std::move(broken_);
  }

 private:
  [[nodiscard]] bool ended() const { return cursor_.at >= cursor_.text.size(); }
  [[nodiscard]] char peek() const { return ended() ? '\0' : cursor_.text[cursor_.at]; }

  void skip_space() {
    for (; !ended(); ++cursor_.at) {
      const char c = cursor_.text[cursor_.at];
      if (c == '\n') {
        ++cursor_.line;
      } else if (c != ' ' && c != '\t' && c != '\r') {
        return;
      }
    }
  }

  bool fail(std::string message) {
    broken_ = Broken{cursor_.line, "is not valid JSON: " + std::move(message), ""};
    return false;
  }
  bool unexpected(std::string_view wanted) {
    if (ended()) return fail(fmt::format("it ends where {} should be", wanted));
    return fail(fmt::format("{} should be here", wanted));
  }

  // One value, opening containers on the way to it. False: the reader is broken.
  bool value() {
    while (true) {
      skip_space();
      const char c = peek();
      if (c != '{' && c != '[') return scalar();
      if (open_.size() >= kDeepestReader) return fail(fmt::format("nested more than {} levels deep", kDeepestReader));
      ++cursor_.at;
      const bool map = c == '{';
      open_.push_back(map);
      map ? events_.open_map(cursor_.line) : events_.open_list(cursor_.line);
      skip_space();
      if (peek() == (map ? '}' : ']')) {
        ++cursor_.at;
        open_.pop_back();
        events_.close();
        return true;
      }
      if (map && !key()) return false;
    }
  }

  bool key() {
    skip_space();
    if (peek() != '"') return unexpected("a name in double quotes");
    const std::uint32_t line = cursor_.line;
    if (!string()) return false;
    events_.scalar(line, text_, Style::quoted);
    skip_space();
    if (peek() != ':') return unexpected("a colon");
    ++cursor_.at;
    return true;
  }

  // Behind a value: true when a container ended, so that its parent is behind a value now.
  bool ends_container() {
    skip_space();
    const bool map = open_.back();
    const char c = peek();
    if (c == ',') {
      ++cursor_.at;
      if (map) key();
      return false;
    }
    if (c != (map ? '}' : ']')) return unexpected(map ? "a comma or }" : "a comma or ]");
    ++cursor_.at;
    open_.pop_back();
    events_.close();
    return true;
  }

  bool scalar() {
    const std::uint32_t line = cursor_.line;
    if (peek() == '"') {
      if (!string()) return false;
      events_.scalar(line, text_, Style::quoted);
      return true;
    }
    const std::size_t from = cursor_.at;
    const std::size_t to = std::min(cursor_.text.find_first_of(",]}: \t\r\n\"[{", from), cursor_.text.size());
    const std::string_view word = cursor_.text.substr(from, to - from);
    const bool known = word == "true" || word == "false" || word == "null";
    if (!known && !is_json_number(word)) return unexpected("a value");
    cursor_.at = to;
    events_.scalar(line, word, word == "null" ? Style::null : Style::plain);
    return true;
  }

  // -?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?
  static bool is_json_number(std::string_view word) {
    std::size_t at = word.starts_with('-') ? 1 : 0;
    const auto digits = [&word, &at] {
      const std::size_t from = at;
      while (at < word.size() && is_digit(word[at]))
        ++at;
      return at - from;
    };
    const std::size_t first = at;
    const std::size_t whole = digits();
    if (whole == 0 || (whole > 1 && word[first] == '0')) return false;
    if (at < word.size() && word[at] == '.') {
      ++at;
      if (digits() == 0) return false;
    }
    if (at < word.size() && (word[at] == 'e' || word[at] == 'E')) {
      ++at;
      if (at < word.size() && (word[at] == '+' || word[at] == '-')) ++at;
      if (digits() == 0) return false;
    }
    return at == word.size();
  }

  // At a quote. Leaves what it says in text_, which is a part of the document when nothing is escaped.
  bool string() {
    const std::size_t from = ++cursor_.at;
    std::size_t stop = cursor_.text.find_first_of("\"\\", from);
    if (stop != std::string_view::npos && cursor_.text[stop] == '"') {
      text_ = cursor_.text.substr(from, stop - from);
      cursor_.at = stop + 1;
      return !has_control(text_) || fail("a control character in a string");
    }
    buffer_.clear();
    for (; !ended(); ++cursor_.at) {
      const char c = peek();
      if (c == '"') {
        ++cursor_.at;
        text_ = buffer_;
        return true;
      }
      if (static_cast<unsigned char>(c) < 0x20) return fail("a control character in a string");
      if (c != '\\') {
        buffer_ += c;
      } else if (!escape()) {
        return false;
      }
    }
    return fail("it ends inside a string");
  }
  static bool has_control(std::string_view text) {
    return std::any_of(text.begin(), text.end(), [](char c) { return static_cast<unsigned char>(c) < 0x20; });
  }

  // At a backslash; leaves the cursor on the last character of the escape.
  bool escape() {
    ++cursor_.at;
    constexpr std::string_view kNames = "\"\\/bfnrt", kMeanings = "\"\\/\b\f\n\r\t";
    const char c = peek();
    if (const std::size_t found = kNames.find(c); found != std::string_view::npos && !ended()) {
      buffer_ += kMeanings[found];
      return true;
    }
    std::optional<char32_t> code = c == 'u' ? hex4() : std::nullopt;
    if (!code) return fail("an unknown escape in a string");
    if (*code >= 0xd800 && *code < 0xe000) code = low_surrogate(*code);
    if (!code) return fail("half of a surrogate pair in a string");
    append_utf8(buffer_, *code);
    return true;
  }
  // At the u; leaves the cursor on the last digit.
  std::optional<char32_t> hex4() {
    const auto code = parse_hex(cursor_.text.substr(std::min(cursor_.at + 1, cursor_.text.size()), 4), 4);
    if (code) cursor_.at += 4;
    return code;
  }
  std::optional<char32_t> low_surrogate(char32_t high) {
    if (high >= 0xdc00 || cursor_.text.substr(cursor_.at + 1, 2) != "\\u") return std::nullopt;
    cursor_.at += 2;
    const auto low = hex4();
    if (!low || *low < 0xdc00 || *low >= 0xe000) return std::nullopt;
    return 0x10000 + ((high - 0xd800) << 10U) + (*low - 0xdc00);
  }

  Cursor& cursor_;
  Events& events_;
  std::optional<Broken> broken_;
  std::vector<bool> open_;  // true: a map
  std::string buffer_;
  std::string_view text_;
};

}  // namespace

std::optional<Broken> read_json(Cursor& cursor, Events& events) { return JsonReader(cursor, events).run(); }

}  // namespace omnitide::policy
