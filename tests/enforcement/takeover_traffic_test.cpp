// From one build to the next under traffic: a connection that is established lives, what is denied stays denied, and
// not one packet is judged otherwise than the policy says, while maps of another layout take over.
#include <bpf/bpf.h>
#include <unistd.h>

#include <string>

#include "agent/policy/compiler.hpp"
#include "agent/policy/parse.hpp"
#include "tests/harness/catch.hpp"
#include "tests/harness/enforced_node.hpp"
#include "tests/harness/policy_shop.hpp"
#include "tests/harness/policy_traffic.hpp"

using namespace omnitide;
using test::EnforcedNode;

namespace {

// The shop's plan, with numbers that none of before has.
Result<> publish(EnforcedNode& node) {
  const enforcement::Enforcement::FirstIds first = node->first_ids();
  policy::Compiler compiler(
      {.node_name = "node-a", .limits = {}, .first_set = first.set, .first_identity = first.identity});
  policy::Parsed parsed = policy::parse(test::shop(0), "shop.yaml");
  REQUIRE(parsed.faults.empty());
  policy::Changes changes;
  for (policy::Object& object : parsed.objects)
    changes.upserts.push_back(std::make_shared<const policy::Object>(std::move(object)));
  const Result<policy::PlanUpdate> update = compiler.apply(changes);
  REQUIRE(update);
  return node->publish(*update, true);
}

// As if the earlier build had remembered something else of a connection: nothing of it can be copied.
void change_layout(const EnforcedNode& node, const std::string& name) {
  const UniqueFd known(bpf_obj_get(node.pin(name).c_str()));
  REQUIRE(known);
  const Result<enforcement::MapShape> shape = enforcement::shape_of(known.get());
  REQUIRE(shape);
  const UniqueFd other(bpf_map_create(BPF_MAP_TYPE_LRU_HASH, "policy_other", shape->key_size, shape->value_size + 8,
                                      shape->max_entries, nullptr));
  REQUIRE(other);
  REQUIRE(::unlink(node.pin(name).c_str()) == 0);
  REQUIRE(bpf_obj_pin(other.get(), node.pin(name).c_str()) == 0);
}

enum class Upgrade { same_layout, other_version, other_sizes, other_layout };

void prepare(EnforcedNode& node, Upgrade upgrade) {
  switch (upgrade) {
    case Upgrade::same_layout: break;
    case Upgrade::other_version: node.options.abi = node.options.abi == POLICY_ABI ? POLICY_ABI + 1 : POLICY_ABI; break;
    case Upgrade::other_sizes:
      node.options.limits.connections = node.options.limits.connections == 4096 ? 8192 : 4096;
      node.options.limits.peers *= 2;
      break;
    case Upgrade::other_layout:
      node.stop();
      change_layout(node, "connections");
      change_layout(node, "translations");
      break;
  }
}

}  // namespace

TEST_CASE("an upgrade under traffic, also to another layout of maps, misjudges no packet") {
  test::with_node([](EnforcedNode& node) {
    node.options.limits.connections = 4096;
    const test::RoutedPod server(test::kServer), client(test::kClient), other(test::kOther);
    REQUIRE(publish(node));
    test::Bursts bursts(other, server);
    char folder[] = "/tmp/omnitide-upgrade-XXXXXX";
    REQUIRE(::mkdtemp(folder) != nullptr);
    test::Iperf iperf(client, server, folder);
    for (const Upgrade upgrade : {Upgrade::same_layout, Upgrade::other_version, Upgrade::other_sizes,
                                  Upgrade::other_layout, Upgrade::other_version, Upgrade::other_layout}) {
      prepare(node, upgrade);
      node.start();
      CHECK(node->status().inherited);
      REQUIRE(publish(node));
      REQUIRE(node->settle());
      CHECK(node.devices("shop/server") == std::vector<std::string>{server.device()});
      std::this_thread::sleep_for(std::chrono::milliseconds(400));
      CHECK(iperf.running());
    }
    bursts.stop();
    const test::Iperf::Result stream = iperf.end();
    std::filesystem::remove_all(folder);
    const test::Bursts::Account all = bursts.account(0, 0xffffffffU, 0xffffffffU);
    INFO(stream.text);
    CHECK(stream.least() > 0);
    CHECK(all.all() > 500);
    CHECK(all.first == all.all());  // the first port open, the second closed, at any moment
    CHECK(bursts.never() == 0);
    CHECK(bursts.connected() == 0);
  });
}
