// The pods of this node, from the watch of pods to the names that metrics have for their cgroups.
#pragma once

#include <string>
#include <string_view>

#include "agent/kubernetes/objects.hpp"
#include "ebpf/collectors/pod_names.hpp"

namespace omnitide::daemon {

// `source` is the key of the object for as long as it is there. A pod of another node, or one that has ended, is taken
// out: its cgroups are gone, and what metrics have of them keeps the names that it had.
void tell_names(collectors::PodNames& names, const std::string& source, const kubernetes::Pod& pod,
                std::string_view node);

}  // namespace omnitide::daemon
