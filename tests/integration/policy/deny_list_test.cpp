// A deny list of 100,000 CIDRs by a file: in force whole, right at its edges, within its limit; refused whole beyond
// it.
#include <bpf/bpf.h>
#include <fmt/format.h>

#include <chrono>
#include <iostream>
#include <set>
#include <string>

#include "ebpf/abi/policy.h"
#include "ebpf/enforcement/encode.hpp"
#include "tests/harness/agent_node.hpp"
#include "tests/harness/catch.hpp"
#include "tests/harness/policy_traffic.hpp"
#include "tests/harness/private_bpffs.hpp"

using namespace omnitide;
using namespace std::chrono_literals;
using test::AgentNode;

namespace {

constexpr unsigned kHalves = 60'000, kSingle = 30'000, kSix = 10'000, kAll = kHalves + kSingle + kSix;

// 11.A.B.0/25, 12.A.B.77 and 2001:db8:N::/48.
std::string deny_list() {
  std::string out =
      "apiVersion: omnitide.io/v1alpha1\nkind: HostPolicy\nmetadata:\n  name: list\nspec:\n"
      "  interfaces:\n  - pod9\n  deny:\n";
  for (unsigned i = 0; i < kHalves; ++i)
    out += fmt::format("  - 11.{}.{}.0/25\n", i / 256, i % 256);
  for (unsigned i = 0; i < kSingle; ++i)
    out += fmt::format("  - 12.{}.{}.77/32\n", i / 256, i % 256);
  for (unsigned i = 0; i < kSix; ++i)
    out += fmt::format("  - 2001:db8:{:x}::/48\n", i);
  return out;
}

class List {
 public:
  explicit List(const AgentNode& node)
      : map_(bpf_obj_get((node.options().pins + "/policy-v" + std::to_string(POLICY_ABI) + "/deny").c_str())) {
    if (!map_) throw std::runtime_error("no pinned deny list");
  }
  [[nodiscard]] bool denies(const std::string& address) const {
    const policy_prefix key{128, enforcement::encode(*parse_address(address))};
    __u32 value = 0;
    return bpf_map_lookup_elem(map_.get(), &key, &value) == 0;
  }
  // What the kernel says that it takes.
  [[nodiscard]] long kib() const {
    const std::string text = test::read_text("/proc/self/fdinfo/" + std::to_string(map_.get()));
    const auto at = text.find("memlock:");
    return at == std::string::npos ? 0 : std::stol(text.substr(at + 8)) / 1024;
  }

 private:
  UniqueFd map_;
};

void check_edges(const List& list) {
  for (const unsigned i : {0U, 1U, 255U, 256U, kHalves / 2, kHalves - 1}) {
    const std::string net = fmt::format("11.{}.{}.", i / 256, i % 256);
    CHECK(list.denies(net + "0"));
    CHECK(list.denies(net + "127"));
    CHECK_FALSE(list.denies(net + "128"));
    CHECK_FALSE(list.denies(net + "255"));
  }
  CHECK_FALSE(list.denies(fmt::format("11.{}.{}.0", kHalves / 256, kHalves % 256)));
  CHECK_FALSE(list.denies("10.255.255.255"));
  for (const unsigned i : {0U, 255U, 256U, kSingle - 1}) {
    const std::string net = fmt::format("12.{}.{}.", i / 256, i % 256);
    CHECK(list.denies(net + "77"));
    CHECK_FALSE(list.denies(net + "76"));
    CHECK_FALSE(list.denies(net + "78"));
  }
  for (const unsigned i : {0U, 0xffU, 0x100U, kSix - 1}) {
    CHECK(list.denies(fmt::format("2001:db8:{:x}::", i)));
    CHECK(list.denies(fmt::format("2001:db8:{:x}:ffff:ffff:ffff:ffff:ffff", i)));
  }
  CHECK_FALSE(list.denies(fmt::format("2001:db8:{:x}::", kSix)));
  CHECK_FALSE(list.denies("2001:db7:ffff:ffff:ffff:ffff:ffff:ffff"));
}

long resident_kib(pid_t pid) {
  const std::string text = test::read_text("/proc/" + std::to_string(pid) + "/status");
  const auto at = text.find("VmRSS:");
  return at == std::string::npos ? 0 : std::stol(text.substr(at + 6));
}

// Datagrams from the world to the node: from each address one. Those that arrived.
std::set<std::string> arrivals(const test::RoutedPod& world, const std::vector<std::string>& sources) {
  constexpr std::uint16_t kPort = 7009;
  const UniqueFd receiver(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  const sockaddr_in here = test::socket_address("0.0.0.0", kPort);
  REQUIRE(::bind(receiver.get(), reinterpret_cast<const sockaddr*>(&here), sizeof here) == 0);
  world.run([&] {
    for (const std::string& source : sources) {
      const UniqueFd sender(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
      const sockaddr_in from = test::socket_address(source, 0), to = test::socket_address("10.50.9.1", kPort);
      if (::bind(sender.get(), reinterpret_cast<const sockaddr*>(&from), sizeof from) != 0)
        throw std::runtime_error("cannot bind to " + source);
      (void)::sendto(sender.get(), "x", 1, 0, reinterpret_cast<const sockaddr*>(&to), sizeof to);
    }
  });
  std::this_thread::sleep_for(200ms);
  std::set<std::string> out;
  char byte = 0;
  sockaddr_in from{};
  for (socklen_t size = sizeof from;
       ::recvfrom(receiver.get(), &byte, 1, 0, reinterpret_cast<sockaddr*>(&from), &size) >= 0; size = sizeof from) {
    std::string text(INET_ADDRSTRLEN, '\0');
    ::inet_ntop(AF_INET, &from.sin_addr, text.data(), static_cast<socklen_t>(text.size()));
    out.insert(text.c_str());
  }
  return out;
}

}  // namespace

TEST_CASE("a deny list of 100,000 CIDRs is in force whole, and one that is longer than the limit is refused whole") {
  test::with_private_bpffs([](const std::string& bpffs) {
    AgentNode node(bpffs, {fmt::format("deny: {}", kAll)});
    const test::RoutedPod world(9);
    for (const char* device : {"all", "pod9"})
      test::write_sysctl(fmt::format("ipv4/conf/{}/rp_filter", device), "0");
    const std::vector<std::string> denied{"11.1.4.0", "11.1.4.127", "12.5.6.77"};
    const std::vector<std::string> free{"11.1.4.128", "12.5.6.76", "12.5.6.78", "10.50.9.2"};
    std::vector<std::string> all = denied;
    all.insert(all.end(), free.begin(), free.end());
    world.run([&] {
      for (const std::string& address : all)
        if (address != "10.50.9.2") test::add_address(test::index_of("eth0"), address + "/32");
    });
    node.put("node.yaml", "apiVersion: v1\nkind: Node\nmetadata:\n  name: node-a\n");
    node.start();
    REQUIRE(node.enforces(30s));
    CHECK(arrivals(world, all) == std::set<std::string>(all.begin(), all.end()));
    const long before = resident_kib(node.pid());

    const auto begin = std::chrono::steady_clock::now();
    node.put("list.yaml", deny_list());
    REQUIRE(node.enforces(60s));
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begin;
    const List list(node);
    std::cout << kAll << " CIDRs in force after " << took.count() << " s; the agent has "
              << resident_kib(node.pid()) - before << " KiB more, the map " << list.kib() << " KiB\n";
    check_edges(list);
    CHECK(arrivals(world, all) == std::set<std::string>(free.begin(), free.end()));

    node.put("more.yaml",
             "apiVersion: omnitide.io/v1alpha1\nkind: HostPolicy\nmetadata:\n  name: more\nspec:\n"
             "  interfaces:\n  - pod9\n  deny:\n  - 10.50.9.2/32\n");
    test::Answer status;
    REQUIRE(test::eventually(30s, [&] {
      status = node.ask({"policy", "status"});
      return status.text.find("The last policy stays: the limit of deny is reached") != std::string::npos;
    }));
    CHECK(status.code == 1);
    check_edges(list);
    CHECK_FALSE(list.denies("10.50.9.2"));
    CHECK(arrivals(world, all) == std::set<std::string>(free.begin(), free.end()));
    node.take_away("more.yaml");
    CHECK(node.enforces(30s));
    node.take_away("list.yaml");
    CHECK(node.enforces(60s));
    CHECK(arrivals(world, all) == std::set<std::string>(all.begin(), all.end()));
    CHECK(node.end(SIGTERM) == 0);
  });
}
