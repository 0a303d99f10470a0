// A small DNS server and its clients, for tests in a network namespace of their own. What they do is told by the first
// letter of the name that is asked for: n(xdomain), s(ervfail), q(uiet), l(ate), z: from pages that the answer does not
// copy, else an answer. Plain enough for a process right after fork().
#pragma once

#include <sys/socket.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <unistd.h>

#include <array>
#include <cstdint>
#include <initializer_list>
#include <string>

#include "tests/harness/signal.hpp"
#include "tests/harness/tcp.hpp"

namespace omnitide::test::dns {

constexpr std::uint16_t kPort = 53;

// Loopback, of the server; `mapped`: a socket of IPv6 that speaks to the server of IPv4.
enum class Family { four, six, mapped };

struct Address {
  sockaddr_storage storage{};
  socklen_t size = 0;
  [[nodiscard]] const sockaddr* generic() const { return reinterpret_cast<const sockaddr*>(&storage); }
  [[nodiscard]] int family() const { return storage.ss_family; }
};

inline Address address(Family family) {
  Address out;
  if (family == Family::four) {
    auto& four = reinterpret_cast<sockaddr_in&>(out.storage);
    four = test::address_of("127.0.0.1", kPort);
    out.size = sizeof four;
    return out;
  }
  auto& six = reinterpret_cast<sockaddr_in6&>(out.storage);
  six.sin6_family = AF_INET6;
  six.sin6_port = htons(kPort);
  (void)::inet_pton(AF_INET6, family == Family::six ? "::1" : "::ffff:127.0.0.1", &six.sin6_addr);
  out.size = sizeof six;
  return out;
}

inline std::string query(std::uint16_t id, char what) {
  std::string out("\0\0\1\0\0\1\0\0\0\0\0\0", 12);
  out[0] = static_cast<char>(id >> 8U);
  out[1] = static_cast<char>(id);
  return out + '\1' + what + std::string("\7example\4test\0\0\1\0\1", 18);
}

// Until a short message comes.
inline int serve(Family family, const Signal& ready) {
  const Address own = address(family == Family::mapped ? Family::four : family);
  const int fd = ::socket(own.family(), SOCK_DGRAM | SOCK_CLOEXEC, 0), one = 1;
  if (::bind(fd, own.generic(), own.size) != 0) return 1;
  if (::setsockopt(fd, SOL_SOCKET, SO_ZEROCOPY, &one, sizeof one) != 0) return 2;
  ready.tell();
  for (;;) {
    std::array<char, 512> message{};
    sockaddr_storage peer{};
    socklen_t length = sizeof peer;
    const ssize_t got = ::recvfrom(fd, message.data(), message.size(), 0, reinterpret_cast<sockaddr*>(&peer), &length);
    if (got < 20) return 0;
    message[2] = static_cast<char>(0x81);
    message[3] = message[13] == 'n' ? 3 : message[13] == 's' ? 2 : 0;
    if (message[13] == 'q') continue;
    if (message[13] == 'l') ::usleep(40'000);
    const int flags = message[13] == 'z' ? MSG_ZEROCOPY : 0;
    if (::sendto(fd, message.data(), static_cast<std::size_t>(got), flags, reinterpret_cast<sockaddr*>(&peer),
                 length) != got)
      return 3;
  }
}

inline int open_socket(const Address& server, bool connected) {
  const int fd = ::socket(server.family(), SOCK_DGRAM | SOCK_CLOEXEC, 0);
  const timeval patience{.tv_sec = 30, .tv_usec = 0};
  (void)::setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  return !connected || ::connect(fd, server.generic(), server.size) == 0 ? fd : -1;
}

// Asks, and waits for the answer unless the server is quiet. The socket is connected.
inline bool ask(int fd, std::uint16_t id, char what) {
  const std::string message = query(id, what);
  std::array<char, 512> answer{};
  if (::send(fd, message.data(), message.size(), 0) != static_cast<ssize_t>(message.size())) return false;
  return what == 'q' || ::recv(fd, answer.data(), answer.size(), 0) > 0;
}

// To send one query, and to read its answer, which is as long. `to`: null on a connected socket.
using Send = bool (*)(int fd, std::string& message, const Address* to);
using Read = bool (*)(int fd, std::size_t size);

inline msghdr header_of(iovec* parts, std::size_t count, const Address* to) {
  msghdr out{};
  out.msg_iov = parts;
  out.msg_iovlen = count;
  if (to == nullptr) return out;
  out.msg_name = const_cast<sockaddr*>(to->generic());
  out.msg_namelen = to->size;
  return out;
}

inline bool send_plain(int fd, std::string& message, const Address* to) {
  const auto size = static_cast<ssize_t>(message.size());
  return ::sendto(fd, message.data(), message.size(), 0, to == nullptr ? nullptr : to->generic(),
                  to == nullptr ? 0 : to->size) == size;
}
inline bool send_parts(int fd, std::string& message, const Address* to) {
  std::array<iovec, 2> parts{iovec{message.data(), 2}, iovec{&message[2], message.size() - 2}};
  const msghdr header = header_of(parts.data(), parts.size(), to);
  return ::sendmsg(fd, &header, 0) == static_cast<ssize_t>(message.size());
}
inline bool send_many(int fd, std::string& message, const Address* to) {
  iovec whole{message.data(), message.size()};
  mmsghdr one{.msg_hdr = header_of(&whole, 1, to), .msg_len = 0};
  return ::sendmmsg(fd, &one, 1, 0) == 1;
}
inline bool send_corked(int fd, std::string& message, const Address* to) {
  const auto address = to == nullptr ? nullptr : to->generic();
  const socklen_t length = to == nullptr ? 0 : to->size;
  return ::sendto(fd, message.data(), 12, MSG_MORE, address, length) == 12 &&
         ::sendto(fd, &message[12], message.size() - 12, 0, address, length) > 0;
}

// Into parts of these sizes, and a large one behind them.
template <std::size_t... kSizes>
bool read_parts(int fd, std::size_t size) {
  std::array<char, 512> bytes{};
  std::array<iovec, sizeof...(kSizes) + 1> parts{};
  std::size_t at = 0, i = 0;
  for (const std::size_t part : std::initializer_list<std::size_t>{kSizes...}) {
    parts[i++] = {&bytes[at], part};
    at += part;
  }
  parts[i] = {&bytes[at], bytes.size() - at};
  msghdr header = header_of(parts.data(), parts.size(), nullptr);
  return ::recvmsg(fd, &header, 0) == static_cast<ssize_t>(size);
}
// Into memory that is just as large as the answer.
inline bool read_exactly(int fd, std::size_t size) {
  std::string bytes(size, '\0');
  iovec whole{bytes.data(), size};
  msghdr header = header_of(&whole, 1, nullptr);
  return ::recvmsg(fd, &header, 0) == static_cast<ssize_t>(size);
}
inline bool read_plain(int fd, std::size_t size) {
  std::array<char, 512> bytes{};
  return ::read(fd, bytes.data(), bytes.size()) == static_cast<ssize_t>(size);
}
inline bool read_vector(int fd, std::size_t size) {
  std::array<char, 512> bytes{};
  const std::array<iovec, 2> parts{iovec{bytes.data(), size}, iovec{&bytes[size], 10}};
  return ::readv(fd, parts.data(), parts.size()) == static_cast<ssize_t>(size);
}
inline bool read_from(int fd, std::size_t size) {
  std::array<char, 512> bytes{};
  Address peer;
  peer.size = sizeof peer.storage;
  return ::recvfrom(fd, bytes.data(), bytes.size(), 0, reinterpret_cast<sockaddr*>(&peer.storage), &peer.size) ==
         static_cast<ssize_t>(size);
}
inline bool read_many(int fd, std::size_t size) {
  std::array<std::array<char, 512>, 2> bytes{};
  std::array<iovec, 2> parts{iovec{bytes[0].data(), 512}, iovec{bytes[1].data(), 512}};
  std::array<mmsghdr, 2> both{};
  for (std::size_t i = 0; i < both.size(); ++i)
    both[i].msg_hdr = header_of(&parts[i], 1, nullptr);
  return ::recvmmsg(fd, both.data(), both.size(), MSG_WAITFORONE, nullptr) == 1 && both[0].msg_len == size;
}
inline bool read_beginning(int fd, std::size_t /*size*/) {
  std::array<char, 12> bytes{};
  return ::recv(fd, bytes.data(), bytes.size(), 0) == 12;
}
inline bool peek_before(int fd, std::size_t size) {
  std::array<char, 512> bytes{};
  return ::recv(fd, bytes.data(), bytes.size(), MSG_PEEK) == static_cast<ssize_t>(size) && read_plain(fd, size);
}
// As those do who ask how long an answer is.
inline bool peek_shortly(int fd, std::size_t size) {
  std::array<char, 2> bytes{};
  return ::recv(fd, bytes.data(), bytes.size(), MSG_PEEK | MSG_TRUNC) == static_cast<ssize_t>(size) &&
         read_plain(fd, size);
}

struct Way {
  const char* name;
  bool connected;
  Send send;
  Read read;
  char what;
};
constexpr std::array kWays{
    Way{"send, read", true, send_plain, read_plain, 'a'},
    Way{"sendto, recvfrom", false, send_plain, read_from, 'a'},
    Way{"sendto, recvmsg", false, send_plain, read_parts<>, 'a'},
    Way{"sendmsg in parts, recvmsg", true, send_parts, read_parts<>, 'a'},
    Way{"sendmsg in parts, recvmsg, no connection", false, send_parts, read_parts<>, 'a'},
    Way{"sendmmsg, recvmmsg", true, send_many, read_many, 'a'},
    Way{"sendmmsg, recvmmsg, no connection", false, send_many, read_many, 'a'},
    Way{"MSG_MORE, read", true, send_corked, read_plain, 'a'},
    Way{"MSG_MORE, read, no connection", false, send_corked, read_plain, 'a'},
    Way{"recvmsg, the header in one part", true, send_plain, read_parts<12>, 'a'},
    Way{"recvmsg, the header in many parts", true, send_plain, read_parts<1, 1, 1, 1, 8, 3>, 'a'},
    Way{"recvmsg, an empty part before", true, send_plain, read_parts<0, 3, 0, 20>, 'a'},
    Way{"recvmsg, one part that becomes full", true, send_plain, read_exactly, 'a'},
    Way{"readv, a part that becomes full", true, send_plain, read_vector, 'a'},
    Way{"no more than the header", true, send_plain, read_beginning, 'a'},
    Way{"MSG_PEEK before", true, send_plain, peek_before, 'a'},
    Way{"MSG_PEEK of two bytes before", true, send_plain, peek_shortly, 'a'},
    Way{"an answer in pages", true, send_plain, read_plain, 'z'},
    Way{"an answer in pages, into parts", true, send_plain, read_parts<5, 5, 5>, 'z'},
};

// Asks once in one of the ways: 0 when the answer came.
inline int go(const Way& way, Family family, std::uint16_t id) {
  const Address server = address(family);
  const int fd = open_socket(server, way.connected);
  std::string message = query(id, way.what);
  const std::size_t size = message.size();
  if (!way.send(fd, message, way.connected ? nullptr : &server)) return 1;
  return way.read(fd, size) ? 0 : 2;
}

}  // namespace omnitide::test::dns
