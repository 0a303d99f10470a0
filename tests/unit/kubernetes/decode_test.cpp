// Objects out of their bytes: what is kept of them, and nothing that only looks like one.
#include "agent/kubernetes/decode.hpp"

#include "tests/harness/catch.hpp"
#include "tests/harness/kubernetes_wire.hpp"

namespace omnitide::kubernetes {
namespace {

namespace proto = peer::v1::kubernetes;

template <class T, class Message>
Result<T> decoded(const Message& message, const Decoding& decoding = {}) {
  return decode<T>(message.SerializeAsString(), Encoding::protobuf, decoding);
}

proto::Pod busy_pod() {
  proto::Pod pod;
  pod.mutable_metadata()->set_name("web");
  pod.mutable_metadata()->set_namespace_("shop");
  pod.mutable_metadata()->set_uid("01234567-89ab-cdef-0123-456789abcdef");
  (*pod.mutable_metadata()->mutable_labels())["tier"] = "front";
  (*pod.mutable_metadata()->mutable_labels())["app"] = "web";
  pod.mutable_spec()->set_node_name("node-1");
  auto* port = pod.mutable_spec()->add_containers()->add_ports();
  port->set_name("http");
  port->set_container_port(8080);
  pod.mutable_spec()->mutable_containers(0)->add_ports()->set_container_port(9090);
  auto* init = pod.mutable_spec()->add_init_containers();
  init->add_ports()->set_name("setup");
  init->mutable_ports(0)->set_container_port(1);
  auto* sidecar = pod.mutable_spec()->add_init_containers();
  sidecar->set_restart_policy("Always");
  sidecar->add_ports()->set_name("proxy");
  sidecar->mutable_ports(0)->set_container_port(15001);
  pod.mutable_status()->add_pod_ips()->set_ip("10.244.1.5");
  pod.mutable_status()->add_pod_ips()->set_ip("fd00::5");
  auto* status = pod.mutable_status()->add_container_statuses();
  status->set_name("main");
  status->set_container_id("containerd://abc123");
  pod.mutable_status()->add_container_statuses()->set_name("waiting");
  return pod;
}

}  // namespace

TEST_CASE("of a pod its addresses, labels, named ports and containers are kept") {
  const Result<Pod> pod = decoded<Pod>(busy_pod(), {.own_node = "node-1"});
  REQUIRE(pod);
  CHECK(pod->meta.name == Name{"shop", "web"});
  CHECK(pod->meta.uid[0] == 0x01);
  CHECK(pod->meta.uid[15] == 0xef);
  CHECK(pod->meta.labels == Labels{{"app", "web"}, {"tier", "front"}});
  CHECK(pod->node == "node-1");
  CHECK(pod->addresses == std::vector<std::string>{"10.244.1.5", "fd00::5"});
  REQUIRE(pod->named_ports.size() == 2);  // not one without a name, not one of a container that ends before
  CHECK(pod->named_ports[0].name == "http");
  CHECK(pod->named_ports[0].protocol == "TCP");
  CHECK(pod->named_ports[0].port == 8080);
  CHECK(pod->named_ports[1].name == "proxy");
  REQUIRE(pod->containers.size() == 1);
  CHECK(pod->containers[0].id == "abc123");
  CHECK_FALSE(pod->finished);
  CHECK(pod->kubelet_uid == pod->meta.uid);
  CHECK(decoded<Pod>(busy_pod(), {.own_node = "node-2"})->containers.empty());
}

TEST_CASE("of a static pod the kubelet's own UID is kept beside that of its mirror") {
  proto::Pod pod = busy_pod();
  (*pod.mutable_metadata()->mutable_annotations())["kubernetes.io/config.mirror"] = "8e5b1c2f0a7d4e6b9c3f8e5b1c2f0a7d";
  const Result<Pod> read = decoded<Pod>(pod, {});
  REQUIRE(read);
  CHECK(read->meta.uid[0] == 0x01);
  CHECK(read->kubelet_uid[0] == 0x8e);
  CHECK(read->meta.annotations.empty());
}

TEST_CASE("a pod that is on its way out says so") {
  proto::Pod pod = busy_pod();
  for (const char* phase : {"Succeeded", "Failed"}) {
    pod.mutable_status()->set_phase(phase);
    CHECK(decoded<Pod>(pod)->finished);
  }
  pod.mutable_status()->set_phase("Running");
  CHECK_FALSE(decoded<Pod>(pod)->finished);
  CHECK_FALSE(decoded<Pod>(pod)->meta.terminating);
  pod.mutable_metadata()->mutable_deletion_timestamp()->set_seconds(5);
  CHECK(decoded<Pod>(pod)->meta.terminating);
}

TEST_CASE("a policy keeps what is absent apart from what is empty") {
  proto::NetworkPolicy policy;
  policy.mutable_metadata()->set_name("p");
  auto* rule = policy.mutable_spec()->add_ingress();
  rule->add_peers()->mutable_pod_selector();  // every pod of this namespace
  auto* block = rule->add_peers()->mutable_ip_block();
  block->set_cidr("10.0.0.0/8");
  block->add_except("10.1.0.0/16");
  rule->add_ports()->mutable_port()->set_int_value(80);
  rule->mutable_ports(0)->set_end_port(90);
  rule->add_ports()->mutable_port()->set_type(1);
  rule->mutable_ports(1)->mutable_port()->set_string_value("http");
  rule->add_ports()->set_protocol("UDP");
  policy.mutable_spec()->add_egress();
  policy.mutable_spec()->add_policy_types("Ingress");
  auto* requirement = policy.mutable_spec()->mutable_pod_selector()->add_match_expressions();
  requirement->set_key("app");
  requirement->set_operator_("In");
  requirement->add_values("web");
  const Result<NetworkPolicy> out = decoded<NetworkPolicy>(policy);
  REQUIRE(out);
  REQUIRE(out->ingress.size() == 1);
  const NetworkPolicy::Rule& ingress = out->ingress[0];
  CHECK(ingress.peers.at(0).pods.has_value());
  CHECK_FALSE(ingress.peers[0].namespaces.has_value());
  CHECK(ingress.peers.at(1).cidr == "10.0.0.0/8");
  CHECK(ingress.peers[1].except == std::vector<std::string>{"10.1.0.0/16"});
  CHECK_FALSE(ingress.peers[1].pods.has_value());
  CHECK(ingress.ports.at(0).number == 80);
  CHECK(ingress.ports[0].last == 90);
  CHECK(ingress.ports.at(1).name == "http");
  CHECK_FALSE(ingress.ports[1].number.has_value());
  CHECK(ingress.ports.at(2).protocol == "UDP");
  CHECK_FALSE(ingress.ports[2].number.has_value());
  REQUIRE(out->egress.size() == 1);  // a rule that allows everything
  CHECK(out->egress[0].peers.empty());
  CHECK(out->pods.requirements.at(0).values == std::vector<std::string>{"web"});
}

TEST_CASE("leases and nodes are read as far as they are needed") {
  proto::Lease lease;
  lease.mutable_metadata()->set_resource_version("7");
  lease.mutable_spec()->set_holder_identity("node-1");
  lease.mutable_spec()->set_lease_duration_seconds(40);
  lease.mutable_spec()->mutable_renew_time()->set_seconds(1'700'000'000);
  lease.mutable_spec()->mutable_renew_time()->set_nanos(250'000'000);
  const Result<Lease> held = decoded<Lease>(lease);
  REQUIRE(held);
  CHECK(held->holder == "node-1");
  CHECK(held->duration == std::chrono::seconds(40));
  CHECK_FALSE(held->acquired.has_value());
  CHECK(format_rfc3339(held->renewed.value()) == "2023-11-14T22:13:20.250Z");
  proto::Node node;
  node.mutable_spec()->set_unschedulable(true);
  node.mutable_spec()->add_pod_cidrs("10.244.1.0/24");
  node.mutable_status()->add_addresses()->set_type("InternalIP");
  node.mutable_status()->mutable_addresses(0)->set_address("172.30.0.11");
  const Result<Node> read = decoded<Node>(node);
  REQUIRE(read);
  CHECK(read->unschedulable);
  CHECK(read->pod_cidrs == std::vector<std::string>{"10.244.1.0/24"});
  CHECK(read->addresses.at(0).second == "172.30.0.11");
}

TEST_CASE("a custom resource is kept as JSON, without what its writers noted") {
  const std::string text =
      R"({"apiVersion":"x/v1","metadata":{"name":"n","namespace":"s","uid":"u","labels":{"b":"2","a":"1"},)"
      R"("managedFields":[{"manager":"kubectl"}],"resourceVersion":"9"},"spec":{"big":12345678901234567890}})";
  const Result<CustomObject> object = decode<CustomObject>(text, Encoding::json, {});
  REQUIRE(object);
  CHECK(object->meta.name == Name{"s", "n"});
  CHECK(object->meta.labels == Labels{{"a", "1"}, {"b", "2"}});
  CHECK(object->json.find("managedFields") == std::string::npos);
  CHECK(object->json.find("12345678901234567890") != std::string::npos);
  const Result<Head> head = decode_head(text, Encoding::json);
  REQUIRE(head);
  CHECK(head->resource_version == "9");
}

TEST_CASE("what is no object is refused") {
  CHECK(decode<Pod>("\xff\xff", Encoding::protobuf, {}).error().code == Code::data_loss);
  CHECK(decode<Pod>("{}", Encoding::json, {}).error().code == Code::data_loss);
  CHECK(decode<CustomObject>("{}", Encoding::json, {}).error().code == Code::data_loss);
  CHECK(decode<CustomObject>("[]", Encoding::json, {}).error().code == Code::data_loss);
  CHECK(decode_head("\x0a\x7f", Encoding::protobuf).error().code == Code::data_loss);
}

TEST_CASE("a bookmark says whether the state is whole") {
  const auto head = [](const std::string& event) {
    WatchReader reader;
    Head out;
    (void)reader.feed(event, [&out](const WatchFrame& frame) {
      out = decode_head(*unwrap(frame.object), Encoding::protobuf).value();
      return true;
    });
    return out;
  };
  CHECK(head(test::bookmark_event("12", true)).initial_events_end);
  CHECK_FALSE(head(test::bookmark_event("12", false)).initial_events_end);
  CHECK(head(test::bookmark_event("12", false)).resource_version == "12");
}

}  // namespace omnitide::kubernetes
