// Reads kernel attributes under a root and remembers what went wrong on the way. A file that is absent, or whose device
// has just gone, is no problem; anything else is one.
#pragma once

#include <concepts>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "agent/base/error.hpp"
#include "agent/base/root.hpp"
#include "agent/base/text.hpp"

namespace omnitide::discovery {

class Reader {
 public:
  explicit Reader(const Root& root) : root_(root) {}  // `root` must outlive the reader

  [[nodiscard]] const Root& root() const { return root_; }

  // The whole file; nullopt when absent or unreadable.
  [[nodiscard]] std::optional<std::string> file(const std::string& path, std::size_t limit = 64U << 10U);
  // At most the first `limit` bytes; `truncated` says whether there was more. For files that grow with the machine.
  struct Head {
    std::string text;
    bool truncated = false;
  };
  [[nodiscard]] std::optional<Head> head(const std::string& path, std::size_t limit);
  // The trimmed first line of an attribute, up to a NUL (device trees have them), fit to be printed and to be UTF-8;
  // empty when absent, unreadable or longer than 4096 bytes.
  [[nodiscard]] std::string attribute(const std::string& path);
  // An attribute that is one number. Text that is no number is a problem, an empty or absent file is none.
  template <std::integral T>
  [[nodiscard]] std::optional<T> number(const std::string& path) {
    const std::string text = attribute(path);
    if (text.empty()) return std::nullopt;
    const std::optional<T> value = parse_number<T>(text);
    if (!value) malformed(path, text);
    return value;
  }
  // Sorted names in a folder; empty when absent or unreadable.
  [[nodiscard]] std::vector<std::string> names(const std::string& path);

  void problem(std::string_view sentence);
  void malformed(std::string_view path, std::string_view text);

  // How many problems there were so far.
  [[nodiscard]] std::size_t problem_count() const { return count_; }
  // The sentences, bounded: the first kMaxProblems, then how many more.
  [[nodiscard]] std::vector<std::string> take_problems() &&;

 private:
  static constexpr std::size_t kMaxProblems = 128;
  void note(const Error& error);

  const Root& root_;
  std::vector<std::string> problems_;
  std::size_t count_ = 0;
};

}  // namespace omnitide::discovery
