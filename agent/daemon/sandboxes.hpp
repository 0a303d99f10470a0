// What omnitide-cni told of pods of this node: their devices, and their addresses before the API server has them, which
// is when the pod runs already. Put into the texts that policy gets of the pods. Pure.
#pragma once

#include <cstddef>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "agent/base/error.hpp"
#include "agent/cni/sandbox.hpp"
#include "agent/daemon/policy_engine.hpp"

namespace omnitide::daemon {

class Sandboxes {
 public:
  explicit Sandboxes(std::string node_name) : node_name_(std::move(node_name)) {}

  // Texts from the API server on their way to policy.
  void amend(std::vector<PolicyText>& changes);
  // The pod's text with what was told now, when the API server has told of that pod. What was told before under its
  // name is forgotten. resource_exhausted: of too many pods something is known.
  [[nodiscard]] Result<std::optional<PolicyText>> put(cni::Sandbox sandbox);
  // The end of the container that put() told of, and not of one that came since: the pod's text without it.
  [[nodiscard]] std::optional<PolicyText> erase(const cni::Sandbox& sandbox);

  [[nodiscard]] std::size_t size() const { return told_.size(); }

 private:
  struct Pod {
    std::string uid, text;
  };
  [[nodiscard]] static bool is_of(const cni::Sandbox& sandbox, const Pod& pod);
  [[nodiscard]] std::string amended(const std::string& source, const Pod& pod) const;

  std::string node_name_;
  std::map<std::string, Pod> pods_;  // of this node, by source
  std::map<std::string, cni::Sandbox> told_;
};

}  // namespace omnitide::daemon
