// Sockets of tests with real traffic: addresses in the project's form, servers that answer from the address that they
// were asked at, and SCTP as raw packets, since not every kernel has sockets for it.
#pragma once

#include <netinet/in.h>
#include <sys/socket.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "agent/base/address.hpp"
#include "agent/base/fd.hpp"

namespace omnitide::test {

struct SocketAddress {
  sockaddr_storage storage{};
  socklen_t size = sizeof(sockaddr_storage);
  SocketAddress() = default;
  SocketAddress(const Address& address, std::uint16_t port);
  [[nodiscard]] sockaddr* data() { return reinterpret_cast<sockaddr*>(&storage); }
  [[nodiscard]] const sockaddr* data() const { return reinterpret_cast<const sockaddr*>(&storage); }
  [[nodiscard]] Address address() const;
  [[nodiscard]] std::uint16_t port() const;
};

// Throws with errno's text when `result` is negative.
int must(int result, std::string_view what);

// Not blocking, and free to use addresses that only a route says are local.
[[nodiscard]] UniqueFd make_socket(int family, int type, int protocol);
[[nodiscard]] UniqueFd tcp_listener(std::uint16_t port);  // both families
[[nodiscard]] UniqueFd udp_server(std::uint16_t port);    // both families
[[nodiscard]] UniqueFd sctp_socket(int family);           // all SCTP packets of the namespace

struct Datagram {
  std::string bytes;
  SocketAddress from;
  Address to;  // the address that it was sent to
};
// Nothing: there is none, or an error.
[[nodiscard]] std::optional<Datagram> receive(int fd);
// From the address that `asked` was sent to.
void answer(int fd, const Datagram& asked, std::string_view bytes);

// RFC 9260: one packet of one chunk, with the checksum that connection tracking asks for.
enum class Chunk : std::uint8_t { init = 1, init_ack = 2 };
struct SctpPacket {
  std::uint16_t source = 0, destination = 0;
  std::uint32_t tag = 0, init_tag = 0;
  Chunk chunk = Chunk::init;
  std::string text;  // carried as a parameter that a peer may skip
};
[[nodiscard]] std::string encode_sctp(const SctpPacket& packet);
// Of what a raw socket gave, behind the IP header. Nothing: another chunk, or cut off.
[[nodiscard]] std::optional<SctpPacket> decode_sctp(std::string_view bytes);
// What a raw IPv4 socket gave, without the IP header; IPv6 ones give none.
[[nodiscard]] std::string_view without_header(std::string_view bytes, bool four);

}  // namespace omnitide::test
