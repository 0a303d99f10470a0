// What the path of a cgroup says about who it is, with room for the names that Kubernetes has for it.
#pragma once

#include <array>
#include <string>
#include <string_view>

namespace omnitide::collectors {

// Each empty when the path does not tell; bounded and printable.
struct CgroupLabels {
  std::string cgroup{};  // the path below the root of cgroup v2: "/system.slice/cron.service"
  std::string unit{};    // the innermost service, scope, ... of systemd, else slice; empty for a container's scope
  std::string container_id{};  // as docker, containerd, CRI-O, podman and LXC write it into the path
  std::string pod_uid{};       // of Kubernetes, with dashes; of a static pod the hash of its file
  // By Kubernetes' API (PodNames), never by the path. A pod's own cgroup and its sandbox have no container.
  std::string space{}, pod{}, container{};

  [[nodiscard]] std::array<std::string_view, 7> values() const {
    return {cgroup, unit, space, pod, container, container_id, pod_uid};
  }
};

// The names of these labels come first in every metric that has a cgroup. Those of Kubernetes are cAdvisor's and
// kube-state-metrics'.
constexpr std::array<std::string_view, 7> kCgroupLabels{"cgroup",    "unit",         "namespace", "pod",
                                                        "container", "container_id", "pod_uid"};

// Those of a path from "/" on. Sources: systemd.unit(5); kubelet's pkg/kubelet/cm (QoS and pod cgroups, both drivers,
// below a cgroupRoot too); runc's systemd driver ("PREFIX-ID.scope").
[[nodiscard]] CgroupLabels describe_cgroup(std::string_view path);

}  // namespace omnitide::collectors
