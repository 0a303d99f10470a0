#include "health/checks/log_pattern.hpp"

#include <re2/re2.h>

#include <algorithm>

#include "agent/base/text.hpp"

namespace omnitide::health {

namespace {

constexpr std::int64_t kMemory = 512 << 10;  // bytes for one compiled expression and its states

RE2::Options options() {
  RE2::Options out(RE2::Quiet);
  out.set_max_mem(kMemory);
  out.set_never_capture(true);
  return out;
}

bool is_word(char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }

// Whether some part could match a line feed. Says yes where it is not plain.
bool may_span_lines(std::string_view pattern) {
  for (std::size_t i = 0; i < pattern.size(); ++i) {
    const std::string_view rest = pattern.substr(i);
    if (rest.starts_with("[^") || rest.starts_with("[[:") || rest.starts_with("(?")) {
      if (!rest.starts_with("(?:")) return true;
    } else if (pattern[i] == '\n') {
      return true;
    } else if (pattern[i] == '\\' && i + 1 < pattern.size()) {
      const char escaped = pattern[++i];
      // Letters and digits that are known to stay within a line; anything else that is a letter may be a class.
      if (is_word(escaped) && std::string_view("dwSbBAzt").find(escaped) == std::string_view::npos) return true;
    }
  }
  return false;
}

// The end of a class "[...]" that begins at `at`: the place of its bracket, or the end of the text.
std::size_t class_end(std::string_view pattern, std::size_t at) {
  ++at;
  if (at < pattern.size() && pattern[at] == '^') ++at;
  if (at < pattern.size() && pattern[at] == ']') ++at;
  for (; at < pattern.size() && pattern[at] != ']'; ++at)
    if (pattern[at] == '\\') ++at;
  return at;
}

// The longest text that stands in the pattern as it is, outside of groups and not repeated. Empty when the whole is an
// alternative, or has a flag that may apply to everything.
std::string longest_literal(std::string_view pattern) {
  if (pattern.find("\\Q") != std::string_view::npos) return {};
  std::string best, run;
  unsigned depth = 0;
  const auto end_run = [&best, &run] {
    if (run.size() > best.size()) best = run;
    run.clear();
  };
  for (std::size_t i = 0; i < pattern.size(); ++i) {
    const char c = pattern[i];
    if (c == '(' && pattern.substr(i).starts_with("(?") && !pattern.substr(i).starts_with("(?:")) return {};
    if (c == '|' && depth == 0) return {};
    if (c == '*' || c == '?' || c == '{' || c == '+') {
      // What stands before is not always there, or is there several times.
      if (!run.empty()) run.pop_back();
      end_run();
      if (c == '{') i = std::min(pattern.find('}', i), pattern.size());
    } else if (c == '(' || c == ')') {
      end_run();
      depth = c == '(' ? depth + 1 : depth - std::min(depth, 1U);
    } else if (c == '[') {
      end_run();
      i = class_end(pattern, i);
    } else if (c == '.' || c == '^' || c == '$' || c == '|') {
      end_run();
    } else if (c == '\\' && i + 1 < pattern.size()) {
      const char escaped = pattern[++i];
      if (is_word(escaped))
        end_run();
      else if (depth == 0)
        run += escaped;
    } else if (depth == 0) {
      run += c;
    }
  }
  end_run();
  return best;
}

}  // namespace

struct LogPattern::Compiled {
  RE2 expression;
  explicit Compiled(const std::string& text) : expression(text, options()) {}
};

LogPattern::LogPattern(std::string text)
    : text_(std::move(text)), literal_(longest_literal(text_)), several_lines_(may_span_lines(text_)) {}

Result<> LogPattern::check(const std::string& text) {
  if (text.empty()) return fail(Code::invalid_argument, "a pattern is empty");
  if (text.size() > kLongest) return fail(Code::invalid_argument, "a pattern is longer than 1024 bytes");
  const RE2 expression(text + "\\z", options());
  if (expression.ok()) return {};
  return fail(Code::invalid_argument, "a pattern is no regular expression: " + printable(expression.error()))
      .with_hint("the syntax is RE2's");
}

bool LogPattern::matches(std::string_view lines, std::string_view last) const {
  const std::string_view subject = several_lines_ ? lines : last;
  if (!literal_.empty() && subject.find(literal_) == std::string_view::npos) return false;
  if (!compiled_) compiled_ = std::make_shared<const Compiled>(text_ + "\\z");
  return compiled_->expression.ok() &&
         RE2::PartialMatch(re2::StringPiece(subject.data(), subject.size()), compiled_->expression);
}

}  // namespace omnitide::health
