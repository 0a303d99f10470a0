#include "agent/policy/probes.hpp"

#include <fmt/format.h>

#include <array>
#include <map>
#include <set>
#include <string>

namespace omnitide::policy {

namespace {

constexpr std::array kPorted{Protocol::tcp, Protocol::udp, Protocol::sctp};
constexpr std::uint32_t kBehindLast = 65'536;

class Collector {
 public:
  void take(const Object& object) {
    if (const auto* pod = std::get_if<Pod>(&object)) pods_.push_back(pod);
    std::visit(
        [this](const auto& policy) {
          if constexpr (requires { policy.ingress; }) {
            for (const auto* rules : {&policy.ingress, &policy.egress}) {
              for (const Rule& rule : *rules)
                take(rule.ports);
            }
          }
          if constexpr (requires { policy.fail_safe_ingress; }) {
            take(policy.fail_safe_ingress);
            take(policy.fail_safe_egress);
          }
        },
        object);
  }

  [[nodiscard]] std::vector<PortProbe> probes() {
    for (const Pod* pod : pods_) {
      for (const NamedPort& port : pod->ports) {
        if (names_.contains(port.name)) add(port.protocol, port.number, port.number);
      }
    }
    std::vector<PortProbe> out;
    for (const Protocol protocol : kPorted)
      sweep(protocol, out);
    out.push_back({.protocol = Protocol::icmp});
    return out;
  }

 private:
  // By port: how many ranges begin there, less those that end before it.
  using Steps = std::map<std::uint32_t, int>;

  void take(const std::vector<PortMatch>& ports) {
    for (const PortMatch& port : ports) {
      if (!port.name.empty()) names_.insert(port.name);
      if (port.name.empty() && port.last != 0) add(port.protocol, port.first, port.last);
    }
  }
  void add(Protocol protocol, std::uint32_t first, std::uint32_t last) {
    for (const Protocol which : kPorted) {
      if (protocol != Protocol::any && protocol != which) continue;
      ++steps_[which][first];
      --steps_[which][last + 1];
    }
  }
  void sweep(Protocol protocol, std::vector<PortProbe>& out) {
    Steps& steps = steps_[protocol];
    steps.try_emplace(1, 0);
    steps.try_emplace(kBehindLast, 0);
    bool other = false;
    int ranges = 0;
    for (auto at = steps.begin(); at->first != kBehindLast; ++at) {
      ranges += at->second;
      if (ranges == 0 && other) continue;
      other = other || ranges == 0;
      out.push_back({.protocol = protocol,
                     .first = static_cast<std::uint16_t>(at->first),
                     .last = static_cast<std::uint16_t>(std::next(at)->first - 1),
                     .other = ranges == 0});
    }
  }

  std::map<Protocol, Steps> steps_;
  std::set<std::string> names_;
  std::vector<const Pod*> pods_;
};

}  // namespace

std::string describe(const PortProbe& probe) {
  if (probe.protocol == Protocol::icmp) return "ICMP";
  const std::string_view protocol = protocol_name(probe.protocol);
  if (probe.other) return fmt::format("{} every other", protocol);
  if (probe.first == 1 && probe.last == kBehindLast - 1) return fmt::format("{} every port", protocol);
  if (probe.first == probe.last) return fmt::format("{} {}", protocol, probe.first);
  return fmt::format("{} {}-{}", protocol, probe.first, probe.last);
}

std::vector<PortProbe> port_probes(std::span<const ObjectRef> objects) {
  Collector collector;
  for (const ObjectRef& object : objects)
    collector.take(*object);
  return collector.probes();
}

}  // namespace omnitide::policy
