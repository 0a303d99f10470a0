// The objects as lint looks at them: pods by namespace, and answers to "which pods does this select" that are found
// once. Inside this room only.
#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "agent/policy/objects.hpp"
#include "agent/policy/store.hpp"

namespace omnitide::policy {

struct Selected {
  std::vector<const Pod*> pods;       // that policy governs: neither finished nor on the host's network
  const Pod* host_network = nullptr;  // the first one on the host's network
  bool any_namespace = false;         // the namespaces' part selects something
};

class LintView {
 public:
  explicit LintView(std::span<const ObjectRef> objects);
  LintView(const LintView&) = delete;
  LintView& operator=(const LintView&) = delete;

  struct Group {
    const Namespace* object = nullptr;
    std::vector<const Pod*> pods;
  };
  [[nodiscard]] const std::map<std::string_view, Group>& groups() const { return groups_; }
  [[nodiscard]] const std::vector<const Pod*>& pods() const { return pods_; }
  [[nodiscard]] const std::vector<const Node*>& nodes() const { return nodes_; }
  [[nodiscard]] bool has_namespaces() const { return has_namespaces_; }

  // Pods that match in one namespace, or, when `name_space` is empty, in those that match. Valid as long as the view.
  [[nodiscard]] const Selected& select(const std::string& name_space, const Selector& namespaces, const Selector& pods);
  // A governed pod with an address inside the block and outside its exceptions; null: none.
  [[nodiscard]] const Pod* pod_inside(const Block& block, Address& address) const;

 private:
  std::map<std::string_view, Group> groups_;
  std::vector<const Pod*> pods_;
  std::vector<const Node*> nodes_;
  std::vector<std::pair<Address, const Pod*>> addresses_;  // sorted
  std::unordered_map<std::string, Selected> answers_;
  bool has_namespaces_ = false;
};

}  // namespace omnitide::policy
