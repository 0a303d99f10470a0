// The common part of YAML, quickly. It takes only what it understands exactly as yaml-cpp does (a fuzz target compares
// the two) and leaves all else: anchors, tags, complex keys, tabs, documents of one scalar, rare escapes.
// Names of productions: YAML 1.2, chapters 7 and 8.
#include <algorithm>
#include <cstring>
#include <string>

#include "agent/policy/block_scalars.hpp"
#include "agent/policy/events.hpp"

namespace omnitide::policy {

namespace {

class BlockReader {
 public:
  BlockReader(std::string_view text, std::uint32_t line, Events& events) : in_(text, line), events_(events) {}

  bool run() {
    if (in_.rest().find('\r') != std::string_view::npos || in_.rest().starts_with("\xef\xbb\xbf")) return false;
    if (in_.rest().starts_with("---")) {
      in_.skip(3);
      if (!in_.ends_line()) return false;
    }
    if (!next_content()) return false;
    if (done_) return true;  // an empty document
    if (at_sequence() || key_length() == 0) return false;
    return block_map(column_, 1) && next_content() && done_;
  }

 private:
  // Goes to the next line that has more than a comment; column_ is where its content begins. False: leave it.
  bool next_content() {
    while (true) {
      if (in_.ended()) {
        done_ = true;
        column_ = 0;
        return true;
      }
      column_ = in_.indent();
      if (in_.at_indent_end_of_line(column_)) {
        in_.next_line();
        continue;
      }
      in_.skip(column_);
      const char c = in_.peek();
      if (c == '\t' || (column_ == 0 && in_.at_document_marker())) return false;
      if (c != '#') return true;
      in_.next_line();
    }
  }

  [[nodiscard]] bool at_sequence() const { return in_.peek() == '-' && is_blank_or_end(in_.peek(1)); }
  // The length of a key at the cursor with its quotes, without the colon; 0: there is none that is understood.
  [[nodiscard]] std::size_t key_length() { return in_.key_length(); }

  // A value at the cursor, `column_` columns into its line, that belongs to a parent at column `outer`.
  bool block_node(std::size_t outer, std::size_t depth) {
    if (depth > kDeepestReader || events_.stopped()) return false;
    if (at_sequence()) return block_sequence(column_, depth);
    if (key_length() > 0) return block_map(column_, depth);
    return inline_value(outer, depth);
  }

  bool block_sequence(std::size_t column, std::size_t depth) {
    events_.open_list(in_.line());
    while (true) {
      const std::uint32_t line = in_.line();
      in_.skip(1);
      const std::size_t blanks = in_.skip_spaces();
      if (in_.ends_line_with_comment(blanks > 0)) {
        if (!next_content()) return false;
        if (done_ || column_ <= column) {
          events_.scalar(line, {}, Style::null);
        } else if (!block_node(column, depth + 1)) {
          return false;
        }
      } else {
        if (blanks == 0) return false;
        column_ = column + 1 + blanks;
        if (!block_node(column, depth + 1)) return false;
      }
      if (done_ || column_ < column) break;
      if (column_ > column) return false;
      if (!at_sequence()) break;  // the parent map goes on at the same column, or it is an error: the caller sees
    }
    events_.close();
    return true;
  }

  bool block_map(std::size_t column, std::size_t depth) {
    events_.open_map(in_.line());
    while (true) {
      if (!key()) return false;
      const std::uint32_t line = in_.line();
      const std::size_t blanks = in_.skip_spaces();
      if (in_.ends_line_with_comment(blanks > 0)) {
        if (!next_content()) return false;
        const bool sequence_here = !done_ && column_ == column && at_sequence();
        if (sequence_here) {
          if (!block_sequence(column, depth + 1)) return false;
        } else if (done_ || column_ <= column) {
          events_.scalar(line, {}, Style::null);
        } else if (!block_node(column, depth + 1)) {
          return false;
        }
      } else if (!inline_value(column, depth + 1)) {
        return false;
      }
      if (done_ || column_ < column) break;
      if (column_ > column || at_sequence() || key_length() == 0) return false;
    }
    events_.close();
    return true;
  }

  bool key() {
    const std::size_t length = key_length();
    if (length == 0) return false;
    const char first = in_.peek();
    if (first == '"' || first == '\'') {
      if (!in_.quoted_on_line(buffer_)) return false;
      events_.scalar(in_.line(), buffer_, Style::quoted);
    } else {
      const std::string_view word = in_.rest().substr(0, length);
      if (is_null_word(word)) return false;
      events_.scalar(in_.line(), word, Style::plain);
      in_.skip(length);
    }
    in_.skip(1);  // the colon
    return true;
  }

  // A scalar or a flow collection on what is left of the line, and the lines that continue it. Goes on to the next
  // content.
  bool inline_value(std::size_t outer, std::size_t depth) {
    const std::uint32_t line = in_.line();
    switch (in_.peek()) {
      case '|':
      case '>':
        if (!in_.block_scalar(outer, buffer_)) return false;
        events_.scalar(line, buffer_, Style::quoted);
        return next_content();
      case '"':
      case '\'':
        if (!in_.quoted(outer, buffer_) || !in_.ends_line()) return false;
        events_.scalar(line, buffer_, Style::quoted);
        return next_content();
      case '{':
      case '[': return flow(outer, depth) && in_.ends_line() && next_content();
      default: return plain(outer);
    }
  }

  bool plain(std::size_t outer) {
    const std::uint32_t line = in_.line();
    std::string_view word;
    if (!in_.plain(outer, word, buffer_)) return false;
    events_.scalar(line, word, is_null_word(word) ? Style::null : Style::plain);
    return next_content();
  }

  bool flow(std::size_t outer, std::size_t depth) {
    if (depth > kDeepestReader) return false;
    const bool map = in_.peek() == '{';
    const char end = map ? '}' : ']';
    map ? events_.open_map(in_.line()) : events_.open_list(in_.line());
    in_.skip(1);
    if (!in_.skip_flow_space(outer)) return false;
    bool first = true;
    while (in_.peek() != end) {
      if (!first) {
        if (in_.peek() != ',') return false;
        in_.skip(1);
        if (!in_.skip_flow_space(outer)) return false;
      }
      first = false;
      if (map && !flow_key(outer)) return false;
      if (!flow_value(outer, depth) || !in_.skip_flow_space(outer)) return false;
    }
    in_.skip(1);
    events_.close();
    return true;
  }

  bool flow_key(std::size_t outer) {
    if (!flow_scalar(true)) return false;
    if (in_.peek() != ':' || !is_blank_or_end(in_.peek(1))) return false;
    in_.skip(1);
    return in_.skip_flow_space(outer);
  }
  bool flow_value(std::size_t outer, std::size_t depth) {
    const char c = in_.peek();
    if (c == '{' || c == '[') return flow(outer, depth + 1);
    return flow_scalar(false);
  }
  bool flow_scalar(bool key) {
    const std::uint32_t line = in_.line();
    const char c = in_.peek();
    if (c == '"' || c == '\'') {
      if (!in_.quoted_on_line(buffer_)) return false;
      events_.scalar(line, buffer_, Style::quoted);
      return true;
    }
    std::string_view word;
    if (!in_.flow_plain(word)) return false;
    if (key && is_null_word(word)) return false;
    events_.scalar(line, word, is_null_word(word) ? Style::null : Style::plain);
    return true;
  }

  BlockScanner in_;
  Events& events_;
  std::string buffer_;
  std::size_t column_ = 0;
  bool done_ = false;
};

}  // namespace

bool read_block_yaml(std::string_view text, std::uint32_t line, Events& events) {
  return BlockReader(text, line, events).run();
}

}  // namespace omnitide::policy
