// A loop device of the machine, for tests that need a real disk to come and go. Needs root; throws without.
#pragma once

#include <fcntl.h>
#include <linux/loop.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <stdexcept>
#include <string>

#include "agent/base/fd.hpp"

namespace omnitide::test {

class LoopDevice {
 public:
  static constexpr unsigned kBytes = 1U << 20U;

  LoopDevice() {
    const UniqueFd backing(::mkstemp(file_.data()));
    if (!backing || ::ftruncate(backing.get(), kBytes) != 0) fail("make a backing file");
    const UniqueFd control(::open("/dev/loop-control", O_RDWR | O_CLOEXEC));
    if (!control) fail("open /dev/loop-control (root is needed)");
    for (int attempt = 0; attempt < 8; ++attempt) {  // another process may take the free one first
      const int number = ::ioctl(control.get(), LOOP_CTL_GET_FREE);
      if (number < 0) fail("find a free loop device");
      name_ = "loop" + std::to_string(number);
      device_.reset(::open(("/dev/" + name_).c_str(), O_RDWR | O_CLOEXEC));
      if (device_ && ::ioctl(device_.get(), LOOP_SET_FD, backing.get()) == 0) return;
      if (!device_ || errno != EBUSY) break;
    }
    fail("attach a loop device (root is needed)");
  }
  LoopDevice(const LoopDevice&) = delete;
  LoopDevice& operator=(const LoopDevice&) = delete;
  ~LoopDevice() {
    detach();
    ::unlink(file_.c_str());
  }

  void detach() {
    if (device_) (void)::ioctl(device_.get(), LOOP_CLR_FD);
    device_.reset();
  }
  [[nodiscard]] const std::string& name() const { return name_; }
  [[nodiscard]] const std::string& file() const { return file_; }

 private:
  [[noreturn]] void fail(const char* what) {
    const std::string why = std::string("cannot ") + what + ": " + std::strerror(errno);
    ::unlink(file_.c_str());
    throw std::runtime_error(why);
  }
  std::string file_ = "/tmp/omnitide-loop-XXXXXX", name_;
  UniqueFd device_;
};

}  // namespace omnitide::test
