// The node's end of a pod's link, found from inside of the pod, whatever the plugins before this one told.
#pragma once

#include <cstdint>
#include <string>

#include "agent/base/error.hpp"

namespace omnitide::cni {

struct Device {
  std::uint32_t ifindex = 0;
  std::string name;
};

// `netns` is a path to the pod's network namespace, `interface` its link there. unimplemented: it is of a kind that has
// no end on the node (ipvlan, macvlan, a whole card). Changes the calling thread's namespace while it looks.
[[nodiscard]] Result<Device> node_end(const std::string& netns, const std::string& interface);

}  // namespace omnitide::cni
