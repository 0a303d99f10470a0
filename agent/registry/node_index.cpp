#include "agent/registry/node_index.hpp"

#include <algorithm>
#include <utility>

namespace omnitide::registry {

void NodeIndex::put(NodeRecord node) {
  auto [at, fresh] = nodes_.try_emplace(node.node_id);
  NodeRecord& known = at->second;
  if (fresh) {
    by_id_.emplace(at->first, &known);
  } else {
    --by_state_[static_cast<std::size_t>(known.state)];
    node.last_seen = std::max(node.last_seen, known.last_seen);
    if (node.certificate_serial == known.certificate_serial) node.certificate_used |= known.certificate_used;
    node.unflushed = known.unflushed;
    node.applied = std::move(known.applied);
    node.applied_unflushed = known.applied_unflushed;
  }
  known = std::move(node);
  ++by_state_[static_cast<std::size_t>(known.state)];
}

void NodeIndex::erase(std::string_view node_id) {
  const auto found = nodes_.find(node_id);
  if (found == nodes_.end()) return;
  if (found->second.unflushed) std::erase(unflushed_, &found->second);
  --by_state_[static_cast<std::size_t>(found->second.state)];
  by_id_.erase(found->first);
  nodes_.erase(found);
}

void NodeIndex::reset(std::vector<NodeRecord> nodes) {
  unflushed_.clear();
  by_id_.clear();
  nodes_.clear();
  by_state_ = {};
  for (NodeRecord& node : nodes)
    put(std::move(node));
}

NodeRecord* NodeIndex::find(std::string_view node_id) {
  const auto found = by_id_.find(node_id);
  return found == by_id_.end() ? nullptr : found->second;
}

void NodeIndex::seen(NodeRecord& node, WallTime now, std::string_view certificate_serial) {
  node.last_seen = now;
  if (!node.certificate_used && node.certificate_serial == certificate_serial) node.certificate_used = true;
  if (node.unflushed) return;
  node.unflushed = true;
  unflushed_.push_back(&node);
}

void NodeIndex::applied(NodeRecord& node, AppliedRecord said) {
  if (node.applied == said) return;
  node.applied = std::move(said);
  node.applied_unflushed = true;
  if (node.unflushed) return;
  node.unflushed = true;
  unflushed_.push_back(&node);
}

void NodeIndex::restore_applied(std::string_view node_id, AppliedRecord said) {
  if (NodeRecord* node = find(node_id)) node->applied = std::move(said);
}

std::vector<Touch> NodeIndex::take_unflushed(std::size_t limit) {
  std::vector<Touch> out;
  const std::size_t count = std::min(limit, unflushed_.size());
  out.reserve(count);
  for (; out.size() < count; unflushed_.pop_back()) {
    NodeRecord& node = *unflushed_.back();
    node.unflushed = false;
    Touch touch{node.node_id, node.last_seen, node.certificate_used, std::nullopt};
    if (std::exchange(node.applied_unflushed, false)) touch.applied = node.applied;
    out.push_back(std::move(touch));
  }
  return out;
}

}  // namespace omnitide::registry
