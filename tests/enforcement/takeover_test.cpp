// From one process to the next: nothing changes until it has a plan, nothing is unjudged while it changes, nothing of
// the old one is left.
#include <bpf/bpf.h>

#include <cstdlib>
#include <filesystem>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "agent/base/text.hpp"
#include "ebpf/enforcement/connections.hpp"
#include "ebpf/enforcement/enforcement.hpp"
#include "tests/harness/catch.hpp"
#include "tests/harness/enforced_node.hpp"
#include "tests/harness/kernel_objects.hpp"
#include "tests/harness/links.hpp"

using namespace omnitide;
using namespace omnitide::enforcement;
using test::EnforcedNode;

namespace {

struct LinkState {
  std::uint32_t id = 0, program = 0;
  bool operator==(const LinkState&) const = default;
};

// By the name of the pin. A filter of clsact is named as the pin would be; it has no link.
std::map<std::string, LinkState> links(const EnforcedNode& node) {
  std::map<std::string, LinkState> out;
  const std::unique_ptr<struct if_nameindex, decltype(&::if_freenameindex)> devices(::if_nameindex(),
                                                                                    &::if_freenameindex);
  for (const auto* each = devices.get(); each->if_index != 0; ++each) {
    for (const bool ingress : {true, false}) {
      for (const std::uint32_t program : test::clsact_ids(each->if_index, ingress))
        out[std::to_string(each->if_index) + (ingress ? "-in" : "-out")] = {0, program};
    }
  }
  for (const std::string& name : node.pinned_links()) {
    const int fd = bpf_obj_get(node.pin("links/" + name).c_str());
    REQUIRE(fd >= 0);
    const UniqueFd owned(fd);
    bpf_link_info info{};
    __u32 size = sizeof info;
    REQUIRE(bpf_obj_get_info_by_fd(fd, &info, &size) == 0);
    out[name] = {info.id, info.prog_id};
  }
  return out;
}

std::uint32_t map_id(const EnforcedNode& node, const std::string& name) {
  const int fd = bpf_obj_get(node.pin(name).c_str());
  const UniqueFd owned(fd < 0 ? -1 : fd);
  bpf_map_info info{};
  __u32 size = sizeof info;
  REQUIRE(fd >= 0);
  REQUIRE(bpf_obj_get_info_by_fd(fd, &info, &size) == 0);
  return info.id;
}

void write(const EnforcedNode& node, const std::string& map, const void* key, const void* value) {
  const UniqueFd fd(bpf_obj_get(node.pin(map).c_str()));
  REQUIRE(fd);
  REQUIRE(bpf_map_update_elem(fd.get(), key, value, BPF_ANY) == 0);
}

policy_connection_key some_connection(std::uint32_t scope) {
  policy_connection_key key{};
  key.scope = scope;
  key.local = encode(*parse_address("10.0.0.5"));
  key.remote = encode(*parse_address("10.0.0.9"));
  key.local_port = 80;
  key.remote_port = 40000;
  key.protocol = 6;
  return key;
}

Connections table_of(const EnforcedNode& node) {
  const UniqueFd fd(bpf_obj_get(node.pin("connections").c_str()));
  REQUIRE(fd);
  Result<Connections> out = Connections::open(fd.get());
  REQUIRE(out);
  return std::move(*out);
}

policy_seeds seeds_of(const EnforcedNode& node) {
  const auto seeds = node.find<policy_seeds>("seeds", std::uint32_t{0});
  REQUIRE(seeds);
  CHECK(seeds->words[0] != seeds->words[1]);
  return *seeds;
}

void write_connection(const EnforcedNode& node, const policy_connection_key& key) {
  Connection connection{.key = key, .seen = 5};
  connection.state.epoch = 77;
  connection.state.state = POLICY_CONNECTION_REPLIED;
  REQUIRE(table_of(node).enter(connection, seeds_of(node)));
}

// Where the programs look for it.
std::optional<Connection> find_connection(const EnforcedNode& node, const policy_connection_key& key) {
  return table_of(node).find(key, seeds_of(node));
}

// Two pods on routed devices.
std::vector<policy::PlanEndpoint> two_pods() {
  for (int i = 0; i < 2; ++i) {
    const std::string name = "pod" + std::to_string(i);
    if (::if_nametoindex(name.c_str()) != 0) continue;
    test::add_veth_pair(name, name + "-peer");
    test::set_up(test::index_of(name));
    test::set_up(test::index_of(name + "-peer"));
    test::add_route("10.0.0." + std::to_string(5 + i) + "/32", test::index_of(name));
  }
  return {EnforcedNode::pod("shop/web", {"10.0.0.5"}), EnforcedNode::pod("shop/db", {"10.0.0.6"})};
}

// A plan in which everything but the endpoints has the number: to tell plans apart in the kernel.
policy::PlanUpdate plan(const std::vector<policy::PlanEndpoint>& pods, std::uint32_t number) {
  policy::PlanUpdate out;
  policy::RuleSet set;
  set.id = number;
  set.rules = {{}};
  set.ports = {{0, 0, 0, {0}}};
  out.sets = {set};
  out.rows = {{number, policy::kAnyPod, {0}}};
  out.locations = {{host_prefix(*parse_address("10.0.0.5")), policy::kPodBit | number}};
  for (policy::PlanEndpoint pod : pods) {
    pod.ingress = pod.egress = number;
    out.endpoints.push_back(pod);
  }
  return out;
}

// The map `endpoints` that a program refers to, by the program's id.
std::uint32_t endpoints_map_of(std::uint32_t program) {
  const UniqueFd fd(bpf_prog_get_fd_by_id(program));
  std::vector<__u32> ids(64);
  bpf_prog_info info{};
  info.nr_map_ids = static_cast<__u32>(ids.size());
  info.map_ids = reinterpret_cast<std::uintptr_t>(ids.data());
  __u32 size = sizeof info;
  REQUIRE(bpf_obj_get_info_by_fd(fd.get(), &info, &size) == 0);
  for (__u32 i = 0; i < info.nr_map_ids; ++i) {
    const UniqueFd map(bpf_map_get_fd_by_id(ids[i]));
    bpf_map_info about{};
    size = sizeof about;
    REQUIRE(bpf_obj_get_info_by_fd(map.get(), &about, &size) == 0);
    if (std::string_view(&about.name[0]) == "endpoints") return ids[i];
  }
  return 0;
}

// The set by which a device's attached program judges; 0: no program or no element.
std::uint32_t set_in_force(std::uint32_t ifindex, bool ingress) {
  const std::vector<std::uint32_t> programs = test::attached_ids(ifindex, ingress);
  if (programs.size() != 1) return 0;
  const UniqueFd map(bpf_map_get_fd_by_id(endpoints_map_of(programs[0])));
  policy_endpoint element{};
  if (bpf_map_lookup_elem(map.get(), &ifindex, &element) != 0) return 0;
  return ingress ? element.egress_set : element.ingress_set;
}

// Of the steps each, or each nth where a machine is slow: an odd number, so that sizes change.
std::size_t stride() {
  const char* text = std::getenv("OMNITIDE_TAKEOVER_STRIDE");
  return text == nullptr ? 1 : parse_number<std::size_t>(text).value_or(1) | 1U;
}

}  // namespace

TEST_CASE("the next process leaves everything as it is until it has a plan, then switches link by link") {
  test::with_node([](EnforcedNode& node) {
    const auto pods = two_pods();
    REQUIRE(node->publish(plan(pods, 7), true));
    const auto before = links(node);
    REQUIRE(before.size() > 4);
    const std::uint32_t connections = map_id(node, "connections"), endpoints = map_id(node, "endpoints");
    const auto key = some_connection(test::index_of("pod0"));
    write_connection(node, key);

    node.start();
    CHECK(node->status().inherited);
    CHECK_FALSE(node->status().live);
    CHECK(links(node) == before);
    CHECK(map_id(node, "endpoints") == endpoints);
    CHECK(node->publish(plan(pods, 7), false).has_error());
    // Numbers of before stay unused.
    CHECK(node->first_ids().set == 8);
    CHECK(node->first_ids().identity == 8);
    REQUIRE(node->links_changed());
    CHECK(links(node) == before);

    const auto epoch = node.element("pod0")->epoch;
    REQUIRE(node->publish(plan(pods, 8), true));
    const auto after = links(node);
    REQUIRE(after.size() == before.size());
    for (const auto& [name, link] : after) {
      INFO(name);
      CHECK(link.id == before.at(name).id);  // switched in place, never detached
      CHECK(link.program != before.at(name).program);
    }
    CHECK(map_id(node, "endpoints") != endpoints);
    CHECK(map_id(node, "connections") == connections);
    CHECK(find_connection(node, key)->state.epoch == 77);
    CHECK(node.element("pod0")->epoch > epoch);
    CHECK(set_in_force(test::index_of("pod0"), true) == 8);
  });
}

TEST_CASE("what is attached to a device that vanished meanwhile is cleaned up") {
  test::with_node([](EnforcedNode& node) {
    const auto pods = two_pods();
    REQUIRE(node->publish(plan(pods, 7), true));
    const std::string gone = std::to_string(test::index_of("pod1")) + "-in";
    CHECK(links(node).contains(gone));
    node.stop();
    test::remove_link(test::index_of("pod1"));
    node.start();
    CHECK_FALSE(links(node).contains(gone));
    REQUIRE(node->publish(plan(pods, 8), true));
    CHECK(node.devices("shop/web") == std::vector<std::string>{"pod0"});
  });
}

TEST_CASE("with another size of its map, connections are copied and judged anew") {
  test::with_node([](EnforcedNode& node) {
    const auto pods = two_pods();
    REQUIRE(node->publish(plan(pods, 7), true));
    const std::uint32_t before = map_id(node, "connections"), drops = map_id(node, "drops");
    const auto key = some_connection(test::index_of("pod0"));
    write_connection(node, key);
    policy_translation became{};
    became.remote_port = 8080;
    write(node, "translations", &key, &became);

    node.options.limits.connections *= 2;
    node.options.limits.translations *= 2;
    node.options.limits.peers *= 2;
    node.start();
    REQUIRE(node->publish(plan(pods, 8), true));
    CHECK(map_id(node, "connections") != before);
    CHECK(map_id(node, "drops") == drops);
    const auto copied = find_connection(node, key);
    REQUIRE(copied);
    CHECK(copied->state.epoch == 0);
    CHECK(copied->seen == 5);
    CHECK(copied->state.state == POLICY_CONNECTION_REPLIED);
    CHECK(node.find<policy_translation>("translations", key)->remote_port == 8080);
    CHECK(set_in_force(test::index_of("pod0"), false) == 8);
  });
}

TEST_CASE("another version of the interface takes over by the same links, and the old folder goes") {
  test::with_node([](EnforcedNode& node) {
    const auto pods = two_pods();
    REQUIRE(node->publish(plan(pods, 7), true));
    const auto before = links(node);
    const std::string old_folder = node.pin("links");
    const auto key = some_connection(test::index_of("pod0"));
    write_connection(node, key);

    node.options.abi = POLICY_ABI + 1;
    node.start();
    CHECK(node->status().inherited);
    REQUIRE(node->publish(plan(pods, 8), true));
    const auto after = links(node);
    REQUIRE(after.size() == before.size());
    for (const auto& [name, link] : after) {
      INFO(name);
      CHECK(link.id == before.at(name).id);
      CHECK(link.program != before.at(name).program);
    }
    CHECK_FALSE(std::filesystem::exists(old_folder));
    CHECK(find_connection(node, key)->state.epoch == 0);
    CHECK(set_in_force(test::index_of("pod1"), true) == 8);
  });
}

TEST_CASE(
    "an end at any step of a takeover leaves every device judged, by the old plan or the new, and the next "
    "process finishes") {
  constexpr std::uint32_t kSize = 251;
  const std::size_t each = stride();
  test::with_node([each](EnforcedNode& node) {
    node.options.limits.addresses = kSize;
    const auto pods = two_pods();
    std::uint32_t number = 7;
    REQUIRE(node->publish(plan(pods, number), true));
    bool finished = false;
    std::set<bool> seen;
    std::map<std::pair<std::string, bool>, std::uint32_t>
        in_force;  // before the step; those that are missing: `number`
    for (std::size_t step = 0; !finished; step += each) {
      node.options.faults = std::make_shared<Faults>();
      node.options.limits.connections = step % 2 == 0 ? 64 : 128;  // with and without copying
      node.start();
      node.options.faults->die_after(step);
      (void)node->publish(plan(pods, number + 1), true);
      finished = !node.options.faults->dead();
      for (const char* device : {"pod0", "pod1"}) {
        for (const bool ingress : {true, false}) {
          const std::uint32_t set = set_in_force(test::index_of(device), ingress);
          INFO("step " << step << ", " << device << ", " << (ingress ? "ingress" : "egress"));
          std::uint32_t& before_step = in_force.try_emplace({device, ingress}, number).first->second;
          REQUIRE((set == before_step || set == number + 1));
          seen.insert(set == number + 1);
          before_step = set;
        }
      }
      node.options.faults.reset();
      ++number;
      if (step / each % 4 != 1 && !finished) continue;
      node.start();
      REQUIRE(node->publish(plan(pods, number), true));
      REQUIRE(set_in_force(test::index_of("pod0"), true) == number);
      REQUIRE(set_in_force(test::index_of("pod1"), false) == number);
      in_force.clear();
    }
    CHECK(seen == std::set<bool>{false, true});
    CHECK(links(node).size() == 7);  // two of each pod, one of each peer, the cgroup
  });
  CHECK(test::settled_objects({}, [] { return test::objects_sized(kSize); }) == test::KernelObjects{});
}

TEST_CASE("detach leaves nothing in the kernel, and works without an agent too") {
  constexpr std::uint32_t kSize = 252;
  test::with_node([](EnforcedNode& node) {
    node.options.limits.addresses = kSize;
    const bool alone = GENERATE(false, true);
    const auto pods = two_pods();
    REQUIRE(node->publish(plan(pods, 7), true));
    CHECK(test::objects_sized(kSize) != test::KernelObjects{});
    if (alone) {
      node.stop();
      REQUIRE(Enforcement::remove(node.options));
    } else {
      REQUIRE(node->detach());
      node.stop();
    }
    CHECK_FALSE(std::filesystem::exists(node.options.pins));
    CHECK(test::attached_programs(test::index_of("pod0"), true).empty());
    CHECK(test::attached_programs(test::index_of("pod0-peer"), false).empty());
  });
  CHECK(test::settled_objects({}, [] { return test::objects_sized(kSize); }) == test::KernelObjects{});
}

TEST_CASE("a thousand updates of plans and devices leak no map, program, link or element") {
  constexpr std::uint32_t kSize = 253;
  test::with_node([](EnforcedNode& node) {
    node.options.limits.addresses = kSize;
    test::write_sysctl("ipv6/conf/default/disable_ipv6", "1");  // link-local addresses come when they like
    const auto pods = two_pods();
    REQUIRE(node->publish(plan(pods, 7), true));
    REQUIRE(node->settle());
    const auto objects = test::objects_sized(kSize);
    const auto maps = node->status().maps;
    for (std::uint32_t i = 0; i < 1000; ++i) {
      auto next = plan(pods, 8 + i % 500);
      if (i % 10 == 3) test::remove_link(test::index_of("pod0"));
      if (i % 10 == 5) (void)two_pods();
      if (i % 7 == 0) next.endpoints.pop_back();
      INFO("update " << i);
      REQUIRE(node->publish(next, true));
      if (i % 5 == 0) REQUIRE(node->settle());
    }
    (void)two_pods();
    REQUIRE(node->publish(plan(pods, 7), true));
    REQUIRE(node->settle());
    CHECK(test::settled_objects(objects, [] { return test::objects_sized(kSize); }) == objects);
    const auto now = node->status().maps;
    REQUIRE(now.size() == maps.size());
    for (std::size_t i = 0; i < maps.size(); ++i) {
      INFO(maps[i].name);
      CHECK(now[i].used == maps[i].used);
    }
    CHECK(links(node).size() == 7);
  });
  CHECK(test::settled_objects({}, [] { return test::objects_sized(kSize); }) == test::KernelObjects{});
}
