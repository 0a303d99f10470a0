// One object as a compact tree: nodes of 36 bytes in one vector, words in one string, both used again for the next
// object. Inside this room only.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace omnitide::policy {

class Tree {
 public:
  static constexpr std::uint32_t kNone = 0xffffffff;
  enum class Kind : std::uint8_t { null, scalar, list, map };
  struct Node {
    std::uint32_t line = 0, parent = kNone, next = kNone;
    std::uint32_t key = 0, key_size = 0;    // inside words, when the parent is a map
    std::uint32_t begin = kNone, size = 0;  // a scalar's words; else the first child and the number of children
    Kind kind = Kind::null;
    bool plain = false;  // a scalar without quotes
  };

  void clear();
  // Adds a child behind `previous` (kNone: the first one) of `parent` (kNone: the root itself).
  std::uint32_t add(std::uint32_t parent, std::uint32_t previous, std::string_view key, const Node& node);
  std::uint32_t add_scalar(std::uint32_t parent, std::uint32_t previous, std::string_view key, const Node& node,
                           std::string_view text);

  [[nodiscard]] bool empty() const { return nodes_.empty(); }
  [[nodiscard]] std::size_t values() const { return nodes_.size(); }
  [[nodiscard]] std::size_t bytes() const { return words_.size(); }
  [[nodiscard]] const Node& node(std::uint32_t index) const { return nodes_[index]; }
  [[nodiscard]] std::string_view text(std::uint32_t index) const;  // of a scalar, else empty
  [[nodiscard]] std::string_view key(std::uint32_t index) const;
  // "spec.ingress[0].ports[1]"; empty for the root.
  [[nodiscard]] std::string path(std::uint32_t index) const;

 private:
  std::vector<Node> nodes_;
  std::string words_;
};

}  // namespace omnitide::policy
