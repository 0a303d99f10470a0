#include "tests/harness/traffic_flow.hpp"

#include <poll.h>

#include <array>
#include <cerrno>
#include <stdexcept>

namespace omnitide::test {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

Flow::Flow(const Probe& to) {
  const auto open = [this, &to] {
    const bool tcp = to.protocol == policy::Protocol::tcp;
    fd_ = make_socket(to.destination.is_v4() ? AF_INET : AF_INET6, tcp ? SOCK_STREAM : SOCK_DGRAM, 0);
    const SocketAddress destination(to.destination, to.port);
    if (::connect(fd_.get(), destination.data(), destination.size) != 0 && errno != EINPROGRESS)
      throw std::runtime_error("cannot connect");
    pollfd writable{fd_.get(), POLLOUT, 0};
    if (::poll(&writable, 1, 900) != 1) throw std::runtime_error("no connection comes about");
  };
  if (to.from == nullptr) {
    open();
  } else {
    to.from->run(open);
  }
  if (!alive()) throw std::runtime_error("the connection carries nothing");
}

bool Flow::alive(milliseconds patience) {
  const std::string token = "<" + std::to_string(++count_) + ">";
  const auto end = steady_clock::now() + patience;
  if (::send(fd_.get(), token.data(), token.size(), MSG_NOSIGNAL) < 0) return false;
  while (unread_.find(token) == std::string::npos) {
    const auto left = std::chrono::duration_cast<milliseconds>(end - steady_clock::now()).count();
    pollfd readable{fd_.get(), POLLIN, 0};
    if (left <= 0 || ::poll(&readable, 1, static_cast<int>(left)) != 1) return false;
    std::array<char, 4096> bytes{};
    const ssize_t got = ::recv(fd_.get(), bytes.data(), bytes.size(), 0);
    if (got == 0 || (got < 0 && errno != EAGAIN)) return false;
    if (got > 0) unread_.append(bytes.data(), static_cast<std::size_t>(got));
  }
  unread_.clear();
  return true;
}

}  // namespace omnitide::test
