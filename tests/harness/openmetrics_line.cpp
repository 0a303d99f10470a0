#include "tests/harness/openmetrics_line.hpp"

#include <cmath>
#include <cstdlib>
#include <stdexcept>

namespace omnitide::test {

namespace {

bool letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_'; }
bool digit(char c) { return c >= '0' && c <= '9'; }

std::size_t name_length(std::string_view text, bool colon) {
  std::size_t n = 0;
  while (n < text.size() && (letter(text[n]) || (colon && text[n] == ':') || (n > 0 && digit(text[n]))))
    ++n;
  return n;
}

char take_one(std::string_view& text, std::string_view what) {
  need(!text.empty(), "ends before " + std::string(what));
  const char c = text.front();
  text.remove_prefix(1);
  return c;
}

std::map<std::string, std::string> take_labels(std::string_view& rest) {
  std::map<std::string, std::string> out;
  need(take_one(rest, "labels") == '{', "labels start with {");
  if (!rest.empty() && rest.front() == '}') {
    rest.remove_prefix(1);
    return out;
  }
  while (true) {
    const std::size_t length = name_length(rest, false);
    need(length > 0, "no label name");
    const std::string name(rest.substr(0, length));
    rest.remove_prefix(length);
    need(rest.starts_with("=\""), "no =\" behind a label name");
    rest.remove_prefix(2);
    std::size_t end = 0;
    while (end < rest.size() && rest[end] != '"')
      end += rest[end] == '\\' ? 2U : 1U;
    need(end < rest.size(), "a label value has no end");
    need(out.emplace(name, unescape(rest.substr(0, end))).second, "label " + name + " twice");
    rest.remove_prefix(end + 1);
    const char next = take_one(rest, "the end of labels");
    if (next == '}') return out;
    need(next == ',', "labels are separated by commas");
  }
}

std::string_view take_word(std::string_view& rest) {
  const std::size_t end = std::min(rest.find(' '), rest.size());
  const std::string_view out = rest.substr(0, end);
  rest.remove_prefix(end);
  need(!out.empty(), "two blanks, or one at the end");
  return out;
}

void take_timestamp(std::string_view& rest) {
  if (rest.empty() || rest.starts_with(" # ")) return;
  need(take_one(rest, "a time") == ' ', "no blank before a time");
  need(std::isfinite(parse_real(take_word(rest))), "a time is finite");
}

std::size_t characters(const std::string& text) {
  std::size_t out = 0;
  for (const char c : text)
    out += (c & '\xC0') != '\x80' ? 1U : 0U;
  return out;
}

}  // namespace

void refuse(const std::string& what) { throw std::runtime_error(what); }

void need_metric_name(std::string_view name) {
  need(!name.empty() && name_length(name, true) == name.size(), "\"" + std::string(name) + "\" is no name");
}

std::string unescape(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    need(text[i] != '"', "a bare quote");
    if (text[i] != '\\') {
      out += text[i];
      continue;
    }
    need(++i < text.size(), "a backslash at the end");
    need(text[i] == '\\' || text[i] == '"' || text[i] == 'n', "an escape that is none");
    out += text[i] == 'n' ? '\n' : text[i];
  }
  return out;
}

double parse_real(std::string_view text) {
  const std::string word(text);
  if (word == "NaN") return NAN;
  if (word == "+Inf") return HUGE_VAL;
  if (word == "-Inf") return -HUGE_VAL;
  std::size_t at = !word.empty() && (word[0] == '-' || word[0] == '+') ? 1 : 0;
  std::size_t digits = 0;
  for (; at < word.size() && digit(word[at]); ++at)
    ++digits;
  if (at < word.size() && word[at] == '.')
    for (++at; at < word.size() && digit(word[at]); ++at)
      ++digits;
  need(digits > 0, "\"" + word + "\" is no number");
  if (at < word.size() && (word[at] == 'e' || word[at] == 'E')) {
    ++at;
    if (at < word.size() && (word[at] == '-' || word[at] == '+')) ++at;
    need(at < word.size(), "\"" + word + "\" has no exponent");
    while (at < word.size() && digit(word[at]))
      ++at;
  }
  need(at == word.size(), "\"" + word + "\" is no number");
  return std::strtod(word.c_str(), nullptr);
}

OpenLine parse_sample(std::string_view rest) {
  OpenLine out;
  const std::size_t length = name_length(rest, true);
  need(length > 0, "no metric name");
  out.sample.name = rest.substr(0, length);
  rest.remove_prefix(length);
  if (rest.starts_with('{')) out.sample.labels = take_labels(rest);
  need(take_one(rest, "the value") == ' ', "no blank before the value");
  out.sample.value = parse_real(take_word(rest));
  take_timestamp(rest);
  if (rest.empty()) return out;
  need(rest.starts_with(" # "), "something behind the value");
  rest.remove_prefix(3);
  std::map<std::string, std::string> labels = take_labels(rest);
  std::size_t size = 0;
  for (const auto& [name, value] : labels)
    size += characters(name) + characters(value);
  need(size <= 128, "an exemplar's labels are longer than 128 characters");
  need(take_one(rest, "an exemplar's value") == ' ', "no blank before an exemplar's value");
  out.exemplar = {std::move(labels), parse_real(take_word(rest))};
  out.sample.has_exemplar = true;
  take_timestamp(rest);
  need(rest.empty(), "something behind an exemplar");
  return out;
}

}  // namespace omnitide::test
