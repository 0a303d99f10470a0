// A view of a file tree under a root directory: the machine's own "/", or a fixture. No path and no link leaves it
// (openat2 with RESOLVE_IN_ROOT), every read is bounded, and nothing but regular files and folders is opened.
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "agent/base/error.hpp"
#include "agent/base/fd.hpp"

namespace omnitide {

class Root {
 public:
  // Fails when the folder cannot be opened.
  [[nodiscard]] static Result<Root> open(const std::string& path = "/");
  // The machine's own tree where a container sees it, e.g. "/host"; "/" outside of one.
  [[nodiscard]] static Result<Root> machine(const std::string& path);

  // The bytes of a file, at most `limit`; longer ones fail with resource_exhausted.
  [[nodiscard]] Result<std::string> read(const std::string& path, std::size_t limit = 64U << 10U) const;
  // The trimmed first line of a small file, or empty when it is absent or unreadable: for optional attributes.
  [[nodiscard]] std::string attribute(const std::string& path) const;
  // Names in a folder, sorted, without "." and ".."; at most `limit`, else resource_exhausted.
  [[nodiscard]] Result<std::vector<std::string>> list(const std::string& path, std::size_t limit = 65536) const;
  // Like list, but empty when the folder is absent or unreadable.
  [[nodiscard]] std::vector<std::string> names(const std::string& path) const;
  [[nodiscard]] bool exists(const std::string& path) const;
  [[nodiscard]] std::string link_target(const std::string& path) const;  // raw target; empty when it is not a link
  [[nodiscard]] std::string link_name(const std::string& path) const;    // last component of the target
  // The path below the root after all links, e.g. "/sys/devices/pci0000:00/0000:00:03.0"; empty when it does not
  // resolve.
  [[nodiscard]] std::string resolve(const std::string& path) const;
  // Opens a folder or a regular file for reading inside the root.
  [[nodiscard]] Result<UniqueFd> open_at(const std::string& path, int flags) const;
  // Whether this is the machine's own tree, so that system calls (netlink, ioctl, statvfs) speak of the same machine.
  [[nodiscard]] bool is_machine() const { return machine_; }
  [[nodiscard]] const std::string& path() const { return path_; }
  // Where this process finds what is at an absolute path of the root, for calls that take a name: links are followed
  // outside of the root.
  [[nodiscard]] std::string outside(const std::string& path) const { return path_ == "/" ? path : path_ + path; }
  // Mount namespace of the tree: of the first process where it is seen through a container's mount.
  [[nodiscard]] std::string mountinfo() const {
    return machine_ && path_ != "/" ? "/proc/1/mountinfo" : "/proc/self/mountinfo";
  }

 private:
  std::shared_ptr<const UniqueFd> fd_;
  std::string path_;
  bool machine_ = false;
};

}  // namespace omnitide
