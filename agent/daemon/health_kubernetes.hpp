// Kubernetes' own parts of the node: whether its kubelet answers. A node that has none has no fault.
#pragma once

#include <chrono>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "agent/daemon/health_probe.hpp"

namespace omnitide::daemon {

inline constexpr std::string_view kKubeletCheck = "kubelet", kKubeletCondition = "KubeletUnhealthy";

struct KubernetesNode {
  std::string root;  // in front of every path
  std::string kubelet = "http://127.0.0.1:10248/healthz";
  std::chrono::milliseconds interval{15'000};
  // Whether this check of this condition has ever said more than that it knows nothing.
  std::function<bool(std::string_view condition, std::string_view check)> known;
};

[[nodiscard]] std::vector<Probe> kubernetes_probes(const KubernetesNode& node);

}  // namespace omnitide::daemon
