// A node of its own: namespaces, a BPF file system, a cgroup, and enforcement on it that can be started again as a new
// process would be.
#pragma once

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <linux/pkt_sched.h>
#include <linux/rtnetlink.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <optional>
#include <set>
#include <stdexcept>
#include <string>
#include <vector>

#include "ebpf/enforcement/encode.hpp"
#include "ebpf/enforcement/enforcement.hpp"
#include "tests/harness/kernel_objects.hpp"
#include "tests/harness/links.hpp"
#include "tests/harness/private_bpffs.hpp"

namespace omnitide::test {

class EnforcedNode {
 public:
  explicit EnforcedNode(const std::string& bpffs) {
    options.pins = bpffs + "/omnitide";
    options.limits = {.endpoints = 256,
                      .addresses = 256,
                      .prefixes = 64,
                      .peers = 1024,
                      .ports = 256,
                      .port_ranges = 256,
                      .words = 256,
                      .rules = 1024,
                      .connections = 64,
                      .translations = 64,
                      .fragments = 16,
                      .budgets = 16,
                      .deny = 16,
                      .own = 64,
                      .event_bytes = 4096};
    for (const char* root : {"/sys/fs/cgroup/unified", "/sys/fs/cgroup"}) {
      options.cgroup = std::string(root) + "/omnitide-test-" + std::to_string(::getpid());
      if (::mkdir(options.cgroup.c_str(), 0755) == 0) return;
    }
    throw std::runtime_error("cannot make a cgroup (root and cgroup v2 are needed)");
  }
  EnforcedNode(const EnforcedNode&) = delete;
  EnforcedNode& operator=(const EnforcedNode&) = delete;
  ~EnforcedNode() {
    enforcement_.reset();
    (void)enforcement::Enforcement::remove(options);
    ::rmdir(options.cgroup.c_str());
  }

  // As a new process: the old one ends without a word.
  Result<> try_start() {
    enforcement_.reset();
    Result<enforcement::Enforcement> made = enforcement::Enforcement::open(options);
    if (made.has_error()) return made.error();
    enforcement_.emplace(std::move(*made));
    return {};
  }
  void start() {
    if (const Result<> started = try_start(); started.has_error()) throw std::runtime_error(started.error().text());
  }
  void stop() { enforcement_.reset(); }

  enforcement::Enforcement* operator->() {
    if (!enforcement_) start();
    return &*enforcement_;
  }

  static policy::PlanEndpoint pod(const std::string& name, const std::vector<std::string>& addresses) {
    policy::PlanEndpoint out;
    out.name = name;
    out.identity = policy::kPodBit | 7;
    for (const std::string& address : addresses)
      out.addresses.push_back(*parse_address(address));
    return out;
  }

  // A whole plan of endpoints without rules.
  Result<> publish(const std::vector<policy::PlanEndpoint>& endpoints) {
    policy::PlanUpdate plan;
    plan.endpoints = endpoints;
    return (*this)->publish(plan, true);
  }

  [[nodiscard]] std::string pin(const std::string& name) const {
    return options.pins + "/policy-v" + std::to_string(options.abi) + "/" + name;
  }
  [[nodiscard]] std::vector<std::string> pinned_links() const {
    std::vector<std::string> out;
    std::error_code ignored;
    for (const auto& entry : std::filesystem::directory_iterator(pin("links"), ignored))
      out.push_back(entry.path().filename());
    std::sort(out.begin(), out.end());
    return out;
  }

  [[nodiscard]] std::optional<policy_endpoint> element_at(std::uint32_t ifindex) const {
    return find<policy_endpoint>("endpoints", ifindex);
  }
  [[nodiscard]] std::optional<policy_endpoint> element(const std::string& device) const {
    return element_at(index_of(device));
  }
  [[nodiscard]] bool owns(const std::string& address) const {
    return find<std::uint32_t>("own", enforcement::encode(*parse_address(address))).has_value();
  }
  template <class Value, class Key>
  [[nodiscard]] std::optional<Value> find(const std::string& map, const Key& key) const {
    const int fd = bpf_obj_get(pin(map).c_str());
    const UniqueFd owned(fd < 0 ? -1 : fd);
    if (!owned) throw std::runtime_error("no pinned map " + map);
    Value value{};
    return bpf_map_lookup_elem(owned.get(), &key, &value) == 0 ? std::optional(value) : std::nullopt;
  }

  [[nodiscard]] enforcement::EndpointStatus endpoint(const std::string& name) {
    for (const enforcement::EndpointStatus& status : (*this)->status().endpoints) {
      if (status.name == name) return status;
    }
    throw std::runtime_error("no endpoint " + name);
  }
  [[nodiscard]] std::string pending(const std::string& name) { return endpoint(name).pending; }
  [[nodiscard]] std::vector<std::string> devices(const std::string& name) { return endpoint(name).devices; }

  enforcement::Options options;

 private:
  std::optional<enforcement::Enforcement> enforcement_;
};

template <class Body>
void with_node(Body body) {
  with_private_bpffs([&body](const std::string& bpffs) {
    EnforcedNode node(bpffs);
    body(node);
  });
}

// Filters of the qdisc clsact on a device, ours and others'.
inline std::vector<std::uint32_t> clsact_ids(std::uint32_t ifindex, bool ingress) {
  auto socket = NetlinkSocket::open(NETLINK_ROUTE);
  if (socket.has_error()) throw std::runtime_error(socket.error().text());
  tcmsg request{};
  request.tcm_ifindex = static_cast<int>(ifindex);
  request.tcm_parent = TC_H_MAKE(TC_H_CLSACT, ingress ? TC_H_MIN_INGRESS : TC_H_MIN_EGRESS);
  std::vector<std::uint32_t> out;
  (void)socket->request(RTM_GETTFILTER, NLM_F_DUMP, bytes_of(request), [&out](const NetlinkMessage& message) {
    const auto header = netlink_value<tcmsg>(message.payload);
    if (message.type != RTM_NEWTFILTER || !header || header->tcm_handle == 0) return;
    NetlinkAttributes all(message.payload.substr(NLMSG_ALIGN(sizeof(tcmsg))));
    while (const auto attribute = all.next()) {
      if (attribute->type != TCA_OPTIONS) continue;
      NetlinkAttributes inner(attribute->payload);
      while (const auto option = inner.next()) {
        constexpr std::uint16_t kId = 11;  // TCA_BPF_ID
        if (option->type == kId) out.push_back(netlink_value<std::uint32_t>(option->payload).value_or(0));
      }
    }
  });
  return out;
}
inline std::size_t clsact_programs(std::uint32_t ifindex, bool ingress) { return clsact_ids(ifindex, ingress).size(); }

// What packets of a device meet, in that order: tcx where the kernel has it, and the filters of clsact.
inline std::vector<std::uint32_t> attached_ids(std::uint32_t ifindex, bool ingress) {
  std::vector<std::uint32_t> out = tcx_ids(ifindex, ingress);
  const std::vector<std::uint32_t> filters = clsact_ids(ifindex, ingress);
  out.insert(out.end(), filters.begin(), filters.end());
  return out;
}
inline std::vector<std::string> attached_programs(std::uint32_t ifindex, bool ingress) {
  return names_of(attached_ids(ifindex, ingress));
}
inline std::uint32_t clsact_program(std::uint32_t ifindex, bool ingress) { return clsact_ids(ifindex, ingress).at(0); }

// Another agent's filter, on the ingress of a device that has clsact.
inline void add_stranger(std::uint32_t ifindex) {
  const UniqueFd program = pass_program();
  bpf_tc_hook hook{};
  hook.sz = sizeof hook;
  hook.ifindex = static_cast<int>(ifindex);
  hook.attach_point = BPF_TC_INGRESS;
  bpf_tc_opts options{};
  options.sz = sizeof options;
  options.prog_fd = program.get();
  options.handle = 1;
  options.priority = 5;
  if (bpf_tc_attach(&hook, &options) != 0) throw std::runtime_error("cannot attach a stranger's filter");
}

inline bool has_clsact(std::uint32_t ifindex) {
  bpf_tc_hook hook{};
  hook.sz = sizeof hook;
  hook.ifindex = static_cast<int>(ifindex);
  hook.attach_point = BPF_TC_INGRESS;
  const int made = bpf_tc_hook_create(&hook);
  if (made != 0) return true;
  hook.attach_point = static_cast<bpf_tc_attach_point>(BPF_TC_INGRESS | BPF_TC_EGRESS);
  (void)bpf_tc_hook_destroy(&hook);
  return false;
}

}  // namespace omnitide::test
