// Regular expressions of configuration: what an operator wrote for node_exporter (RE2's syntax) as far as POSIX
// extended expressions can say it. glibc's matcher does the work; no back-references, no look-around.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "agent/base/error.hpp"

namespace omnitide {

class Pattern {
 public:
  static constexpr std::size_t kLongest = 1024;  // bytes of an expression

  // The empty text matches nothing. \d \w \s, (?:...) and a leading (?i) are understood; what cannot be said is an
  // invalid_argument that names the part.
  [[nodiscard]] static Result<Pattern> compile(std::string_view text);

  // Whether some part of the text matches, as with Go's MatchString. Not for texts with NUL bytes: those never match.
  [[nodiscard]] bool matches(const std::string& text) const;
  [[nodiscard]] bool empty() const { return !compiled_; }

 private:
  struct Compiled;
  std::shared_ptr<const Compiled> compiled_;
};

}  // namespace omnitide
