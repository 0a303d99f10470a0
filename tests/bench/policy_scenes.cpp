#include "tests/bench/policy_scenes.hpp"

#include <time.h>

#include <array>
#include <stdexcept>
#include <utility>

namespace omnitide::bench {

namespace {

using test::Bytes;
using test::PolicyPath;
using test::tcp4;

constexpr unsigned kManyRules = 10'000;
constexpr unsigned kManyAddresses = 100'000;
constexpr unsigned kFirstSource = 0x0a010000;  // 10.1.0.0
constexpr unsigned kIdentities = 1'000;        // among which the many addresses are shared out
constexpr double kEstablished = 4, kNewFlow = 7;
constexpr const char* kIn = "policy_to_endpoint";
constexpr const char* kOut = "policy_from_endpoint";
constexpr const char* kPod = "10.0.0.1";
constexpr const char* kPod6 = "fd00::1";
constexpr const char* kPeer6 = "fd00::2";

std::string nth_address(unsigned n) {
  const unsigned address = kFirstSource + n;
  return std::to_string(address >> 24U) + "." + std::to_string(address >> 16U & 255U) + "." +
         std::to_string(address >> 8U & 255U) + "." + std::to_string(address & 255U);
}

policy_variation other_ports(__u8 ipv6 = 0) {
  policy_variation out{};
  out.ports = 1;
  out.ipv6 = ipv6;
  return out;
}

policy_variation other_sources(unsigned mask = 0xffff) {
  policy_variation out{};
  out.first_address = kFirstSource;
  out.addresses = mask;
  return out;
}

policy_endpoint pod(unsigned ingress, unsigned egress = 0) {
  policy_endpoint out{};
  out.flags = POLICY_POD;
  out.epoch = 1;
  out.identity = POLICY_POD_BIT | 1;
  out.ingress_set = ingress;
  out.egress_set = egress;
  out.ingress_flags = out.egress_flags = POLICY_SET_DENY | POLICY_SET_PORTS | POLICY_SET_ACCEPTS;
  out.addresses[0] = test::kernel_address(kPod);
  out.addresses[1] = test::kernel_address(kPod6);
  return out;
}

std::unique_ptr<PolicyPath> new_path(unsigned connections) {
  const std::map<std::string, unsigned> sizes{
      {"addresses", 131072}, {"prefixes", 32768}, {"peers", 65536},     {"ports", 65536},
      {"words", 65536},      {"rules", 65536},    {"endpoints", 16384}, {"connections", connections}};
  // No budget: each run opens a connection; and none is too old to be met again.
  timespec tick{};  // as the loader sets it
  clock_getres(CLOCK_MONOTONIC_COARSE, &tick);
  return std::make_unique<PolicyPath>(sizes,
                                      std::map<std::string, __u64>{{"connection_interval_ns", 0},
                                                                   {"short_idle_ns", 3'600'000'000'000},
                                                                   {"tick_ns", static_cast<__u64>(tick.tv_nsec)}});
}

// A pod whose ingress has `rules` rules, each for a peer and a port of its own; the peer of the first is kPeer6 too.
void isolated_pod(PolicyPath& path, unsigned rules) {
  constexpr unsigned set = 7;
  std::vector<unsigned> same_port;
  for (unsigned i = 0; i < rules; ++i) {
    path.rule(set, i);
    path.peers(set, POLICY_POD_BIT | (i + 10), {i});
    path.location(nth_address(i), POLICY_POD_BIT | (i + 10));
    if (i % 2 == 0)
      same_port.push_back(i);
    else
      path.port(set, 6, 1000 + i, {i});
  }
  path.location(kPeer6, POLICY_POD_BIT | 10);
  path.port(set, 6, 80, same_port);
  path.port(set, 17, 53, {0});
  path.endpoint(1, pod(set));
}

// As many pods as rules, one for each.
void spread_rules(PolicyPath& path) {
  for (unsigned i = 0; i < kManyRules; ++i) {
    path.rule(100 + i, 0);
    path.peers(100 + i, POLICY_POD_BIT | (i + 10), {0});
    path.port(100 + i, 6, 80, {0});
    path.endpoint(100 + i, pod(100 + i));
    path.location(nth_address(i), POLICY_POD_BIT | (i + 10));
  }
  isolated_pod(path, 1);
}

// A pod that may be reached from 100,000 addresses, and reach them.
void popular_pod(PolicyPath& path) {
  for (const unsigned set : {7U, 8U}) {
    path.rule(set, 0);
    path.port(set, 6, 80, {0});
    for (unsigned i = 0; i < kIdentities; ++i)
      path.peers(set, POLICY_POD_BIT | (i + 10), {0});
  }
  for (unsigned i = 0; i < kManyAddresses; ++i)
    path.location(nth_address(i), POLICY_POD_BIT | (i % kIdentities + 10));
  path.endpoint(1, pod(7, 8));
}

void expect(PolicyPath& path, const char* program, const Bytes& packet, unsigned reason, const std::string& name) {
  if (path.send(program, packet).reason != reason)
    throw std::runtime_error("the scene '" + name + "' is not what it should be");
}

class Builder {
 public:
  void add(const std::string& name, double aim, PolicyPath& path, const char* program, const Bytes& packet,
           unsigned reason) {
    expect(path, program, packet, reason, name);
    Scene scene;
    scene.name = name;
    scene.aim = aim;
    scene.program = path.program(program);
    scene.packet = packet;
    out.all.push_back(scene);
  }
  void vary(const policy_variation& variation, const Bytes& openings = {}) {
    out.all.back().variation = variation;
    out.all.back().varies = true;
    out.all.back().openings = openings;
  }
  PolicyPath& path(unsigned connections) {
    out.paths.push_back(new_path(connections));
    return *out.paths.back();
  }

  Scenes out;
};

// The connections of a packet and of a SYN that opens one again. 10.1.39.16 is the peer of rule 10,000.
void add_rules(Builder& to) {
  PolicyPath& one = to.path(1024);
  PolicyPath& all = to.path(1024);
  PolicyPath& spread = to.path(1024);
  isolated_pod(one, 1);
  isolated_pod(all, kManyRules + 1);
  spread_rules(spread);
  const std::array<std::pair<const char*, PolicyPath*>, 3> paths{
      {{"1 rule", &one}, {"10,000 rules on one endpoint", &all}, {"10,000 rules spread", &spread}}};
  for (const auto& [rules, path] : paths) {
    const std::string behind = std::string(", ") + rules;
    expect(*path, kIn, tcp4(nth_address(0), 40000, kPod, 80, "S"), POLICY_REASON_RULE, rules);
    to.add("established" + behind, kEstablished, *path, kIn, tcp4(nth_address(0), 40000, kPod, 80, "A"),
           POLICY_REASON_CONNECTION);
    to.add("verdict, entry used again" + behind, kNewFlow, *path, kIn, tcp4(nth_address(0), 40001, kPod, 80, "S"),
           POLICY_REASON_RULE);
    to.add("new flow, full table of 1,024" + behind, kNewFlow, *path, kIn, tcp4(nth_address(0), 40002, kPod, 80, "S"),
           POLICY_REASON_RULE);
    to.vary(other_ports());
  }
  to.add("verdict, the last of 10,001 rules on one endpoint", 0, all, kIn,
         tcp4(nth_address(kManyRules), 40002, kPod, 80, "S"), POLICY_REASON_RULE);
  to.add("denied stranger, 10,000 rules on one endpoint", 0, all, kIn, tcp4("192.0.2.1", 40003, kPod, 80, "S"),
         POLICY_REASON_NO_RULE);
}

void add_families(Builder& to) {
  PolicyPath& path = to.path(1024);
  isolated_pod(path, 1);
  const Bytes first = test::ethernet(0x86dd, test::ip6(kPeer6, kPod6, 17, test::udp(40000, 53)));
  expect(path, kIn, test::udp4(nth_address(0), 40000, kPod, 53), POLICY_REASON_RULE, "UDP");
  to.add("established, UDP", kEstablished, path, kIn, test::udp4(nth_address(0), 40000, kPod, 53),
         POLICY_REASON_CONNECTION);
  expect(path, kIn, first, POLICY_REASON_RULE, "UDP over IPv6");
  to.add("established, UDP over IPv6", kEstablished, path, kIn, first, POLICY_REASON_CONNECTION);
  expect(path, kIn, test::tcp6(kPeer6, 40000, kPod6, 80, "S"), POLICY_REASON_RULE, "IPv6");
  to.add("established, IPv6", kEstablished, path, kIn, test::tcp6(kPeer6, 40000, kPod6, 80, "A"),
         POLICY_REASON_CONNECTION);
  to.add("verdict, entry used again, IPv6", kNewFlow, path, kIn, test::tcp6(kPeer6, 40001, kPod6, 80, "S"),
         POLICY_REASON_RULE);
  to.add("new flow, full table of 1,024, IPv6", kNewFlow, path, kIn, test::tcp6(kPeer6, 40002, kPod6, 80, "S"),
         POLICY_REASON_RULE);
  to.vary(other_ports(1));
}

// The sender's half of a packet between two pods, and what every other device pays.
void add_sender(Builder& to) {
  PolicyPath& path = to.path(1024);
  popular_pod(path);
  const Bytes opening = tcp4(kPod, 40000, nth_address(0), 80, "S");
  expect(path, kOut, opening, POLICY_REASON_RULE, "leaving");
  to.add("established, leaving its pod", kEstablished, path, kOut, tcp4(kPod, 40000, nth_address(0), 80, "A"),
         POLICY_REASON_CONNECTION);
  to.add("verdict, entry used again, leaving its pod", kNewFlow, path, kOut, tcp4(kPod, 40001, nth_address(0), 80, "S"),
         POLICY_REASON_RULE);
  to.add("verdict left to the packet's next judge (Service)", 0, path, kOut, tcp4(kPod, 40001, "192.0.2.1", 80, "S"),
         POLICY_REASON_DEFERRED);
  Scene passing;
  passing.name = "policy_leave, nothing waits";
  passing.program = path.program("policy_leave");
  passing.packet = opening;
  to.out.all.push_back(passing);
}

// A new flow of somebody whom this CPU has not judged lately: as many come in turn as push each other out of its
// memory.
void add_strangers(Builder& to) {
  PolicyPath& path = to.path(1024);
  constexpr unsigned kSources = 1024;  // twice what it holds
  isolated_pod(path, 1);
  for (unsigned i = 0; i < kSources; ++i) {
    path.location(nth_address(i), POLICY_POD_BIT | (i + 10));
    path.peers(7, POLICY_POD_BIT | (i + 10), {0});
  }
  to.add("new flow, full table of 1,024, not judged lately", kNewFlow, path, kIn,
         tcp4(nth_address(0), 40000, kPod, 80, "S"), POLICY_REASON_RULE);
  policy_variation fresh = other_sources(kSources - 1);
  fresh.ports = 1;
  fresh.port_shift = 10;
  to.vary(fresh);
}

// What 65,536 sources in random order make of it: no look-up finds its element in the cache.
void add_cold(Builder& to) {
  PolicyPath& path = to.path(262144);
  popular_pod(path);
  const Bytes opening = tcp4(nth_address(0), 40000, kPod, 80, "S");
  policy_variation random = other_sources();
  random.random = 1;
  expect(path, kIn, opening, POLICY_REASON_RULE, "64k sources");
  to.add("established, 65,536 random sources of 100,000", 0, path, kIn, tcp4(nth_address(0), 40000, kPod, 80, "A"),
         POLICY_REASON_CONNECTION);
  to.vary(random, opening);
  to.add("verdict, entry used again, 65,536 random sources of 100,000", 0, path, kIn, opening, POLICY_REASON_RULE);
  to.vary(random, opening);
  PolicyPath& full = to.path(262144);
  popular_pod(full);
  to.add("new flow, full table of 262,144, 65,536 sources", 0, full, kIn, opening, POLICY_REASON_RULE);
  policy_variation fresh = other_sources();
  fresh.ports = 1;
  fresh.port_shift = 16;
  to.vary(fresh);
}

}  // namespace

Scenes make_scenes() {
  Builder builder;
  add_rules(builder);
  add_families(builder);
  add_sender(builder);
  add_strangers(builder);
  add_cold(builder);
  return std::move(builder.out);
}

}  // namespace omnitide::bench
