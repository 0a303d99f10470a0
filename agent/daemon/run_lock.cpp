#include "agent/daemon/run_lock.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>

#include "agent/base/file.hpp"
#include "agent/base/text.hpp"

namespace omnitide::daemon {

Result<UniqueFd> take_run_lock(const std::string& run_dir) {
  if (Result<> made = make_folders(run_dir, 0755); made.has_error()) return std::move(made).error();
  const std::string path = run_dir + "/agent.lock";
  UniqueFd lock(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0644));
  if (!lock) return fail_errno(errno, "cannot open " + path);
  if (::flock(lock.get(), LOCK_EX | LOCK_NB) != 0) {
    if (errno != EWOULDBLOCK) return fail_errno(errno, "cannot lock " + path);
    const Result<std::string> holder = read_file(path, 64);
    const std::string pid = holder.has_value() ? printable(trim(*holder)) : std::string("unknown");
    return fail(Code::unavailable, fmt::format("an agent is already running here, process {} holds {}", pid, path))
        .with_hint("look at it with: omnitide-agent status --run-dir " + run_dir);
  }
  const std::string pid = fmt::format("{}\n", ::getpid());
  if (::ftruncate(lock.get(), 0) != 0 || ::write(lock.get(), pid.data(), pid.size()) < 0)
    return fail_errno(errno, "cannot write " + path);
  return lock;
}

void note_run_dir(const std::string& state_dir, const std::string& run_dir) {
  const std::string path = state_dir + "/run-dir", content = run_dir + "\n";
  if (const Result<std::string> known = read_file(path, 4096); known.has_value() && *known == content) return;
  const UniqueFd file(::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0644));
  if (file) (void)!::write(file.get(), content.data(), content.size());
}

}  // namespace omnitide::daemon
