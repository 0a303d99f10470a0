// A pipe by which one process tells another that it is ready.
#pragma once

#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include <array>
#include <stdexcept>

namespace omnitide::test {

struct Signal {
  std::array<int, 2> ends{-1, -1};
  Signal() {
    if (::pipe2(ends.data(), O_CLOEXEC) != 0) throw std::runtime_error("cannot make a pipe");
  }
  Signal(const Signal&) = delete;
  Signal& operator=(const Signal&) = delete;
  ~Signal() {
    ::close(ends[0]);
    ::close(ends[1]);
  }
  void tell() const { (void)!::write(ends[1], "x", 1); }
  // Not for ever: perhaps the other one came to nothing.
  void wait() const {
    char c = 0;
    pollfd told{.fd = ends[0], .events = POLLIN, .revents = 0};
    if (::poll(&told, 1, 60'000) > 0) (void)!::read(ends[0], &c, 1);
  }
};

}  // namespace omnitide::test
