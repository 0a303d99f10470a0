// Where cgroup v2 is mounted.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace omnitide::ebpf {

// The mount point of the whole hierarchy of cgroup v2, else of a part of it, by the text of /proc/self/mountinfo (see
// proc_pid_mountinfo(5)). nullopt: there is none.
[[nodiscard]] std::optional<std::string> find_cgroup2(std::string_view mountinfo);

}  // namespace omnitide::ebpf
