#include "agent/cni/json.hpp"

#include <algorithm>

#include "agent/base/text.hpp"

namespace omnitide::cni {

namespace {

constexpr int kDeepest = 64;

bool is_space(char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r'; }
bool is_digit(char c) { return c >= '0' && c <= '9'; }

// Of four hexadecimal digits at that place.
std::optional<std::uint32_t> hex_at(std::string_view text, std::size_t at) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  const std::string digits = to_lower(text.substr(std::min(at, text.size()), 4));
  if (digits.size() != 4) return std::nullopt;
  std::uint32_t out = 0;
  for (const char c : digits) {
    const std::size_t value = kDigits.find(c);
    if (value == std::string_view::npos) return std::nullopt;
    out = out << 4U | static_cast<std::uint32_t>(value);
  }
  return out;
}

// Walks over values; `at` is behind the last good byte.
class Scanner {
 public:
  explicit Scanner(std::string_view text) : text_(text) {}

  void space() {
    while (at_ < text_.size() && is_space(text_[at_]))
      ++at_;
  }
  [[nodiscard]] bool at_end() const { return at_ == text_.size(); }
  [[nodiscard]] std::size_t at() const { return at_; }
  [[nodiscard]] char peek() const { return at_end() ? '\0' : text_[at_]; }
  bool take(char c) {
    if (at_end() || text_[at_] != c) return false;
    ++at_;
    return true;
  }

  bool value(int depth) {
    switch (peek()) {
      case '{': return depth > 0 && list('}', depth, true);
      case '[': return depth > 0 && list(']', depth, false);
      case '"': return string();
      case 't': return word("true");
      case 'f': return word("false");
      case 'n': return word("null");
      default: return number();
    }
  }

  bool string() {
    if (!take('"')) return false;
    while (!at_end()) {
      const char c = text_[at_++];
      if (c == '"') return true;
      if (static_cast<unsigned char>(c) < 0x20) return false;
      if (c == '\\' && !escape()) return false;
    }
    return false;
  }

 private:
  bool word(std::string_view expected) {
    if (!text_.substr(at_).starts_with(expected)) return false;
    at_ += expected.size();
    return true;
  }
  bool digits() {
    const std::size_t begin = at_;
    while (is_digit(peek()))
      ++at_;
    return at_ > begin;
  }
  bool number() {
    take('-');
    if (!take('0') && !digits()) return false;
    if (take('.') && !digits()) return false;
    if (peek() != 'e' && peek() != 'E') return true;
    ++at_;
    if (!take('+')) take('-');
    return digits();
  }
  bool escape() {
    if (at_end()) return false;
    const char c = text_[at_++];
    if (c != 'u') return std::string_view("\"\\/bfnrt").find(c) != std::string_view::npos;
    if (!hex_at(text_, at_)) return false;
    at_ += 4;
    return true;
  }
  bool list(char end, int depth, bool named) {
    ++at_;
    space();
    if (take(end)) return true;
    while (true) {
      if (named) {
        if (!string()) return false;
        space();
        if (!take(':')) return false;
        space();
      }
      if (!value(depth - 1)) return false;
      space();
      if (take(end)) return true;
      if (!take(',')) return false;
      space();
    }
  }

  std::string_view text_;
  std::size_t at_ = 0;
};

void append_utf8(std::string& out, std::uint32_t code) {
  const auto put = [&out](std::uint32_t byte) { out += static_cast<char>(byte); };
  if (code < 0x80) {
    put(code);
  } else if (code < 0x800) {
    put(0xc0 | code >> 6U);
    put(0x80 | (code & 0x3f));
  } else if (code < 0x10000) {
    put(0xe0 | code >> 12U);
    put(0x80 | (code >> 6U & 0x3f));
    put(0x80 | (code & 0x3f));
  } else {
    put(0xf0 | code >> 18U);
    put(0x80 | (code >> 12U & 0x3f));
    put(0x80 | (code >> 6U & 0x3f));
    put(0x80 | (code & 0x3f));
  }
}

// Of "\uXXXX" at the front, perhaps with the low half of a pair behind it; how many bytes it took.
std::size_t decode_unicode(std::string_view text, std::string& out) {
  const std::uint32_t first = hex_at(text, 2).value_or(0);
  if (first >= 0xd800 && first < 0xdc00 && text.substr(6).starts_with("\\u")) {
    const std::uint32_t second = hex_at(text, 8).value_or(0);
    if (second >= 0xdc00 && second < 0xe000) {
      append_utf8(out, 0x10000 + ((first - 0xd800) << 10U) + (second - 0xdc00));
      return 12;
    }
  }
  append_utf8(out, first >= 0xd800 && first < 0xe000 ? 0xfffd : first);
  return 6;
}

// Of a valid string with its quotes.
std::string decode_string(std::string_view text) {
  constexpr std::string_view kNames = "\"\\/bfnrt", kValues = "\"\\/\b\f\n\r\t";
  text = text.substr(1, text.size() - 2);
  std::string out;
  out.reserve(text.size());
  while (!text.empty()) {
    std::size_t taken = 1;
    if (text[0] != '\\') {
      out += text[0];
    } else if (text[1] == 'u') {
      taken = decode_unicode(text, out);
    } else {
      out += kValues[kNames.find(text[1])];
      taken = 2;
    }
    text.remove_prefix(taken);
  }
  return out;
}

// Calls `take(name, value)` for each member or item of a valid object or array; `name` is empty for items.
template <class Take>
void visit(std::string_view list, Take take) {
  const bool named = list.front() == '{';
  Scanner scanner(list.substr(0, list.size() - 1));
  scanner.take(list.front());
  scanner.space();
  while (!scanner.at_end()) {
    std::string_view name;
    if (named) {
      const std::size_t begin = scanner.at();
      scanner.string();
      name = list.substr(begin, scanner.at() - begin);
      scanner.space();
      scanner.take(':');
      scanner.space();
    }
    const std::size_t begin = scanner.at();
    if (!scanner.value(kDeepest)) return;
    take(name, list.substr(begin, scanner.at() - begin));
    scanner.space();
    scanner.take(',');
    scanner.space();
  }
}

}  // namespace

Result<Json> Json::parse(std::string_view text) {
  Scanner scanner(text);
  scanner.space();
  const std::size_t begin = scanner.at();
  if (!scanner.value(kDeepest))
    return fail(Code::invalid_argument, "is no JSON, or is too deep, at byte " + std::to_string(scanner.at()));
  const std::size_t end = scanner.at();
  scanner.space();
  if (!scanner.at_end())
    return fail(Code::invalid_argument, "has something behind its JSON, at byte " + std::to_string(scanner.at()));
  return Json(text.substr(begin, end - begin));
}

Json::Kind Json::kind() const {
  switch (text_.front()) {
    case '{': return Kind::object;
    case '[': return Kind::array;
    case '"': return Kind::string;
    case 't':
    case 'f': return Kind::boolean;
    case 'n': return Kind::null;
    default: return Kind::number;
  }
}

std::optional<Json> Json::find(std::string_view name) const {
  std::optional<Json> out;
  if (kind() != Kind::object) return out;
  visit(text_, [&](std::string_view member, std::string_view value) {
    if (decode_string(member) == name) out = Json(value);
  });
  return out;
}

std::vector<Json> Json::items() const {
  std::vector<Json> out;
  if (kind() == Kind::array)
    visit(text_, [&out](std::string_view, std::string_view value) { out.push_back(Json(value)); });
  return out;
}

std::vector<std::pair<std::string, Json>> Json::members() const {
  std::vector<std::pair<std::string, Json>> out;
  if (kind() == Kind::object)
    visit(text_, [&out](std::string_view member, std::string_view value) {
      out.emplace_back(decode_string(member), Json(value));
    });
  return out;
}

std::optional<std::string> Json::string() const {
  if (kind() != Kind::string) return std::nullopt;
  return decode_string(text_);
}

std::optional<std::uint32_t> Json::number() const {
  if (kind() != Kind::number) return std::nullopt;
  return parse_number<std::uint32_t>(text_);
}

std::string Json::text_member(std::string_view name) const {
  const std::optional<Json> value = find(name);
  return value ? value->string().value_or("") : std::string();
}

}  // namespace omnitide::cni
