// The scanner under read_block_yaml: lines, keys and scalars. Every function that returns false leaves the text to
// yaml-cpp. Inside this room only.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace omnitide::policy {

[[nodiscard]] constexpr bool is_blank_or_end(char c) { return c == ' ' || c == '\n' || c == '\0'; }
// YAML's words for nothing, and no word at all.
[[nodiscard]] bool is_null_word(std::string_view word);

class BlockScanner {
 public:
  BlockScanner(std::string_view text, std::uint32_t line) : text_(text), line_(line) {}

  [[nodiscard]] std::string_view rest() const { return text_.substr(at_); }
  [[nodiscard]] std::uint32_t line() const { return line_; }
  [[nodiscard]] bool ended() const { return at_ >= text_.size(); }
  // '\0' behind the end; the text itself has none.
  [[nodiscard]] char peek(std::size_t ahead = 0) const {
    return at_ + ahead < text_.size() ? text_[at_ + ahead] : '\0';
  }
  void skip(std::size_t count) { at_ += count; }
  std::size_t skip_spaces();
  void next_line();  // from anywhere in a line
  // Blanks and line ends, where the lines are indented deeper than `outer`.
  bool skip_flow_space(std::size_t outer);

  // At the begin of a line.
  [[nodiscard]] std::size_t indent() const;
  [[nodiscard]] bool at_indent_end_of_line(std::size_t indent) const { return is_line_end(peek(indent)); }
  [[nodiscard]] bool at_document_marker() const;

  // Whether only blanks and a comment are left of the line; then goes behind it.
  bool ends_line();
  bool ends_line_with_comment(bool after_blank);

  // The length of a key with its quotes, which a colon and a blank or the line's end follow; 0: none.
  [[nodiscard]] std::size_t key_length();

  // Scalars. Those with `outer` may go on in lines that are indented deeper than that column.
  bool quoted_on_line(std::string& out);                                       // ends behind the quote
  bool quoted(std::size_t outer, std::string& out);                            // ends behind the quote
  bool plain(std::size_t outer, std::string_view& word, std::string& buffer);  // ends at the begin of a line
  bool block_scalar(std::size_t outer, std::string& out);                      // ends at the begin of a line
  bool flow_plain(std::string_view& word);                                     // ends behind the word

 private:
  static constexpr bool is_line_end(char c) { return c == '\n' || c == '\0'; }
  [[nodiscard]] std::string_view line_rest() const;

  std::string_view text_;
  std::size_t at_ = 0;
  std::uint32_t line_ = 1;
  std::size_t key_at_ = 0, key_length_ = 0;  // the last answer of key_length()
  bool key_known_ = false;
};

}  // namespace omnitide::policy
