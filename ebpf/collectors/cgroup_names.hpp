// What the path of a cgroup says about who it is.
#pragma once

#include <array>
#include <string>
#include <string_view>

namespace omnitide::collectors {

// Each empty when the path does not tell; bounded and printable.
struct CgroupLabels {
  std::string cgroup;     // the path below the root of cgroup v2: "/system.slice/cron.service"
  std::string unit;       // the innermost service, scope, ... of systemd, else slice; empty for a container's scope
  std::string container;  // its id, as docker, containerd, CRI-O, podman and LXC write it into the path
  std::string pod_uid;    // of Kubernetes, with dashes

  [[nodiscard]] std::array<std::string_view, 4> values() const { return {cgroup, unit, container, pod_uid}; }
};

// The names of these labels come first in every metric that has a cgroup.
constexpr std::array<std::string_view, 4> kCgroupLabels{"cgroup", "unit", "container", "pod_uid"};

// Those of a path from "/" on. Sources: systemd.unit(5); kubelet's pkg/kubelet/cm (QoS and pod cgroups, both drivers);
// runc's systemd driver ("PREFIX-ID.scope").
[[nodiscard]] CgroupLabels describe_cgroup(std::string_view path);

}  // namespace omnitide::collectors
