// Hears of links and addresses that come, go and change, by rtnetlink's multicast groups.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "agent/base/error.hpp"
#include "agent/base/netlink.hpp"

namespace omnitide::discovery {

struct LinkEvent {
  enum class Kind : std::uint8_t { link_set, link_removed, address_set, address_removed };
  Kind kind = Kind::link_set;
  std::uint32_t index = 0;
  std::string name;  // links only
  bool operator==(const LinkEvent&) const = default;
};

struct LinkBatch {
  std::vector<LinkEvent> events;
  bool overflow = false;      // events were lost: everything may have changed
  std::size_t malformed = 0;  // messages that were left out
};

// Adds the events of one datagram.
void parse_link_events(std::string_view datagram, LinkBatch& batch);

// A non-blocking socket in the network namespace of the thread that opened it.
class LinkMonitor {
 public:
  [[nodiscard]] static Result<LinkMonitor> open();
  [[nodiscard]] int fd() const { return socket_.fd(); }  // wait until readable, then drain
  // What happened since the last call, about 1024 events at most; the descriptor stays readable when there are more.
  [[nodiscard]] Result<LinkBatch> drain();

 private:
  explicit LinkMonitor(NetlinkSocket socket) : socket_(std::move(socket)) {}
  NetlinkSocket socket_;
};

}  // namespace omnitide::discovery
