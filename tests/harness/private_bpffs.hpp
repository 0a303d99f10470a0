// A thread of its own in a new network and a new mount namespace, with a BPF file system that nobody else sees. All of
// it goes with the thread. Needs root; throws without.
#pragma once

#include <sched.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <exception>
#include <stdexcept>
#include <string>
#include <thread>

namespace omnitide::test {

namespace detail {
inline void require(bool good, const char* what) {
  if (!good) throw std::runtime_error(std::string(what) + " (root is needed): " + std::strerror(errno));
}
}  // namespace detail

// Runs `body` with the path of the mount point. What it throws is thrown on.
template <class Body>
void with_private_bpffs(Body body) {
  std::string folder = "/tmp/omnitide-bpffs-XXXXXX";
  detail::require(::mkdtemp(folder.data()) != nullptr, "cannot make a folder");
  std::exception_ptr thrown;
  std::thread thread([&body, &folder, &thrown] {
    try {
      detail::require(::unshare(CLONE_NEWNS | CLONE_NEWNET) == 0, "cannot make namespaces");
      detail::require(::mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0, "cannot make mounts private");
      detail::require(::mount("bpf", folder.c_str(), "bpf", 0, nullptr) == 0, "cannot mount a BPF file system");
      body(folder);
    } catch (...) {
      thrown = std::current_exception();
    }
  });
  thread.join();
  ::rmdir(folder.c_str());
  if (thrown) std::rethrow_exception(thrown);
}

}  // namespace omnitide::test
