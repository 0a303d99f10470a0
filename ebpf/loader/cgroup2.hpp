// Where cgroup v2 is mounted.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "agent/base/error.hpp"

namespace omnitide::ebpf {

// The mount point of the whole hierarchy of cgroup v2, else of a part of it, by the text of /proc/self/mountinfo (see
// proc_pid_mountinfo(5)). nullopt: there is none.
[[nodiscard]] std::optional<std::string> find_cgroup2(std::string_view mountinfo);

// Where it is for this process. `configured` is that folder, or has it as "unified" beside the hierarchies of version 1
// (systemd's hybrid set-up); empty: it is found among the mounts. Another folder is an error: ids of cgroups are told
// apart within one hierarchy only.
[[nodiscard]] Result<std::string> cgroup2_root(const std::string& configured);

}  // namespace omnitide::ebpf
