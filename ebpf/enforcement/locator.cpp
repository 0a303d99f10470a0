#include "ebpf/enforcement/locator.hpp"

#include <fmt/format.h>
#include <linux/rtnetlink.h>

#include <algorithm>
#include <array>
#include <optional>
#include <string_view>

namespace omnitide::enforcement {

namespace {

constexpr std::array<std::string_view, 4> kPodKinds{"veth", "netkit", "tun", "macvtap"};

// The bridge that packets of this device are bridged by; 0: none.
std::uint32_t bridge_of(const Network& network, std::uint32_t ifindex) {
  for (int depth = 0; depth < 2; ++depth) {
    const Device* device = network.device(ifindex);
    if (device == nullptr) return 0;
    if (device->kind == "bridge") return ifindex;
    if (device->kind != "vlan") return 0;
    ifindex = device->lower;
  }
  return 0;
}

Located refuse(const Device& device) {
  return {.ifindex = 0,
          .reason = fmt::format("its way leads to {}, which is no device that pods have: name its device by the "
                                "annotation omnitide.io/interface",
                                device.name)};
}

std::optional<Located> by_route(const policy::PlanEndpoint& pod, const Network& network) {
  const auto before = [](const HostRoute& left, const HostRoute& right) {
    const bool main = left.table == RT_TABLE_MAIN, other_main = right.table == RT_TABLE_MAIN;
    return main != other_main ? main : left < right;
  };
  std::optional<Located> refused;
  for (const Address& address : pod.addresses) {
    std::vector<HostRoute> routes = network.routes(address);
    std::sort(routes.begin(), routes.end(), before);
    for (const HostRoute& route : routes) {
      const Device* device = network.device(route.ifindex);
      if (device == nullptr || device->loopback || bridge_of(network, route.ifindex) != 0) continue;
      if (is_pod_kind(*device)) return Located{.ifindex = route.ifindex, .reason = {}};
      refused = refuse(*device);
    }
  }
  return refused;
}

std::optional<Located> by_bridge(const policy::PlanEndpoint& pod, const Network& network) {
  std::optional<Located> refused;
  for (const Address& address : pod.addresses) {
    for (const auto& [ifindex, mac] : network.neighbours(address)) {
      const std::uint32_t bridge = bridge_of(network, ifindex);
      const std::uint32_t port = bridge == 0 ? 0 : network.port(bridge, mac);
      const Device* device = network.device(port);
      if (device == nullptr) continue;
      if (is_pod_kind(*device)) return Located{.ifindex = port, .reason = {}};
      refused = refuse(*device);
    }
  }
  return refused;
}

Located by_name(const policy::PlanEndpoint& pod, const Network& network) {
  const Device* device = network.device(std::string_view(pod.interface));
  if (device == nullptr)
    return {.ifindex = 0, .reason = fmt::format("there is no device {}, which its annotation names", pod.interface)};
  if (device->loopback) return {.ifindex = 0, .reason = "its annotation names the loopback device"};
  return {.ifindex = device->index, .reason = {}};
}

}  // namespace

bool is_pod_kind(const Device& device) {
  return std::find(kPodKinds.begin(), kPodKinds.end(), device.kind) != kPodKinds.end();
}

Located locate(const policy::PlanEndpoint& pod, const Network& network, std::uint32_t current) {
  if (!pod.interface.empty()) return by_name(pod, network);
  if (pod.addresses.empty()) return {.ifindex = 0, .reason = "it has no address yet"};
  const std::optional<Located> routed = by_route(pod, network);
  if (routed && routed->ifindex != 0) return *routed;
  if (current != 0 && network.device(current) != nullptr) return {.ifindex = current, .reason = {}};
  const std::optional<Located> bridged = by_bridge(pod, network);
  if (bridged && bridged->ifindex != 0) return *bridged;
  if (routed) return *routed;
  if (bridged) return *bridged;
  return {.ifindex = 0,
          .reason = fmt::format("no host route leads to {}, and no bridge has learnt it", format(pod.addresses[0]))};
}

std::vector<std::pair<Address, std::uint32_t>> questions(const policy::PlanEndpoint& pod, const Network& network) {
  std::vector<std::pair<Address, std::uint32_t>> out;
  for (const Address& address : pod.addresses) {
    for (const std::uint32_t ifindex : network.subnets(address)) {
      if (bridge_of(network, ifindex) != 0) out.emplace_back(address, ifindex);
    }
  }
  return out;
}

}  // namespace omnitide::enforcement
