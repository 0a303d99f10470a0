// The node's devices, host routes, neighbours, bridge tables and own addresses, as rtnetlink tells them: by dumps at
// first, by events from then on. Kernel: include/uapi/linux/{rtnetlink,if_link,neighbour}.h.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "agent/base/address.hpp"
#include "agent/base/error.hpp"
#include "agent/base/netlink.hpp"

namespace omnitide::enforcement {

using Mac = std::array<std::uint8_t, 6>;

struct Device {
  std::uint32_t index = 0;
  std::string name, kind;    // kind: "veth", "bridge", ...; empty for hardware and lo
  std::uint32_t master = 0;  // the bridge, bond or VRF that it is a port of
  std::uint32_t lower = 0;   // what a VLAN device or the like stands on
  std::uint16_t type = 0;    // ARPHRD_*
  bool up = false, carrier = false, loopback = false;
  [[nodiscard]] bool has_l2() const;  // packets begin with an Ethernet header
  bool operator==(const Device&) const = default;
};

// A route to a single address without a gateway.
struct HostRoute {
  std::uint32_t table = 0, ifindex = 0, priority = 0;
  auto operator<=>(const HostRoute&) const = default;
};

// The state, and how messages change it. Each table is bounded; what is beyond is left out and counted.
class Network {
 public:
  // Takes a message of a dump or an event. True when something changed that a search for devices looks at.
  bool apply(const NetlinkMessage& message);
  void clear() { *this = Network(); }

  [[nodiscard]] const Device* device(std::uint32_t index) const;
  [[nodiscard]] const Device* device(std::string_view name) const;
  [[nodiscard]] const std::map<std::uint32_t, Device>& devices() const { return devices_; }
  [[nodiscard]] std::vector<HostRoute> routes(const Address& to) const;
  // The devices that know a MAC for the address.
  [[nodiscard]] std::vector<std::pair<std::uint32_t, Mac>> neighbours(const Address& of) const;
  // The port of the bridge behind which the MAC was seen; 0: none.
  [[nodiscard]] std::uint32_t port(std::uint32_t bridge, const Mac& mac) const;
  // The devices in whose subnet the address is.
  [[nodiscard]] std::vector<std::uint32_t> subnets(const Address& of) const;
  [[nodiscard]] std::set<Address> own() const;
  [[nodiscard]] std::size_t left_out() const { return left_out_; }
  // Devices that were removed since the last call; their indices may be in use again.
  [[nodiscard]] std::set<std::uint32_t> take_removed() { return std::exchange(removed_, {}); }

 private:
  bool apply_link(bool add, std::string_view payload);
  bool apply_route(bool add, bool replace, std::string_view payload);
  bool apply_neighbour(bool add, std::string_view payload);
  bool apply_address(bool add, std::string_view payload);
  void drop_device(std::uint32_t index, bool gone);
  template <class Table>
  bool room(const Table& table);

  std::map<std::uint32_t, Device> devices_;
  std::map<Address, std::set<HostRoute>> routes_;
  std::map<std::pair<Address, std::uint32_t>, Mac> neighbours_;
  std::map<std::pair<std::uint32_t, Mac>, std::uint32_t> ports_;   // bridge, MAC -> port
  std::map<std::pair<Address, std::uint32_t>, std::uint8_t> own_;  // address, device -> bits of its subnet
  std::set<std::uint32_t> removed_;
  std::size_t left_out_ = 0;
};

// The state kept up to date, of the network namespace of the thread that opened it.
class NetworkMonitor {
 public:
  [[nodiscard]] static Result<NetworkMonitor> open();
  [[nodiscard]] int fd() const { return events_.fd(); }  // wait until readable, then update
  struct Change {
    bool any = false;
    bool lost = false;                // events were lost, everything was read anew
    std::set<std::uint32_t> removed;  // devices; their indices may be in use again
  };
  [[nodiscard]] Result<Change> update();
  [[nodiscard]] const Network& state() const { return state_; }
  // Makes the kernel ask for the address on the device (ARP, neighbour discovery), so that a bridge learns its port.
  void ask(const Address& address, std::uint32_t ifindex);

 private:
  NetworkMonitor(NetlinkSocket events, NetlinkSocket requests)
      : events_(std::move(events)), requests_(std::move(requests)) {}
  [[nodiscard]] Result<> read_all();

  NetlinkSocket events_, requests_;
  Network state_;
};

}  // namespace omnitide::enforcement
