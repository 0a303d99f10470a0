#include "ebpf/enforcement/roles.hpp"

#include <fmt/format.h>
#include <fnmatch.h>

#include <algorithm>
#include <array>
#include <set>
#include <string_view>

#include "ebpf/enforcement/encode.hpp"
#include "ebpf/enforcement/locator.hpp"

namespace omnitide::enforcement {

namespace {

bool matches(const std::vector<std::string>& globs, const std::string& name) {
  return std::any_of(globs.begin(), globs.end(),
                     [&name](const std::string& glob) { return ::fnmatch(glob.c_str(), name.c_str(), 0) == 0; });
}

// A packet for the master of such a device passes the master too, and is judged there.
bool is_slave(const Device& device, const Network& network) {
  constexpr std::array<std::string_view, 4> kMasters{"bridge", "bond", "team", "openvswitch"};
  const Device* master = network.device(device.master);
  return master != nullptr && std::find(kMasters.begin(), kMasters.end(), master->kind) != kMasters.end();
}

std::map<std::string, std::uint32_t> holders(const Roles& before) {
  std::map<std::string, std::uint32_t> out;
  for (const auto& [ifindex, role] : before) {
    if (role.kind == RoleKind::pod && !role.endpoint.empty()) out[role.endpoint] = ifindex;
  }
  return out;
}

class Assigner {
 public:
  Assigner(const Endpoints& endpoints, const Network& network, const Roles& before, const Options& options)
      : endpoints_(endpoints), network_(network), before_(before), options_(options), holders_(holders(before)) {}

  Assignment run() {
    // Who has a device keeps it against one who would come new.
    for (const bool holding : {true, false}) {
      for (const auto& [name, endpoint] : endpoints_) {
        if (endpoint.kind == policy::EndpointKind::pod && holders_.contains(name) == holding) place(endpoint);
      }
    }
    for (const auto& [index, device] : network_.devices()) {
      if (!device.loopback && !out_.roles.contains(index) && waits(device)) give(device, RoleKind::closed, {});
    }
    for (const auto& [name, endpoint] : endpoints_) {
      if (endpoint.kind == policy::EndpointKind::host) place_host(endpoint);
    }
    for (const auto& [index, device] : network_.devices()) {
      if (!device.loopback && !out_.roles.contains(index)) give(device, RoleKind::other, {});
    }
    return std::move(out_);
  }

 private:
  void give(const Device& device, RoleKind kind, const std::string& endpoint) {
    out_.roles[device.index] = {
        .kind = kind, .endpoint = endpoint, .no_l2 = !device.has_l2(), .bridge = device.kind == "bridge"};
    const Device* master = network_.device(device.master);
    if ((kind == RoleKind::pod || kind == RoleKind::closed) && master != nullptr && master->kind == "bridge")
      pod_bridges_.insert(master->index);
  }

  void place(const policy::PlanEndpoint& pod) {
    const auto holder = holders_.find(pod.name);
    const Located found = locate(pod, network_, holder == holders_.end() ? 0 : holder->second);
    const Device* device = network_.device(found.ifindex);
    if (device == nullptr) {
      out_.pending[pod.name] = found.reason;
      return;
    }
    const auto taken = out_.roles.find(device->index);
    if (taken == out_.roles.end()) {
      give(*device, RoleKind::pod, pod.name);
    } else {
      out_.pending[pod.name] = fmt::format("its device {} is already that of {}", device->name, taken->second.endpoint);
    }
  }

  // Whether the device is to be closed until a pod is found on it.
  [[nodiscard]] bool waits(const Device& device) const {
    if (matches(options_.interfaces, device.name)) return !options_.interfaces_start_open;
    const auto before = before_.find(device.index);
    if (before == before_.end()) return false;
    const bool was_ours = before->second.kind == RoleKind::pod || before->second.kind == RoleKind::closed;
    return was_ours && options_.lost_pod == LostPod::closed;
  }

  [[nodiscard]] bool is_uplink(const Device& device) const {
    return device.carrier && device.kind != "veth" && device.kind != "netkit" && !is_slave(device, network_) &&
           !pod_bridges_.contains(device.index);
  }

  void place_host(const policy::PlanEndpoint& host) {
    bool any = false;
    for (const auto& [index, device] : network_.devices()) {
      if (device.loopback || out_.roles.contains(index)) continue;
      const bool named = !host.host_interfaces.empty();
      if (named ? !matches(host.host_interfaces, device.name) : !is_uplink(device)) continue;
      give(device, RoleKind::host, host.name);
      any = true;
    }
    if (!any) out_.pending[host.name] = "the node has no device that it is for";
  }

  const Endpoints& endpoints_;
  const Network& network_;
  const Roles& before_;
  const Options& options_;
  const std::map<std::string, std::uint32_t> holders_;
  std::set<std::uint32_t> pod_bridges_;  // they carry pods' packets, which their own policies judge
  Assignment out_;
};

policy_endpoint element_of(std::uint32_t ifindex, const Role& role, const policy::PlanEndpoint* endpoint, Mode mode) {
  policy_endpoint out{};
  if (role.no_l2) out.flags |= POLICY_NO_L2;
  if (role.bridge) out.flags |= POLICY_BRIDGE;
  if (role.kind == RoleKind::other) return out;
  if (mode == Mode::audit) out.flags |= POLICY_AUDIT;
  out.flags |= role.kind == RoleKind::host ? POLICY_HOST : POLICY_POD;
  out.id = role.kind == RoleKind::host ? 0 : ifindex;
  if (role.kind == RoleKind::closed) out.flags |= POLICY_CLOSED;
  if (endpoint == nullptr) return out;
  if (endpoint->keep_established) out.flags |= POLICY_KEEP_ESTABLISHED;
  if (endpoint->any_source) out.flags |= POLICY_ANY_SOURCE;
  out.identity = endpoint->identity;
  out.ingress_set = endpoint->ingress;
  out.egress_set = endpoint->egress;
  for (const Address& address : endpoint->addresses)
    out.addresses[address.is_v4() ? 0 : 1] = encode(address);
  return out;
}

}  // namespace

Assignment assign(const Endpoints& endpoints, const Network& network, const Roles& before, const Options& options) {
  return Assigner(endpoints, network, before, options).run();
}

Elements elements_of(const Roles& roles, const Endpoints& endpoints, Mode mode) {
  Elements out;
  for (const auto& [ifindex, role] : roles) {
    const auto endpoint = endpoints.find(role.endpoint);
    const policy_endpoint element =
        element_of(ifindex, role, endpoint == endpoints.end() ? nullptr : &endpoint->second, mode);
    if (element.flags != 0) out.emplace_hint(out.end(), ifindex, element);
  }
  return out;
}

bool waits_for_sockets(const Elements& elements) {
  return std::any_of(elements.begin(), elements.end(), [](const auto& entry) {
    return (entry.second.flags & POLICY_POD) != 0 && entry.second.egress_set != policy::kOpen;
  });
}

std::map<LinkKey, Program> programs_of(const Roles& roles, bool xdp_deny, bool deliver) {
  const auto is_pod = [](const auto& entry) {
    return entry.second.kind == RoleKind::pod || entry.second.kind == RoleKind::closed;
  };
  const bool pods = std::any_of(roles.begin(), roles.end(), is_pod);
  std::map<LinkKey, Program> out;
  for (const auto& [ifindex, role] : roles) {
    const LinkKey in{ifindex, Hook::in}, leaving{ifindex, Hook::out}, express{ifindex, Hook::xdp};
    switch (role.kind) {
      case RoleKind::pod:
      case RoleKind::closed:
        out[in] = Program::from_endpoint;
        out[leaving] = Program::to_endpoint;
        break;
      case RoleKind::host:
        out[in] = Program::enter;
        out[leaving] = Program::leave;
        if (xdp_deny) out[express] = Program::xdp_deny;
        break;
      case RoleKind::other:
        if (pods) out[leaving] = Program::leave;
        break;
    }
  }
  if (deliver) out[{0, Hook::cgroup}] = Program::deliver;
  return out;
}

}  // namespace omnitide::enforcement
