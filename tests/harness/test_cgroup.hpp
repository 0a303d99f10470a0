// A cgroup of version 2 of a test's own, and processes in it. Needs root; throws without. It is removed at the end.
#pragma once

#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <fstream>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>

#include "ebpf/loader/cgroup2.hpp"

namespace omnitide::test {

inline std::string cgroup2_root() {
  const Result<std::string> found = ebpf::cgroup2_root("");
  if (found.has_error()) throw std::runtime_error(found.error().message);
  return *found;
}

// Writes one word, as the files of cgroupfs want it.
inline bool write_word(const std::string& path, std::string_view word) {
  const int fd = ::open(path.c_str(), O_WRONLY | O_CLOEXEC);
  if (fd < 0) return false;
  const bool good = ::write(fd, word.data(), word.size()) == static_cast<ssize_t>(word.size());
  ::close(fd);
  return good;
}

// Where a controller is: its own hierarchy of version 1, or that of version 2, in which it is then switched on.
struct Controller {
  std::string root;
  bool v1 = false;
};
inline Controller find_controller(std::string_view name) {
  std::ifstream mounts("/proc/self/mounts");
  for (std::string device, point, type, options, rest; mounts >> device >> point >> type >> options;) {
    std::getline(mounts, rest);
    if (type == "cgroup" && (',' + options + ',').find(',' + std::string(name) + ',') != std::string::npos)
      return {point, true};
  }
  const std::string root = cgroup2_root();
  if (!write_word(root + "/cgroup.subtree_control", '+' + std::string(name)))
    throw std::runtime_error("no cgroup hierarchy has the controller " + std::string(name));
  return {root, false};
}

class TestCgroup {
 public:
  // `root`: where a hierarchy is mounted; empty: version 2.
  explicit TestCgroup(std::string_view name, std::string root = {}) {
    static std::atomic<int> number{0};
    path_ = "/omnitide-test-" + std::to_string(::getpid()) + "-" + std::to_string(number++) + "-" + std::string(name);
    folder_ = (root.empty() ? cgroup2_root() : root) + path_;
    if (::mkdir(folder_.c_str(), 0755) != 0)
      throw std::runtime_error("cannot make " + folder_ + " (root is needed): " + std::strerror(errno));
  }
  TestCgroup(const TestCgroup&) = delete;
  TestCgroup& operator=(const TestCgroup&) = delete;
  ~TestCgroup() { remove(); }

  // An ended process leaves its cgroup a moment after it was waited for.
  void remove() {
    for (int i = 0; i < 500 && ::rmdir(folder_.c_str()) != 0 && errno == EBUSY; ++i)
      std::this_thread::sleep_for(std::chrono::milliseconds(2));
  }
  [[nodiscard]] const std::string& path() const { return path_; }  // "/omnitide-test-...", the label `cgroup`
  [[nodiscard]] const std::string& folder() const { return folder_; }
  // Moves the calling process here: only single-threaded ones, right after fork().
  [[nodiscard]] bool enter() const { return write_word(folder_ + "/cgroup.procs", "0"); }

  // Starts `body` in a process in this cgroup (and the caller's namespaces); its int is the exit code.
  template <class Body>
  [[nodiscard]] pid_t start(Body body) const {
    const pid_t pid = ::fork();
    if (pid < 0) throw std::runtime_error("cannot fork");
    if (pid == 0) {
      for (int i = 1; i < 32; ++i)
        (void)::signal(i, SIG_DFL);  // the test framework's handlers are not the child's
      ::_exit(enter() ? body() : 126);
    }
    return pid;
  }
  // Exit code, or -signal.
  static int wait(pid_t pid) {
    int status = 0;
    while (::waitpid(pid, &status, 0) < 0 && errno == EINTR) {
    }
    return WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status);
  }
  template <class Body>
  int run(Body body) const {
    return wait(start(body));
  }

 private:
  std::string path_, folder_;
};

}  // namespace omnitide::test
