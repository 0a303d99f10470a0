#include "agent/policy/tree.hpp"

#include <algorithm>

#include "agent/base/text.hpp"

namespace omnitide::policy {

namespace {

// What a usual object needs stays reserved from one to the next; what a huge one needed is given back.
constexpr std::size_t kKeptNodes = 16'384, kKeptBytes = 1U << 20U;
constexpr std::size_t kLongestStep = 80;

// A key in a path: as it is, or quoted in brackets where a dot in it would mislead.
std::string step(std::string_view key) {
  const std::string shown = printable(key, kLongestStep);
  return shown.find('.') == std::string::npos ? "." + shown : "[\"" + shown + "\"]";
}

}  // namespace

void Tree::clear() {
  if (nodes_.capacity() > kKeptNodes) nodes_ = {};
  if (words_.capacity() > kKeptBytes) words_ = {};
  nodes_.clear();
  words_.clear();
}

std::uint32_t Tree::add(std::uint32_t parent, std::uint32_t previous, std::string_view key, const Node& node) {
  const auto index = static_cast<std::uint32_t>(nodes_.size());
  nodes_.push_back(node);
  Node& added = nodes_.back();
  added.parent = parent;
  added.key = static_cast<std::uint32_t>(words_.size());
  added.key_size = static_cast<std::uint32_t>(key.size());
  words_ += key;
  if (previous != kNone) {
    nodes_[previous].next = index;
  } else if (parent != kNone) {
    nodes_[parent].begin = index;
  }
  if (parent != kNone) ++nodes_[parent].size;
  return index;
}

std::uint32_t Tree::add_scalar(std::uint32_t parent, std::uint32_t previous, std::string_view key, const Node& node,
                               std::string_view text) {
  const std::uint32_t index = add(parent, previous, key, node);
  nodes_[index].begin = static_cast<std::uint32_t>(words_.size());
  nodes_[index].size = static_cast<std::uint32_t>(text.size());
  words_ += text;
  return index;
}

std::string_view Tree::text(std::uint32_t index) const {
  const Node& node = nodes_[index];
  if (node.kind != Kind::scalar) return {};
  return std::string_view(words_).substr(node.begin, node.size);
}

std::string_view Tree::key(std::uint32_t index) const {
  return std::string_view(words_).substr(nodes_[index].key, nodes_[index].key_size);
}

std::string Tree::path(std::uint32_t index) const {
  std::vector<std::string> steps;
  for (std::uint32_t at = index; nodes_[at].parent != kNone; at = nodes_[at].parent) {
    const Node& parent = nodes_[nodes_[at].parent];
    if (parent.kind == Kind::map) {
      steps.push_back(step(key(at)));
      continue;
    }
    std::size_t position = 0;
    for (std::uint32_t item = parent.begin; item != at; item = nodes_[item].next)
      ++position;
    steps.push_back("[" + std::to_string(position) + "]");
  }
  std::string out;
  std::for_each(steps.rbegin(), steps.rend(), [&out](const std::string& part) { out += part; });
  return out.starts_with('.') ? out.substr(1) : out;
}

}  // namespace omnitide::policy
