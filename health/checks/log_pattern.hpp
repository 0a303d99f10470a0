// A regular expression of a log rule, with the meaning that Go gives it: RE2's syntax, and linear time whatever a log
// line holds (docs/adr/0012-log-patterns.md). It is compiled when a line first holds the text that every match has, so
// that rules which never match cost next to nothing.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "agent/base/error.hpp"

namespace omnitide::health {

class LogPattern {
 public:
  static constexpr std::size_t kLongest = 1024;  // bytes of an expression

  explicit LogPattern(std::string text);
  // Whether it is an expression at all, and not too large a one; the error names the fault.
  [[nodiscard]] static Result<> check(const std::string& text);

  // Whether a match ends with the last line. `lines` are the last lines, joined by line feeds, and `last` is its end. A
  // pattern that cannot match a line feed is held against the last line alone; "^" is its beginning then.
  [[nodiscard]] bool matches(std::string_view lines, std::string_view last) const;

  [[nodiscard]] const std::string& text() const { return text_; }
  [[nodiscard]] const std::string& literal() const { return literal_; }  // a text of every match; may be empty
  [[nodiscard]] bool several_lines() const { return several_lines_; }

 private:
  struct Compiled;
  std::string text_, literal_;
  bool several_lines_;
  mutable std::shared_ptr<const Compiled> compiled_;
};

}  // namespace omnitide::health
