#include "agent/base/pattern.hpp"

#include <fmt/format.h>
#include <regex.h>

#include <array>

#include "agent/base/text.hpp"

namespace omnitide {

struct Pattern::Compiled {
  regex_t regex{};
  bool good = false;
  Compiled() = default;
  Compiled(const Compiled&) = delete;
  Compiled& operator=(const Compiled&) = delete;
  ~Compiled() {
    if (good) ::regfree(&regex);
  }
};

namespace {

// Classes outside of brackets, and as they stand within them.
std::string_view class_of(char letter, bool inside) {
  switch (letter) {
    case 'd': return inside ? "0-9" : "[0-9]";
    case 'w': return inside ? "[:alnum:]_" : "[[:alnum:]_]";
    case 's': return inside ? "[:space:]" : "[[:space:]]";
    case 'D': return inside ? "" : "[^0-9]";
    case 'W': return inside ? "" : "[^[:alnum:]_]";
    case 'S': return inside ? "" : "[^[:space:]]";
    default: return {};
  }
}

Error cannot(std::string_view part) {
  return fail(Code::invalid_argument, fmt::format("{} is not supported here", printable(part, 32)));
}

// A '[...]' from its bracket on; `at` ends behind it. POSIX takes a backslash in it as itself.
Result<std::string> bracket(std::string_view text, std::size_t& at) {
  std::string out = "[", last;
  ++at;
  if (at < text.size() && text[at] == '^') out += text[at++];
  for (bool first = true; at < text.size(); first = false) {
    if (text[at] == ']' && !first) {
      ++at;
      return out + last + "]";
    }
    if (text.substr(at).starts_with("[:")) {
      const std::size_t end = text.find(":]", at);
      if (end == std::string_view::npos) break;
      out += text.substr(at, end + 2 - at);
      at = end + 2;
      continue;
    }
    if (text[at] != '\\') {
      out += text[at++];
      continue;
    }
    if (at + 1 >= text.size()) break;
    const char letter = text[at + 1];
    at += 2;
    if (const std::string_view named = class_of(letter, true); !named.empty())
      out += named;
    else if (letter == '-')
      last = "-";  // a hyphen that is meant as itself stands last
    else if (letter == ']' || (letter >= '0' && letter <= '9') || (letter >= 'a' && letter <= 'z'))
      return cannot(text.substr(at - 2, 2));
    else
      out += letter;
  }
  return fail(Code::invalid_argument, "a '[' is not closed");
}

Result<std::string> translate(std::string_view text) {
  std::string out;
  for (std::size_t at = 0; at < text.size();) {
    const std::string_view rest = text.substr(at);
    if (rest.front() == '[') {
      Result<std::string> part = bracket(text, at);
      if (part.has_error()) return part;
      out += *part;
    } else if (rest.starts_with("(?:")) {
      out += '(';
      at += 3;
    } else if (rest.starts_with("(?")) {
      return cannot(rest.substr(0, 4));
    } else if (rest.front() == '\\') {
      if (rest.size() < 2) return fail(Code::invalid_argument, "a backslash stands at the end");
      const std::string_view named = class_of(rest[1], false);
      const bool word = (rest[1] >= '0' && rest[1] <= '9') || (rest[1] >= 'a' && rest[1] <= 'z') ||
                        (rest[1] >= 'A' && rest[1] <= 'Z');
      if (named.empty() && word && rest[1] != 'b') return cannot(rest.substr(0, 2));
      out += named.empty() ? rest.substr(0, 2) : named;
      at += 2;
    } else {
      out += text[at++];
    }
  }
  return out;
}

}  // namespace

Result<Pattern> Pattern::compile(std::string_view text) {
  if (text.empty()) return Pattern{};
  if (text.size() > kLongest) return fail(Code::invalid_argument, fmt::format("is longer than {} bytes", kLongest));
  if (text.find('\0') != std::string_view::npos) return fail(Code::invalid_argument, "holds a NUL byte");
  int flags = REG_EXTENDED | REG_NOSUB;
  if (text.starts_with("(?i)")) {
    flags |= REG_ICASE;
    text.remove_prefix(4);
  }
  const Result<std::string> posix = translate(text);
  if (posix.has_error()) return posix.error();
  const auto compiled = std::make_shared<Compiled>();
  if (const int problem = ::regcomp(&compiled->regex, posix->c_str(), flags); problem != 0) {
    std::array<char, 128> sentence{};
    ::regerror(problem, &compiled->regex, sentence.data(), sentence.size());
    return fail(Code::invalid_argument, fmt::format("is no regular expression: {}", sentence.data()));
  }
  compiled->good = true;
  Pattern out;
  out.compiled_ = compiled;
  return out;
}

bool Pattern::matches(const std::string& text) const {
  if (!compiled_ || text.find('\0') != std::string::npos) return false;
  return ::regexec(&compiled_->regex, text.c_str(), 0, nullptr, 0) == 0;
}

}  // namespace omnitide
