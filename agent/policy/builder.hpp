// Builds the tree of one object from events, within limits. What the object must not have is noted, and only counts
// when the object turns out to be one that policy is made of. Inside this room only.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "agent/policy/events.hpp"
#include "agent/policy/parse.hpp"
#include "agent/policy/tree.hpp"

namespace omnitide::policy {

struct Head {
  std::string api_version, kind;
};

class ObjectBuilder {
 public:
  struct Problem {
    std::uint32_t line = 0;
    std::string field, message, hint;
  };

  explicit ObjectBuilder(const ParseLimits& limits) : limits_(limits) {}

  // The object's map opens. `head` stands for what the object itself does not say.
  void begin(std::uint32_t line, Head head);
  void open(Tree::Kind kind, std::uint32_t line);
  void close();
  void scalar(std::uint32_t line, std::string_view text, Style style);
  void odd(std::uint32_t line, std::string_view what);

  [[nodiscard]] bool done() const { return depth_ == 0; }
  // At the object's own level: the key whose value comes next; empty when a key comes next.
  [[nodiscard]] std::string_view awaits_value_of() const {
    return depth_ == 1 && root_has_key_ ? std::string_view(root_key_) : std::string_view{};
  }
  // The value of that key was taken elsewhere.
  void value_taken();

  [[nodiscard]] const Head& head() const { return head_; }
  [[nodiscard]] bool says_kind() const { return own_kind_; }
  [[nodiscard]] bool ambiguous() const { return ambiguous_; }  // says two kinds or versions
  [[nodiscard]] std::uint32_t line() const { return line_; }
  [[nodiscard]] const Tree& tree() const { return tree_; }  // partial when there are problems or it is foreign
  [[nodiscard]] const std::vector<Problem>& problems() const { return problems_; }

 private:
  struct Level {
    std::uint32_t node = Tree::kNone, last = Tree::kNone;
    std::string key;
    std::uint32_t key_line = 0;
    bool map = false, has_key = false;
  };

  void take_root_scalar(std::string_view text, Style style);
  void take_key(Level& level, std::uint32_t line, std::string_view text, Style style);
  bool take_container_key(std::uint32_t line);
  [[nodiscard]] bool room(std::uint32_t line, std::size_t bytes);
  void stop_storing();
  void check_keys(std::uint32_t node);
  void problem(std::uint32_t line, std::string message, std::string hint);

  const ParseLimits& limits_;
  Tree tree_;
  Head head_;
  std::uint32_t line_ = 0;
  std::vector<Problem> problems_;
  std::vector<Level> levels_;  // the first `used_` are open; the others keep their memory
  std::vector<std::uint32_t> order_;
  std::size_t used_ = 0;
  std::size_t depth_ = 0;    // open containers, stored or not
  std::size_t skipped_ = 0;  // of them, those inside a value that is not kept
  bool storing_ = false;
  bool own_version_ = false, own_kind_ = false;  // said by the object itself
  bool ambiguous_ = false;
  bool root_has_key_ = false, root_container_is_key_ = false;
  std::string root_key_;
};

}  // namespace omnitide::policy
