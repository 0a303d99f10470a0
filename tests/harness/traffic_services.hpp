// Services in nftables, in the shape that kube-proxy gives them: maps from address, protocol and port to the chain of a
// Service, a random choice among its backends, DNAT in prerouting and output, and masquerade in postrouting of what
// carries the mark 0x4000: what comes from outside to a node port, what a backend sends to itself, and what the node
// sends. In the calling thread's namespace; gone with the object. Needs nft; throws without.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace omnitide::test {

struct Backend {
  std::string address;
  std::uint16_t port = 0;
};

struct Service {
  std::string name;  // a word
  std::string address;
  std::uint16_t port = 0;
  std::vector<Backend> backends;
  std::uint16_t node_port = 0;  // 0: none
};

class Services {
 public:
  // Each for TCP, UDP and SCTP.
  explicit Services(const std::vector<Service>& services);
  Services(const Services&) = delete;
  Services& operator=(const Services&) = delete;
  ~Services();
};

}  // namespace omnitide::test
