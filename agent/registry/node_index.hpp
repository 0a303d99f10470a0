// All nodes in memory, by id: what a heartbeat needs without touching the database.
#pragma once

#include <array>
#include <map>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "agent/registry/records.hpp"
#include "agent/registry/repository.hpp"

namespace omnitide::registry {

class NodeIndex {
 public:
  using Map = std::map<std::string, NodeRecord, std::less<>>;

  // Takes a record as it was committed; keeps what memory knows better (last_seen, certificate_used, applied).
  void put(NodeRecord node);
  void erase(std::string_view node_id);
  void reset(std::vector<NodeRecord> nodes);
  [[nodiscard]] NodeRecord* find(std::string_view node_id);
  [[nodiscard]] const Map& all() const { return nodes_; }
  [[nodiscard]] std::size_t size() const { return nodes_.size(); }
  [[nodiscard]] std::size_t count(State state) const { return by_state_[static_cast<std::size_t>(state)]; }

  // A request of this node was accepted.
  void seen(NodeRecord& node, WallTime now, std::string_view certificate_serial);
  // What it said of its desired state, with such a request.
  void applied(NodeRecord& node, AppliedRecord said);
  // As it was stored; of a node that is not known, nothing.
  void restore_applied(std::string_view node_id, AppliedRecord said);
  // What is newer than on disk, at most `limit`; marked as flushed.
  [[nodiscard]] std::vector<Touch> take_unflushed(std::size_t limit);

 private:
  Map nodes_;                                                // in the order of pages
  std::unordered_map<std::string_view, NodeRecord*> by_id_;  // a heartbeat's look-up; the keys are those of nodes_
  std::array<std::size_t, 5> by_state_{};
  std::vector<NodeRecord*> unflushed_;  // map nodes do not move; erase() takes them out
};

}  // namespace omnitide::registry
