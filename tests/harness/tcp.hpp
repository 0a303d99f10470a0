// Small steps with TCP and UDP sockets of IPv4, for tests in network namespaces of their own. Plain enough for a
// process right after fork(): no exceptions, -1 where something failed.
#pragma once

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdint>

namespace omnitide::test {

inline sockaddr_in address_of(const char* address, std::uint16_t port) {
  sockaddr_in out{};
  out.sin_family = AF_INET;
  out.sin_port = htons(port);
  (void)::inet_pton(AF_INET, address, &out.sin_addr);
  return out;
}

inline const sockaddr* generic(const sockaddr_in& address) { return reinterpret_cast<const sockaddr*>(&address); }

// Bound to a port (0: any); of TCP also listening, if `backlog` is not negative.
inline int bound_socket(int type, const char* address, std::uint16_t port, int backlog = -1) {
  const int fd = ::socket(AF_INET, type | SOCK_CLOEXEC, 0);
  const int one = 1;
  (void)::setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
  const sockaddr_in at = address_of(address, port);
  if (::bind(fd, generic(at), sizeof at) != 0) return -1;
  return backlog >= 0 && ::listen(fd, backlog) != 0 ? -1 : fd;
}

inline int connected_socket(const char* address, std::uint16_t port) {
  const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const sockaddr_in to = address_of(address, port);
  if (::connect(fd, generic(to), sizeof to) == 0) return fd;
  ::close(fd);
  return -1;
}

// Begins to connect, and gives up after so long, or when its segments were sent again so often (tried to: TCP_INFO does
// not tell what failed). How often that was.
inline int try_to_connect(const char* address, std::uint16_t port, int milliseconds, int retransmits = 1000) {
  const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  const sockaddr_in to = address_of(address, port);
  (void)::connect(fd, generic(to), sizeof to);
  pollfd waiting{.fd = fd, .events = POLLOUT, .revents = 0};
  int again = 0;
  for (int rest = milliseconds; rest > 0 && again < retransmits; rest -= 50) {
    const int ended = ::poll(&waiting, 1, rest < 50 ? rest : 50);
    tcp_info info{};
    socklen_t length = sizeof info;
    (void)::getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &length);
    again = static_cast<int>(info.tcpi_total_retrans);
    if (ended != 0) break;
  }
  ::close(fd);
  return again;
}

// Closes with a reset instead of a FIN.
inline void reset(int fd) {
  const linger now{.l_onoff = 1, .l_linger = 0};
  (void)::setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
  ::close(fd);
}

}  // namespace omnitide::test
