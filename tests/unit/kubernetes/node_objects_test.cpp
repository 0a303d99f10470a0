// What the agent writes about its node, as the API server gets it.
#include "agent/kubernetes/node_objects.hpp"

#include <boost/json.hpp>

#include "tests/harness/catch.hpp"

namespace omnitide::kubernetes {
namespace {

using namespace std::chrono_literals;

boost::json::value parsed(const std::string& text) { return boost::json::parse(text); }
std::string text_at(const boost::json::value& value, const char* pointer) {
  return boost::json::value_to<std::string>(value.at_pointer(pointer));
}

const OwnerNode kNode{"press-7", "0c1f-uid"};

model::BlockDevice device(const std::string& name, const std::string& kind, std::uint64_t bytes) {
  model::BlockDevice out;
  out.name = name;
  out.kind = kind;
  out.size_bytes = bytes;
  return out;
}

model::NetworkInterface nic(const std::string& name, const std::string& kind, const std::string& address) {
  model::NetworkInterface out;
  out.name = name;
  out.kind = kind;
  if (!address.empty()) out.addresses = {address};
  return out;
}

}  // namespace

TEST_CASE("a heartbeat is a Lease of the Node, with a time that every server reads") {
  const WallTime time = *parse_rfc3339("2026-03-01T12:00:00.250Z");
  const auto body =
      parsed(heartbeat_body("omnitide", kNode, {.duration = 45s, .acquired = time - 1h, .renewed = time}));
  CHECK(text_at(body, "/metadata/name") == "omnitide-node-press-7");
  CHECK(text_at(body, "/metadata/namespace") == "omnitide");
  CHECK(text_at(body, "/metadata/ownerReferences/0/kind") == "Node");
  CHECK(text_at(body, "/metadata/ownerReferences/0/uid") == "0c1f-uid");
  CHECK(text_at(body, "/spec/holderIdentity") == "press-7");
  CHECK(body.at_pointer("/spec/leaseDurationSeconds").as_int64() == 45);
  CHECK(text_at(body, "/spec/renewTime") == "2026-03-01T12:00:00.250000Z");
  CHECK(text_at(body, "/spec/acquireTime") == "2026-03-01T11:00:00.250000Z");
}

TEST_CASE("no Node's name makes its heartbeat a slot") {
  CHECK(heartbeat_name("omnitide", "slot-1").name == "omnitide-node-slot-1");
  CHECK(heartbeat_name("omnitide", "a").space == "omnitide");
}

TEST_CASE("labels on a Node name the one that they are for, and no other field") {
  const auto body = parsed(node_labels_body(kNode, {{"omnitide.io/gpus", "2"}}));
  CHECK(text_at(body, "/metadata/uid") == "0c1f-uid");
  CHECK(body.at_pointer("/metadata/labels").as_object().size() == 1);
  CHECK(text_at(body, "/metadata/labels/omnitide.io~1gpus") == "2");
  CHECK(body.as_object().size() == 3);
  const auto none = parsed(node_labels_body(kNode, {}));
  CHECK(none.at("metadata").as_object().if_contains("labels") == nullptr);
}

TEST_CASE("a NodeFeature says by its label which Node it is for") {
  const auto body = parsed(node_feature_body("omnitide", kNode, {{"omnitide.io/tpm", "2.0"}}));
  CHECK(text_at(body, "/metadata/labels/nfd.node.kubernetes.io~1node-name") == "press-7");
  CHECK(text_at(body, "/spec/labels/omnitide.io~1tpm") == "2.0");
  CHECK(body.at_pointer("/spec/features/instances").is_object());
}

TEST_CASE("an inventory counts disks, network devices and GPUs, and leaves out what is not known") {
  model::NodeFacts facts;
  facts.cpu.threads = 8;
  facts.cpu.model = "Fast \"one\"\n";
  facts.memory.total_bytes = 64ULL << 30U;
  facts.storage.devices = {device("vda", "disk", 1ULL << 40U), device("vda1", "partition", 1ULL << 39U)};
  facts.storage.devices.front().rotational = false;
  facts.network = {nic("eth0", "physical", {}), nic("vethab", "veth", "10.244.1.1/32"),
                   nic("net1", "veth", "172.30.0.11/24")};
  facts.network.front().speed_bits_per_second = 25'000'000'000;
  facts.bus.accelerators.resize(2);
  facts.bus.accelerators[0].kind = "gpu";
  facts.bus.accelerators[1].kind = "accelerator";
  const std::vector<std::string> addresses{"172.30.0.11", "press-7"};
  const auto body = parsed(inventory_status_body("press-7", facts, addresses, "1.2.3"));
  CHECK(body.at_pointer("/metadata").as_object().size() == 1);
  CHECK(text_at(body, "/status/agentVersion") == "1.2.3");
  CHECK(text_at(body, "/status/summary/memory") == "64 GiB");
  CHECK(text_at(body, "/status/summary/disks") == "1, 1 TiB");
  CHECK(text_at(body, "/status/summary/nics") == "2, 25 Gb/s");
  CHECK(body.at_pointer("/status/summary/gpus").as_int64() == 1);
  CHECK(text_at(body, "/status/cpu/model") == "Fast \"one\"\n");
  CHECK(body.at_pointer("/status/disks/0").as_object().if_contains("serial") == nullptr);
  CHECK(body.at_pointer("/status/disks/0/rotational").as_bool() == false);
  CHECK(text_at(body, "/status/nics/1/name") == "net1");  // it has the Node's address
  CHECK(body.at_pointer("/status/accelerators").as_array().size() == 2);
}

TEST_CASE("an inventory of a node without end is bounded, and still counts all") {
  model::NodeFacts facts;
  facts.storage.devices.assign(1000, device("sda", "disk", 1));
  const auto body = parsed(inventory_status_body("n", facts, {}, "1"));
  CHECK(body.at_pointer("/status/disks").as_array().size() == 256);
  CHECK(text_at(body, "/status/summary/disks").starts_with("1000, "));
}

}  // namespace omnitide::kubernetes
