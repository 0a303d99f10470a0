// The network of a node with real pods: namespaces behind veths, routed or on a bridge, an uplink, and the rest of the
// world behind it. Lives in the calling thread's namespace. Needs root, ip; throws without.
//
//   node-1   10.9.0.1, fd09::1 on wan0      pods 10.0.0.0/16, fd00::/64
//   outside  10.9.0.254, fd09::254: one namespace that is node-2 (10.9.0.2, fd09::2), its pods (10.1.0.0/16, fd01::/64)
//            and everybody else (192.0.2.0/24, 198.51.100.0/24, 2001:db8::/32)
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "agent/base/address.hpp"
#include "tests/harness/links.hpp"

namespace omnitide::test {

enum class Topology : std::uint8_t {
  routed,  // a host route to each pod's veth, which answers ARP for the gateway 169.254.1.1 and is fe80::1
  bridge,  // the veths are ports of br0, which is 10.0.0.1 and fd00::1
};

class NodeNetwork {
 public:
  static constexpr const char* kUplink = "wan0";

  explicit NodeNetwork(Topology topology);

  void add_pod(const std::string& name, const std::vector<Address>& addresses);
  void remove_pod(const std::string& name);
  [[nodiscard]] const PodNamespace* pod(const std::string& name) const;  // null when there is none
  [[nodiscard]] const std::string& device(const std::string& name) const;
  [[nodiscard]] const PodNamespace& outside() const { return *outside_; }
  [[nodiscard]] Topology topology() const { return topology_; }

  [[nodiscard]] static std::vector<Address> node_addresses();  // of node-1
  [[nodiscard]] static std::vector<Address> other_node_addresses();
  // Those that a pod sees when the node masquerades what it forwards to it.
  [[nodiscard]] std::vector<Address> masquerade_addresses() const;

 private:
  struct Pod {
    PodNamespace space;
    std::string device;
  };
  void set_outside_up();

  Topology topology_;
  std::unique_ptr<PodNamespace> outside_;
  std::map<std::string, Pod> pods_;
  unsigned made_ = 0;
};

}  // namespace omnitide::test
