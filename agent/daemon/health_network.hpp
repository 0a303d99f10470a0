// The node's way into the world, asked and not only read: its name servers and its gateways.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "agent/base/root.hpp"
#include "agent/daemon/gateways.hpp"
#include "agent/daemon/health_probe.hpp"
#include "agent/io/dns.hpp"

namespace omnitide::daemon {

inline constexpr std::string_view kNameServersCheck = "name-servers", kNameServersCondition = "DNSUnavailable",
                                  kGatewayCheck = "gateway", kGatewayCondition = "NetworkUnavailable";

struct NetworkNode {
  Root root;                // of resolv.conf
  std::uint16_t port = 53;  // of name servers
  std::chrono::milliseconds interval{15'000};
};

[[nodiscard]] std::vector<Probe> network_probes(const NetworkNode& node);

// What libc asks: the first three of /etc/resolv.conf. Where that is systemd-resolved's stub, `behind` has the servers
// that it asks in turn; eight at most.
struct NameServers {
  std::vector<std::string> asked, behind;
};
[[nodiscard]] NameServers configured_name_servers(const Root& root);

// What was seen as findings, without condition and check. Of `sights` the first `asked` are those that libc asks: while
// one of them answers, names can be looked up.
[[nodiscard]] health::Finding name_servers_finding(const std::vector<io::NameServerSight>& sights, std::size_t asked);
[[nodiscard]] health::Finding gateways_finding(const std::vector<GatewaySight>& sights);

}  // namespace omnitide::daemon
