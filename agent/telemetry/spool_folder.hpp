// The folder of a spool: its lock, and the files in it.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "agent/base/error.hpp"
#include "agent/base/fd.hpp"
#include "agent/telemetry/segment_format.hpp"

namespace omnitide::telemetry {

using SharedFd = std::shared_ptr<const UniqueFd>;

class SpoolFolder {
 public:
  // Makes the folder when it is missing. already_exists names the process that has it. The lock ends with the last
  // descriptor of the folder.
  [[nodiscard]] static Result<SpoolFolder> open(const std::string& path);

  // Without the lock, to read only.
  [[nodiscard]] static Result<SpoolFolder> look(const std::string& path);

  // By stream and first number. With the lock, copies that were not finished are removed.
  [[nodiscard]] Result<std::vector<SegmentKey>> segments() const;
  // `flags` as of open(2).
  [[nodiscard]] Result<SharedFd> open_file(const std::string& name, int flags) const;
  [[nodiscard]] Result<> remove(const std::string& name) const;  // one that is not there is removed

  [[nodiscard]] const SharedFd& fd() const { return fd_; }
  [[nodiscard]] const std::string& path() const { return path_; }

 private:
  SpoolFolder(SharedFd fd, std::string path, bool locked)
      : fd_(std::move(fd)), path_(std::move(path)), locked_(locked) {}
  SharedFd fd_;
  std::string path_;
  bool locked_;
};

// At `offset`; fewer only at the end of the file.
[[nodiscard]] Result<std::size_t> read_at(int fd, char* to, std::size_t bytes, std::uint64_t offset);
// Adds to `done` what was written, an error or not.
[[nodiscard]] Result<> write_at(int fd, std::string_view bytes, std::uint64_t offset, std::uint64_t& done);
[[nodiscard]] Result<> remove_file(int folder, const std::string& name);
[[nodiscard]] Result<SharedFd> open_in(int folder, const std::string& name, int flags);

}  // namespace omnitide::telemetry
