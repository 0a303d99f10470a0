#include "agent/policy/block_scalars.hpp"

#include <algorithm>

#include "agent/policy/words.hpp"

namespace omnitide::policy {

namespace {

constexpr std::size_t kLongestKey = 1024;  // YAML 1.2, 7.4.2: an implicit key

std::string_view without_trailing_spaces(std::string_view text) {
  const std::size_t last = text.find_last_not_of(' ');
  return text.substr(0, last == std::string_view::npos ? 0 : last + 1);
}

// Where the quoted text ends, `text` being behind its opening quote; npos: not in this text.
std::size_t closing_quote(std::string_view text, char quote) {
  for (std::size_t at = 0; at < text.size(); ++at) {
    if (quote == '"' && text[at] == '\\') {
      ++at;
    } else if (text[at] == quote) {
      if (quote == '"' || at + 1 >= text.size() || text[at + 1] != quote) return at;
      ++at;
    }
  }
  return std::string_view::npos;
}

bool unescape(std::string_view raw, std::string& out) {
  for (std::size_t at = 0; at < raw.size(); ++at) {
    if (raw[at] != '\\') {
      out += raw[at];
      continue;
    }
    if (++at == raw.size()) return false;
    constexpr std::string_view kNames = "\"\\/ nrt", kMeanings = "\"\\/ \n\r\t";
    if (const std::size_t found = kNames.find(raw[at]); found != std::string_view::npos) {
      out += kMeanings[found];
      continue;
    }
    const auto code = raw[at] == 'u' ? parse_hex(raw.substr(at + 1, 4), 4) : std::nullopt;
    if (!code || *code < 0x20 || (*code >= 0xd800 && *code < 0xe000)) return false;
    append_utf8(out, *code);
    at += 4;
  }
  return true;
}

// Whether a backslash that is not itself escaped stands at the end.
bool ends_in_escape(std::string_view line) {
  std::size_t count = 0;
  while (count < line.size() && line[line.size() - 1 - count] == '\\')
    ++count;
  return count % 2 == 1;
}

bool unquote(std::string_view raw, char quote, std::string& out) {
  if (quote == '"') return unescape(raw, out);
  for (std::size_t at = 0; at < raw.size(); ++at) {
    out += raw[at];
    if (raw[at] == '\'') ++at;  // two stand for one
  }
  return true;
}

// Whether a plain scalar may begin like this (ns-plain-first), as far as it is understood here.
bool begins_plain(std::string_view text) {
  if (text.empty() || std::string_view(" \t\n?:,[]{}#&*!|>'\"%@`").find(text[0]) != std::string_view::npos)
    return false;
  return text[0] != '-' || !is_blank_or_end(text.size() > 1 ? text[1] : '\0');
}

// Where a plain scalar on this line ends: at its comment, at a colon that makes it a key, or at the line's end.
std::size_t plain_end(std::string_view line) {
  std::size_t at = 0;
  while (true) {
    at = line.find_first_of(":#", at);
    if (at == std::string_view::npos) return line.size();
    const bool key = line[at] == ':' && is_blank_or_end(at + 1 < line.size() ? line[at + 1] : '\0');
    const bool comment = line[at] == '#' && at > 0 && line[at - 1] == ' ';
    if (key || comment) return at;
    ++at;
  }
}

}  // namespace

bool is_null_word(std::string_view word) {
  return word.empty() || word == "~" || word == "null" || word == "Null" || word == "NULL";
}

std::string_view BlockScanner::line_rest() const {
  const std::string_view left = rest();
  return left.substr(0, std::min(left.find('\n'), left.size()));
}

std::size_t BlockScanner::skip_spaces() {
  const std::size_t from = at_;
  while (peek() == ' ')
    ++at_;
  return at_ - from;
}

void BlockScanner::next_line() {
  const std::size_t found = text_.find('\n', at_);
  at_ = found == std::string_view::npos ? text_.size() : found + 1;
  ++line_;
}

bool BlockScanner::skip_flow_space(std::size_t outer) {
  skip_spaces();
  while (peek() == '\n') {
    next_line();
    const std::size_t column = indent();
    if (!is_line_end(peek(column)) && column <= outer) return false;
    at_ += column;
  }
  return true;
}

std::size_t BlockScanner::indent() const {
  std::size_t count = 0;
  while (peek(count) == ' ')
    ++count;
  return count;
}

bool BlockScanner::at_document_marker() const {
  return (rest().starts_with("---") || rest().starts_with("...")) && (is_blank_or_end(peek(3)) || peek(3) == '\t');
}

bool BlockScanner::ends_line() {
  const std::size_t blanks = skip_spaces();
  return ends_line_with_comment(blanks > 0);
}

bool BlockScanner::ends_line_with_comment(bool after_blank) {
  if (!is_line_end(peek()) && !(peek() == '#' && after_blank)) return false;
  next_line();
  return true;
}

std::size_t BlockScanner::key_length() {
  if (key_at_ == at_ && key_known_) return key_length_;
  key_at_ = at_;
  key_known_ = true;
  key_length_ = 0;
  const std::string_view line = line_rest();
  const char first = peek();
  std::size_t length = 0;
  if (first == '"' || first == '\'') {
    const std::size_t close = closing_quote(line.substr(1), first);
    if (close == std::string_view::npos) return 0;
    length = close + 2;
  } else {
    if (!begins_plain(line)) return 0;
    length = plain_end(line);
    if (line.substr(0, length).find('\t') != std::string_view::npos || (length > 0 && line[length - 1] == ' '))
      return 0;
  }
  const bool colon = length < line.size() && line[length] == ':';
  if (!colon || !is_blank_or_end(length + 1 < line.size() ? line[length + 1] : '\0') || length > kLongestKey) return 0;
  return key_length_ = length;
}

bool BlockScanner::quoted_on_line(std::string& out) {
  const char quote = peek();
  const std::string_view line = line_rest().substr(1);
  const std::size_t close = closing_quote(line, quote);
  out.clear();
  if (close == std::string_view::npos || !unquote(line.substr(0, close), quote, out)) return false;
  at_ += close + 2;
  return true;
}

bool BlockScanner::quoted(std::size_t outer, std::string& out) {
  const char quote = peek();
  if (closing_quote(line_rest().substr(1), quote) != std::string_view::npos) return quoted_on_line(out);
  out.clear();
  ++at_;
  std::size_t breaks = 0;  // since the last words
  bool joined = false;     // the last line end was escaped
  for (bool first = true; !ended(); first = false) {
    if (!first) {
      const std::size_t column = indent();
      if (is_line_end(peek(column))) {
        if (joined) return false;
        ++breaks;
        next_line();
        continue;
      }
      if (column <= outer) return false;
      at_ += column;
      if (!joined) out.append(std::max<std::size_t>(breaks - 1, 1), breaks > 1 ? '\n' : ' ');
    }
    std::string_view line = line_rest();
    const std::size_t close = closing_quote(line, quote);
    const bool last = close != std::string_view::npos;
    if (line.substr(0, close).find('\t') != std::string_view::npos) return false;
    joined = !last && quote == '"' && ends_in_escape(line);
    line = last ? line.substr(0, close) : joined ? line.substr(0, line.size() - 1) : without_trailing_spaces(line);
    if (!unquote(line, quote, out)) return false;
    if (last) {
      at_ += close + 1;
      return true;
    }
    next_line();
    breaks = 1;
  }
  return false;
}

bool BlockScanner::plain(std::size_t outer, std::string_view& word, std::string& buffer) {
  bool commented = false;
  const auto take = [this, &commented](std::string_view& out) {
    const std::string_view line = line_rest();
    if (!begins_plain(line)) return false;
    const std::size_t length = plain_end(line);
    if (length < line.size() && line[length] == ':') return false;
    commented = length < line.size();
    out = without_trailing_spaces(line.substr(0, length));
    next_line();
    return out.find('\t') == std::string_view::npos;
  };
  if (!take(word)) return false;
  bool folded = false;
  while (true) {
    // What comes next: deeper lines belong to this scalar, unless a comment ended it.
    const std::size_t before = at_;
    const std::uint32_t line_before = line_;
    std::size_t breaks = 1, column = indent();
    for (; !ended() && (is_line_end(peek(column)) || peek(column) == '#'); column = indent()) {
      commented = commented || peek(column) == '#';
      ++breaks;
      next_line();
    }
    if (ended() || column <= outer) {
      at_ = before;
      line_ = line_before;
      return true;
    }
    if (commented) return false;
    if (!folded) buffer = word;
    folded = true;
    breaks > 1 ? buffer.append(breaks - 1, '\n') : buffer.append(1, ' ');
    at_ += column;
    std::string_view more;
    if (!take(more)) return false;
    buffer += more;
    word = buffer;
  }
}

bool BlockScanner::block_scalar(std::size_t outer, std::string& out) {
  const bool literal = peek() == '|';
  ++at_;
  std::size_t block = 0, breaks = 0;  // the column of its text; line ends since the last words
  if (peek() >= '1' && peek() <= '9') {
    block = outer + static_cast<std::size_t>(peek() - '0');
    ++at_;
  }
  const char chomping = peek();
  if (chomping == '-' || chomping == '+') ++at_;
  if (!ends_line()) return false;
  out.clear();
  bool begun = false;
  while (!ended()) {
    const std::size_t column = indent();
    if (is_line_end(peek(column))) {
      if (block == 0 ? column > 0 : column > block) return false;
      if (at_ + column >= text_.size()) return false;
      ++breaks;
      next_line();
      continue;
    }
    if (!begun && (block == 0 || column >= block)) {
      if (column <= outer || peek(column) == '\t') return false;
      if (block == 0) block = column;
      begun = true;
      out.append(breaks, '\n');
    } else if (column < block) {
      if (column > outer || peek(column) == '\t') return false;
      break;
    } else if (literal || breaks > 1) {
      out.append(literal ? breaks : breaks - 1, '\n');
    } else {
      out += ' ';
    }
    const char first = peek(block);
    if (!literal && (first == ' ' || first == '\t')) return false;
    at_ += block;
    const std::string_view line = line_rest();
    out += line;
    if (at_ + line.size() >= text_.size()) return false;  // what the last line's missing end means is left to others
    next_line();
    breaks = 1;
  }
  if (!begun) return false;
  if (chomping == '+') out.append(breaks, '\n');
  if (chomping != '+' && chomping != '-') out += '\n';
  return true;
}

bool BlockScanner::flow_plain(std::string_view& word) {
  const std::string_view line = line_rest();
  if (!begins_plain(line)) return false;
  std::size_t at = 0;
  for (; at < line.size(); ++at) {
    const char c = line[at];
    if (c == ',' || c == ']' || c == '}') break;
    if (c == '[' || c == '{' || c == '?' || c == '\t' || (c == '#' && line[at - 1] == ' ')) return false;
    if (c != ':') continue;
    const char next = at + 1 < line.size() ? line[at + 1] : '\0';
    if (is_blank_or_end(next)) break;
    if (next == ',' || next == ']' || next == '}' || next == '[' || next == '{') return false;
  }
  if (at == line.size()) return false;
  word = without_trailing_spaces(line.substr(0, at));
  at_ += word.size();
  return word.size() == at || line[at] != ':';
}

}  // namespace omnitide::policy
