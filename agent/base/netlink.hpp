// Netlink messages and sockets, as far as the agent needs them. Kernel: include/uapi/linux/netlink.h.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>

#include "agent/base/error.hpp"
#include "agent/base/fd.hpp"

namespace omnitide {

struct NetlinkAttribute {
  std::uint16_t type = 0;  // without the flags for nesting and byte order
  std::string_view payload;
};

// Walks attributes (struct nlattr). Ends at the first one that does not fit; nothing beyond the bytes is touched.
class NetlinkAttributes {
 public:
  explicit NetlinkAttributes(std::string_view bytes) : rest_(bytes) {}
  [[nodiscard]] std::optional<NetlinkAttribute> next();
  [[nodiscard]] bool malformed() const { return malformed_; }

 private:
  std::string_view rest_;
  bool malformed_ = false;
};

struct NetlinkMessage {
  std::uint16_t type = 0, flags = 0;
  std::uint32_t sequence = 0;
  std::string_view payload;
};

// Walks the messages (struct nlmsghdr) of a datagram.
class NetlinkMessages {
 public:
  explicit NetlinkMessages(std::string_view bytes) : rest_(bytes) {}
  [[nodiscard]] std::optional<NetlinkMessage> next();
  [[nodiscard]] bool malformed() const { return malformed_; }

 private:
  std::string_view rest_;
  bool malformed_ = false;
};

// A number or struct at the front of the payload, in the machine's byte order; nullopt when there are too few bytes.
template <class T>
[[nodiscard]] std::optional<T> netlink_value(std::string_view payload) {
  static_assert(std::is_trivially_copyable_v<T>);
  if (payload.size() < sizeof(T)) return std::nullopt;
  T value{};
  std::memcpy(&value, payload.data(), sizeof(T));
  return value;
}
// A string up to its NUL.
[[nodiscard]] std::string_view netlink_text(std::string_view payload);

// Adds an attribute and its padding to a message under construction.
void append_attribute(std::string& message, std::uint16_t type, std::string_view payload);
template <class T>
[[nodiscard]] std::string_view bytes_of(const T& value) {
  static_assert(std::is_trivially_copyable_v<T>);
  return {reinterpret_cast<const char*>(&value), sizeof(T)};
}

// RFC 2863 operational state (IFLA_OPERSTATE) in the words of sysfs (net/core/net-sysfs.c).
[[nodiscard]] std::string_view operstate_name(std::uint8_t state);

class NetlinkSocket {
 public:
  // `groups` is a mask of multicast groups; the socket is non-blocking when there are any.
  [[nodiscard]] static Result<NetlinkSocket> open(int protocol, std::uint32_t groups = 0);

  // Sends one request and hands each answer to `take`, until the kernel says that it is done. A dump during which the
  // state changed fails with aborted; asking again is right then.
  using Take = std::function<void(const NetlinkMessage&)>;
  [[nodiscard]] Result<> request(std::uint16_t type, std::uint16_t flags, std::string_view payload, const Take& take);

  // The next datagram of the kernel, valid until the next call. Empty when there is none now. Datagrams of other
  // senders are dropped. resource_exhausted: the socket overran and messages were lost.
  [[nodiscard]] Result<std::string_view> receive();

  [[nodiscard]] int fd() const { return fd_.get(); }

 private:
  UniqueFd fd_;
  std::unique_ptr<char[]> buffer_;  // never filled in advance: what no message reached takes no memory
  std::uint32_t sequence_ = 0;
};

}  // namespace omnitide
