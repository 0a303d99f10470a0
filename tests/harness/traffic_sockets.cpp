#include "tests/harness/traffic_sockets.hpp"

#include <arpa/inet.h>
#include <netinet/tcp.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <stdexcept>

namespace omnitide::test {

namespace {

constexpr int kOne = 1;

void set(int fd, int level, int option) {
  must(::setsockopt(fd, level, option, &kOne, sizeof kOne), "set a socket's option");
}

Address mapped(const in_addr& four) {
  Address out;
  out.bytes[10] = out.bytes[11] = 0xff;
  std::memcpy(out.bytes.data() + 12, &four, sizeof four);
  return out;
}

Address plain(const in6_addr& six) {
  Address out;
  std::memcpy(out.bytes.data(), &six, sizeof six);
  return out;
}

void put16(std::string& to, unsigned value) {
  to += static_cast<char>(value >> 8U);
  to += static_cast<char>(value);
}
void put32(std::string& to, std::uint32_t value) {
  put16(to, value >> 16U);
  put16(to, value & 0xffffU);
}
std::uint32_t get(std::string_view from, std::size_t at, std::size_t bytes) {
  std::uint32_t out = 0;
  for (std::size_t i = 0; i < bytes; ++i)
    out = out << 8U | static_cast<std::uint8_t>(from[at + i]);
  return out;
}

// CRC32c, reflected; RFC 9260, appendix A.
std::uint32_t crc32c(std::string_view bytes) {
  std::uint32_t crc = ~0U;
  for (const char byte : bytes) {
    crc ^= static_cast<std::uint8_t>(byte);
    for (int bit = 0; bit < 8; ++bit)
      crc = crc >> 1U ^ ((crc & 1U) != 0 ? 0x82f63b78U : 0U);
  }
  return ~crc;
}

constexpr std::size_t kChecksum = 8, kChunk = 12, kFixed = 32;  // offsets; bytes up to the chunk's parameters
constexpr std::size_t kParameter = 4;                           // bytes of a parameter's header

}  // namespace

int must(int result, std::string_view what) {
  if (result < 0) throw std::runtime_error("cannot " + std::string(what) + ": " + std::strerror(errno));
  return result;
}

SocketAddress::SocketAddress(const Address& address, std::uint16_t port) {
  if (address.is_v4()) {
    auto* four = reinterpret_cast<sockaddr_in*>(&storage);
    four->sin_family = AF_INET;
    four->sin_port = htons(port);
    std::memcpy(&four->sin_addr, address.bytes.data() + 12, sizeof four->sin_addr);
    size = sizeof *four;
  } else {
    auto* six = reinterpret_cast<sockaddr_in6*>(&storage);
    six->sin6_family = AF_INET6;
    six->sin6_port = htons(port);
    std::memcpy(&six->sin6_addr, address.bytes.data(), sizeof six->sin6_addr);
    size = sizeof *six;
  }
}

Address SocketAddress::address() const {
  if (storage.ss_family == AF_INET) return mapped(reinterpret_cast<const sockaddr_in*>(&storage)->sin_addr);
  return plain(reinterpret_cast<const sockaddr_in6*>(&storage)->sin6_addr);
}

std::uint16_t SocketAddress::port() const {
  if (storage.ss_family == AF_INET) return ntohs(reinterpret_cast<const sockaddr_in*>(&storage)->sin_port);
  return ntohs(reinterpret_cast<const sockaddr_in6*>(&storage)->sin6_port);
}

UniqueFd make_socket(int family, int type, int protocol) {
  UniqueFd out(must(::socket(family, type | SOCK_NONBLOCK | SOCK_CLOEXEC, protocol), "make a socket"));
  if (family == AF_INET) set(out.get(), IPPROTO_IP, IP_FREEBIND);
  if (family == AF_INET6) set(out.get(), IPPROTO_IPV6, IPV6_FREEBIND);
  return out;
}

UniqueFd tcp_listener(std::uint16_t port) {
  UniqueFd out = make_socket(AF_INET6, SOCK_STREAM, 0);
  const SocketAddress any(Address{}, port);
  must(::bind(out.get(), any.data(), any.size), "bind");
  must(::listen(out.get(), 128), "listen");
  return out;
}

UniqueFd udp_server(std::uint16_t port) {
  UniqueFd out = make_socket(AF_INET6, SOCK_DGRAM, 0);
  set(out.get(), IPPROTO_IPV6, IPV6_RECVPKTINFO);
  const int bytes = 4 << 20;
  must(::setsockopt(out.get(), SOL_SOCKET, SO_RCVBUFFORCE, &bytes, sizeof bytes), "set a buffer's size");
  const SocketAddress any(Address{}, port);
  must(::bind(out.get(), any.data(), any.size), "bind");
  return out;
}

UniqueFd sctp_socket(int family) {
  UniqueFd out = make_socket(family, SOCK_RAW, IPPROTO_SCTP);
  if (family == AF_INET) set(out.get(), IPPROTO_IP, IP_PKTINFO);
  if (family == AF_INET6) set(out.get(), IPPROTO_IPV6, IPV6_RECVPKTINFO);
  return out;
}

std::optional<Datagram> receive(int fd) {
  Datagram out;
  out.bytes.resize(65536);
  iovec part{out.bytes.data(), out.bytes.size()};
  alignas(cmsghdr) std::array<char, 128> control{};
  msghdr message{};
  message.msg_name = out.from.data();
  message.msg_namelen = out.from.size;
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = control.data();
  message.msg_controllen = control.size();
  const ssize_t got = ::recvmsg(fd, &message, 0);
  if (got < 0) return std::nullopt;
  out.bytes.resize(static_cast<std::size_t>(got));
  out.from.size = message.msg_namelen;
  for (cmsghdr* head = CMSG_FIRSTHDR(&message); head != nullptr; head = CMSG_NXTHDR(&message, head)) {
    if (head->cmsg_level == IPPROTO_IPV6 && head->cmsg_type == IPV6_PKTINFO) {
      in6_pktinfo info{};
      std::memcpy(&info, CMSG_DATA(head), sizeof info);
      out.to = plain(info.ipi6_addr);
    } else if (head->cmsg_level == IPPROTO_IP && head->cmsg_type == IP_PKTINFO) {
      in_pktinfo info{};
      std::memcpy(&info, CMSG_DATA(head), sizeof info);
      out.to = mapped(info.ipi_addr);
    }
  }
  return out;
}

void answer(int fd, const Datagram& asked, std::string_view bytes) {
  iovec part{const_cast<char*>(bytes.data()), bytes.size()};
  alignas(cmsghdr) std::array<char, 128> control{};
  msghdr message{};
  SocketAddress to = asked.from;
  if (to.storage.ss_family == AF_INET6) reinterpret_cast<sockaddr_in6*>(&to.storage)->sin6_scope_id = 0;
  message.msg_name = to.data();
  message.msg_namelen = to.size;
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = control.data();
  message.msg_controllen = control.size();
  cmsghdr* head = CMSG_FIRSTHDR(&message);
  if (to.storage.ss_family == AF_INET) {
    in_pktinfo info{};
    std::memcpy(&info.ipi_spec_dst, asked.to.bytes.data() + 12, sizeof info.ipi_spec_dst);
    head->cmsg_level = IPPROTO_IP;
    head->cmsg_type = IP_PKTINFO;
    head->cmsg_len = CMSG_LEN(sizeof info);
    std::memcpy(CMSG_DATA(head), &info, sizeof info);
    message.msg_controllen = CMSG_SPACE(sizeof info);
  } else {
    in6_pktinfo info{};
    std::memcpy(&info.ipi6_addr, asked.to.bytes.data(), sizeof info.ipi6_addr);
    head->cmsg_level = IPPROTO_IPV6;
    head->cmsg_type = IPV6_PKTINFO;
    head->cmsg_len = CMSG_LEN(sizeof info);
    std::memcpy(CMSG_DATA(head), &info, sizeof info);
    message.msg_controllen = CMSG_SPACE(sizeof info);
  }
  (void)::sendmsg(fd, &message, 0);  // who asked may be gone
}

std::string encode_sctp(const SctpPacket& packet) {
  constexpr unsigned kWindow = 65536, kStreams = 1, kUnknownParameter = 0x8ead;  // high bit: may be skipped
  std::string text = packet.text;
  text.resize((text.size() + 3) / 4 * 4, ' ');
  std::string out;
  put16(out, packet.source);
  put16(out, packet.destination);
  put32(out, packet.tag);
  put32(out, 0);
  out += static_cast<char>(packet.chunk);
  out += '\0';
  put16(out, static_cast<unsigned>(kFixed - kChunk + kParameter + text.size()));
  put32(out, packet.init_tag);
  put32(out, kWindow);
  put16(out, kStreams);
  put16(out, kStreams);
  put32(out, packet.init_tag);
  put16(out, kUnknownParameter);
  put16(out, static_cast<unsigned>(kParameter + text.size()));
  out += text;
  const std::uint32_t crc = crc32c(out);  // little endian on the wire
  for (std::size_t i = 0; i < 4; ++i)
    out[kChecksum + i] = static_cast<char>(crc >> (8 * i));
  return out;
}

std::optional<SctpPacket> decode_sctp(std::string_view bytes) {
  if (bytes.size() < kFixed + kParameter) return std::nullopt;
  const std::uint32_t chunk = get(bytes, kChunk, 1);
  if (chunk != 1 && chunk != 2) return std::nullopt;
  SctpPacket out;
  out.source = static_cast<std::uint16_t>(get(bytes, 0, 2));
  out.destination = static_cast<std::uint16_t>(get(bytes, 2, 2));
  out.tag = get(bytes, 4, 4);
  out.init_tag = get(bytes, kChunk + 4, 4);
  out.chunk = static_cast<Chunk>(chunk);
  out.text = bytes.substr(kFixed + kParameter);
  while (out.text.ends_with(' '))
    out.text.pop_back();
  return out;
}

std::string_view without_header(std::string_view bytes, bool four) {
  if (!four) return bytes;
  if (bytes.empty()) return {};
  const std::size_t header = (static_cast<std::uint8_t>(bytes[0]) & 15U) * 4U;
  return bytes.size() < header ? std::string_view{} : bytes.substr(header);
}

}  // namespace omnitide::test
