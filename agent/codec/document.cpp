#include "agent/codec/document.hpp"

#include <algorithm>
#include <array>
#include <cctype>

#include "agent/base/text.hpp"

namespace omnitide::codec {

// --- JSON ---

void JsonWriter::break_line() {
  if (!pretty_) return;
  out_ += '\n';
  out_.append(depth_ * 2, ' ');
}

void JsonWriter::separate() {
  if (after_key_) {
    after_key_ = false;
    return;
  }
  if (depth_ == 0) return;
  if (!first_) out_ += ',';
  break_line();
}

void JsonWriter::open(char bracket, std::size_t /*count*/) {
  separate();
  out_ += bracket;
  ++depth_;
  first_ = true;
}

void JsonWriter::close(char bracket) {
  --depth_;
  if (!first_) break_line();
  out_ += bracket;
  first_ = false;
}

void JsonWriter::key(std::string_view name) {
  separate();
  out_ += json_quote(name);
  out_ += pretty_ ? ": " : ":";
  after_key_ = true;
  first_ = false;
}

void JsonWriter::text(std::string_view value) { literal(json_quote(value)); }

void JsonWriter::literal(std::string_view value) {
  separate();
  out_ += value;
  first_ = false;
}

std::string JsonWriter::take() {
  if (pretty_) out_ += '\n';
  return std::move(out_);
}

// --- YAML ---

namespace {

// Plain scalars that some reader takes for a boolean or a null (YAML 1.1, section 10; YAML 1.2.2, section 10.2).
constexpr std::array<std::string_view, 8> kWords{"y", "n", "yes", "no", "on", "off", "true", "false"};

bool stands_plain(std::string_view value) {
  if (value.empty()) return false;
  // A letter first: no number in any base, no indicator, no white space. "nan" and "inf" need a dot to be numbers.
  const auto letter = [](char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); };
  if (!letter(value.front())) return false;
  const bool harmless = std::all_of(value.begin(), value.end(), [letter](char c) {
    return letter(c) || (c >= '0' && c <= '9') || std::string_view("_-./+@()=, ").find(c) != std::string_view::npos;
  });
  if (!harmless || value.back() == ' ') return false;
  const std::string lower = to_lower(value);
  return lower != "null" && std::find(kWords.begin(), kWords.end(), lower) == kWords.end();
}

}  // namespace

void YamlWriter::start_line() {
  if (!on_dash_) out_.append(levels_.back().indent, ' ');
  on_dash_ = false;
}

void YamlWriter::open(char kind, std::size_t count) {
  const std::size_t outer = levels_.empty() ? 0 : levels_.back().indent;
  if (count == 0) {
    scalar(kind == '{' ? "{}" : "[]");
    levels_.push_back({kind, outer});
    return;
  }
  if (levels_.empty()) {
    levels_.push_back({kind, 0});
    return;
  }
  if (in_list()) {
    start_line();
    out_ += "- ";
    on_dash_ = true;
  } else {
    out_ += '\n';
  }
  levels_.push_back({kind, outer + 2});
}

void YamlWriter::key(std::string_view name) {
  start_line();
  out_ += stands_plain(name) ? std::string(name) : json_quote(name);
  out_ += ':';
}

void YamlWriter::scalar(std::string_view value) {
  if (in_list()) {
    start_line();
    out_ += "- ";
  } else if (!levels_.empty()) {
    out_ += ' ';
  }
  out_ += value;
  out_ += '\n';
}

// A JSON string is a YAML double-quoted scalar (YAML 1.2.2, section 1.2).
void YamlWriter::text(std::string_view value) { scalar(stands_plain(value) ? std::string(value) : json_quote(value)); }

}  // namespace omnitide::codec
