// Text on its way out: pieces are gathered in one block of memory and handed on when it is full.
#pragma once

#include <cstddef>
#include <cstring>
#include <functional>
#include <memory>
#include <string_view>

namespace omnitide::metrics {

// Takes a piece of text; the view is good until it returns.
using Sink = std::function<void(std::string_view)>;

class TextBuffer {
 public:
  explicit TextBuffer(const Sink& sink, std::size_t capacity = std::size_t{32} * 1024)
      : sink_(sink), bytes_(new char[capacity]), capacity_(capacity) {}

  void append(std::string_view text) {
    if (text.empty()) return;
    std::memcpy(room(text.size()), text.data(), text.size());
    used_ += text.size();
  }
  void append(char c) {
    *room(1) = c;
    ++used_;
  }
  // Space for `size` bytes, to be followed by wrote().
  [[nodiscard]] char* room(std::size_t size) {
    if (capacity_ - used_ < size) make_room(size);
    return bytes_.get() + used_;
  }
  void wrote(std::size_t size) { used_ += size; }
  void flush() {
    if (used_ > 0) sink_(std::string_view(bytes_.get(), used_));
    total_ += used_;
    used_ = 0;
  }
  [[nodiscard]] std::size_t total() const { return total_ + used_; }  // bytes appended so far

 private:
  void make_room(std::size_t size) {
    flush();
    if (size <= capacity_) return;
    bytes_.reset(new char[size]);
    capacity_ = size;
  }

  const Sink& sink_;
  std::unique_ptr<char[]> bytes_;
  std::size_t capacity_, used_ = 0, total_ = 0;
};

// The shortest digits that read back as the same double; whole numbers below 2^53 without an exponent; NaN, +Inf, -Inf.
void append_number(TextBuffer& out, double value);
// The same for the bound of a bucket or a quantile in OpenMetrics, whose canonical form has a point: "1.0".
void append_bound(TextBuffer& out, double value);
// Inside of double quotes: backslash, quote and line feed are escaped.
void append_quoted(TextBuffer& out, std::string_view text);
// The same for HELP in text 0.0.4, which leaves quotes as they are.
void append_help(TextBuffer& out, std::string_view text);

}  // namespace omnitide::metrics
