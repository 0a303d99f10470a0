#include "agent/registry/directory_lock.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>

#include "agent/base/file.hpp"
#include "agent/base/text.hpp"

namespace omnitide::registry {

Result<UniqueFd> lock_directory(const std::string& dir) {
  const std::string path = dir + "/lock";
  UniqueFd fd(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
  if (!fd) return fail_errno(errno, fmt::format("cannot open {}", path));
  if (::flock(fd.get(), LOCK_EX | LOCK_NB) != 0) {
    if (errno != EWOULDBLOCK) return fail_errno(errno, fmt::format("cannot lock {}", path));
    const Result<std::string> holder = read_file(path, 64);
    return fail(Code::unavailable, fmt::format("the registry in {} is in use by process {}", dir,
                                               holder.has_value() ? printable(trim(*holder)) : std::string("?")))
        .with_hint("end that process first, or speak to it: omnitide-agent registry");
  }
  const std::string pid = fmt::format("{}\n", ::getpid());
  if (::ftruncate(fd.get(), 0) != 0 || ::pwrite(fd.get(), pid.data(), pid.size(), 0) < 0) {
    return fail_errno(errno, fmt::format("cannot write {}", path));
  }
  return fd;
}

}  // namespace omnitide::registry
