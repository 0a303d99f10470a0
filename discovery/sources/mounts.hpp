// The table of mounts as text, without looking at any of them. Kernel: Documentation/filesystems/proc.rst, 3.5.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace omnitide::discovery {

struct Mount {
  std::string device_number;  // "254:0"
  std::string root;           // which part of the filesystem is mounted, "/" for all of it
  std::string mount_point, type, source;
  std::vector<std::string> options;  // of the mount and, after them, of the filesystem
};

struct MountTable {
  std::vector<Mount> mounts;
  std::size_t malformed = 0;  // lines that were left out
};

// Escapes (\040 for a space) are decoded.
[[nodiscard]] MountTable parse_mountinfo(std::string_view text);

// Asking such a filesystem for its size may wait for another machine or process without end.
[[nodiscard]] bool may_hang(std::string_view type);

// Filesystems with content of the node: no kernel interfaces, no mounts that container runtimes make and remove. Of
// each device one mount (btrfs: one for each subvolume), the whole filesystem before a part of it, then the shortest
// path. Of mounts on one path the uppermost.
[[nodiscard]] std::vector<Mount> select_filesystems(std::vector<Mount> mounts);

}  // namespace omnitide::discovery
