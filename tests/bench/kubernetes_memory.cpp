// What one object of Kubernetes costs that the daemon follows: bytes of the heap that stay, beside the bytes in which
// it comes, and the time until it is held. What stays is the follower's word of it and what policy's parser made of it
// (and of a pod of this node its names), without the compiler, whose tables grow with what policies select. Objects
// like those of a Deployment, with a sidecar and managed fields.
#include <fmt/format.h>
#include <malloc.h>

#include <chrono>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <vector>

#include "agent/daemon/kubernetes_kind.hpp"
#include "agent/daemon/kubernetes_pods.hpp"
#include "agent/policy/store.hpp"
#include "tests/bench/rows.hpp"
#include "tests/harness/kubernetes_wire.hpp"

using namespace omnitide;
using namespace omnitide::kubernetes;
namespace proto = omnitide::peer::v1::kubernetes;

namespace {

constexpr int kCount = 10'000;
constexpr int kTogether = 100;  // objects that one read of the connection brings

void describe(proto::ObjectMeta& meta, const std::string& space, const std::string& name, int number) {
  meta.set_namespace_(space);
  meta.set_name(name);
  meta.set_uid(fmt::format("01234567-89ab-4def-8123-{:012x}", number));
  meta.set_resource_version(std::to_string(1'000'000 + number));
}

// ObjectMeta's managedFields (17), of which nothing is kept.
std::string with_managed_fields(std::string message) {
  std::string meta, out;
  put_field(meta, 17, std::string_view(std::string(1500, 'f')));
  put_field(out, 1, std::string_view(meta));
  return message + out;  // a message that comes twice is merged
}

std::string pod_of(int number) {
  proto::Pod pod;
  describe(*pod.mutable_metadata(), fmt::format("team-{}", number / 10),
           fmt::format("frontend-7c9d8b6f5d-{:05}", number), number);
  auto& labels = *pod.mutable_metadata()->mutable_labels();
  labels["app.kubernetes.io/name"] = "frontend";
  labels["app.kubernetes.io/instance"] = fmt::format("frontend-{}", number / 10);
  labels["pod-template-hash"] = "7c9d8b6f5d";
  pod.mutable_spec()->set_node_name(fmt::format("node-{}", number % 200));
  for (const auto& [name, port] : {std::pair{"http", 8080}, {"metrics", 9090}}) {
    auto* added = pod.mutable_spec()->add_containers()->add_ports();
    added->set_name(name);
    added->set_container_port(port);
    added->set_protocol("TCP");
  }
  pod.mutable_status()->set_phase("Running");
  pod.mutable_status()->add_pod_ips()->set_ip(fmt::format("10.244.{}.{}", number / 250, number % 250));
  pod.mutable_status()->add_pod_ips()->set_ip(fmt::format("fd00:10:244:{}::{:x}", number / 250, number % 250));
  auto* status = pod.mutable_status()->add_container_statuses();
  status->set_name("main");
  status->set_container_id("containerd://" + std::string(64, 'a'));
  return with_managed_fields(pod.SerializeAsString());
}

std::string namespace_of(int number) {
  proto::Namespace space;
  describe(*space.mutable_metadata(), "", fmt::format("team-{}", number), number);
  (*space.mutable_metadata()->mutable_labels())["kubernetes.io/metadata.name"] = fmt::format("team-{}", number);
  (*space.mutable_metadata()->mutable_labels())["team"] = fmt::format("{}", number);
  return with_managed_fields(space.SerializeAsString());
}

std::string policy_of(int number) {
  proto::NetworkPolicy policy;
  describe(*policy.mutable_metadata(), fmt::format("team-{}", number), fmt::format("allow-{}", number), number);
  auto& spec = *policy.mutable_spec();
  (*spec.mutable_pod_selector()->mutable_match_labels())["app.kubernetes.io/name"] = "frontend";
  auto* rule = spec.add_ingress();
  (*rule->add_peers()->mutable_namespace_selector()->mutable_match_labels())["team"] = "1";
  rule->add_peers()->mutable_ip_block()->set_cidr("10.0.0.0/8");
  rule->add_ports()->mutable_port()->set_int_value(8080);
  spec.add_egress()->add_peers()->mutable_pod_selector();
  spec.add_policy_types("Ingress");
  spec.add_policy_types("Egress");
  return with_managed_fields(policy.SerializeAsString());
}

// As KubernetesPart and PolicyEngine have it.
template <class T>
class Held {
 public:
  explicit Held(std::string_view kind)
      : follower(
            {kind, {}, false, {.own_node = "node-1"}},
            [this](daemon::PolicyText change) { changes_.push_back(std::move(change)); }, [] {}) {}
  void settle() {
    std::vector<policy::SourceUpdate> updates;
    for (daemon::PolicyText& change : changes_) {
      policy::Parsed parsed = policy::parse(change.text, "kubernetes");
      updates.push_back({{2, std::move(change.source)}, std::move(parsed)});
    }
    changes_ = {};
    (void)store.apply(std::move(updates));
    if (!store.faults().empty()) throw std::runtime_error(store.faults().front().text());
  }
  daemon::TypedFollower<T> follower;
  policy::Store store;
  collectors::PodNames names;

 private:
  std::vector<daemon::PolicyText> changes_;
};

template <class T, class Make>
void measure(const std::string& what, std::string_view kind, const Make& make) {
  std::vector<std::string> objects;
  std::size_t wire = 0;
  for (int i = 0; i < kCount; ++i) {
    objects.push_back(make(i));
    wire += objects.back().size();
  }
  const std::size_t before = mallinfo2().uordblks;
  const auto begin = std::chrono::steady_clock::now();
  Held<T> held(kind);
  if constexpr (std::is_same_v<T, Pod>)
    held.follower.on_object = [&held](const std::string& source, const Pod& pod) {
      daemon::tell_names(held.names, source, pod, "node-1");
    };
  for (int i = 0; i < kCount; ++i) {
    if (held.follower.put(objects[static_cast<std::size_t>(i)], Encoding::protobuf).has_error())
      throw std::runtime_error("an object is not readable");
    if (i % kTogether == 0) held.settle();
  }
  held.settle();
  const auto took = std::chrono::steady_clock::now() - begin;
  if (held.store.size() != kCount) throw std::runtime_error("an object is not held");
  const std::size_t kept = mallinfo2().uordblks - before;
  const double microseconds = std::chrono::duration<double, std::micro>(took).count() / kCount;
  bench::row(fmt::format("Kubernetes: a {}, kept", what), fmt::format("{} B", kept / kCount),
             fmt::format("{} B on the wire", wire / kCount),
             fmt::format("{:.2f}", static_cast<double>(kept) / static_cast<double>(wire)));
  bench::row(fmt::format("Kubernetes: a {}, taken in", what), fmt::format("{:.1f} us", microseconds));
}

}  // namespace

int main() {
  measure<Pod>("pod", "Pod", pod_of);
  measure<Namespace>("namespace", "Namespace", namespace_of);
  measure<NetworkPolicy>("policy", "NetworkPolicy", policy_of);
}
