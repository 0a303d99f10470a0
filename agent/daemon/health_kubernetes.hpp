// Kubernetes' own parts of the node: whether its kubelet and its container runtime answer. A node that has none has no
// fault.
#pragma once

#include <chrono>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "agent/daemon/health_probe.hpp"

namespace omnitide::daemon {

inline constexpr std::string_view kKubeletCheck = "kubelet", kKubeletCondition = "KubeletUnhealthy",
                                  kRuntimeCheck = "container-runtime", kRuntimeCondition = "ContainerRuntimeUnhealthy";

struct KubernetesNode {
  std::string root;  // in front of every path
  std::string kubelet = "http://127.0.0.1:10248/healthz";
  // Of the container runtime; the first one that is there is asked.
  std::vector<std::string> sockets{"/run/containerd/containerd.sock", "/run/crio/crio.sock", "/run/cri-dockerd.sock",
                                   "/run/k3s/containerd/containerd.sock"};
  std::chrono::milliseconds interval{15'000};
  // Whether this check of this condition has ever said more than that it knows nothing.
  std::function<bool(std::string_view condition, std::string_view check)> known;
};

[[nodiscard]] std::vector<Probe> kubernetes_probes(const KubernetesNode& node);

// What the container runtime says over the Container Runtime Interface (runtime.v1).
[[nodiscard]] Look runtime_look(const KubernetesNode& node);

}  // namespace omnitide::daemon
