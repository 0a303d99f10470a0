// A day of pods that come and go, as fast as it can be played: nothing of what has gone is left, in the kernel or in
// the process. OMNITIDE_CHURN_EVENTS is how many changes, 17280 for one each five seconds of 24 hours;
// OMNITIDE_CHURN_DEVICES how many of them are pods of this node with a device of their own.
#include <fmt/format.h>
#include <malloc.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <random>
#include <string>
#include <vector>

#include "agent/base/text.hpp"
#include "agent/policy/compiler.hpp"
#include "agent/policy/parse.hpp"
#include "tests/harness/catch.hpp"
#include "tests/harness/enforced_node.hpp"
#include "tests/harness/kernel_objects.hpp"
#include "tests/harness/links.hpp"

using namespace omnitide;
using test::EnforcedNode;

namespace {

constexpr unsigned kLocal = 10, kPods = 60, kPolicies = 8, kApps = 5;

unsigned from_environment(const char* name, unsigned otherwise) {
  const char* text = std::getenv(name);
  return text == nullptr ? otherwise : parse_number<unsigned>(text).value_or(otherwise);
}

struct Pod {
  unsigned number = 0;  // never used twice
  unsigned app = 0;
};

class Cluster {
 public:
  Cluster(EnforcedNode& node, std::uint64_t seed) : node_(node), random_(seed), pods_(kPods) {
    policy::Changes all;
    for (unsigned slot = 0; slot < kPods; ++slot)
      renew(slot, all);
    for (unsigned i = 0; i < kPolicies; ++i)
      all.upserts.push_back(parsed(policy_text(i, 80)));
    const Result<policy::PlanUpdate> update = compiler_.apply(all);
    REQUIRE(update);
    REQUIRE(node_->publish(compiler_.everything(), true));
    REQUIRE(node_->settle());
  }

  // One change: a pod is replaced by another one, gets another label, or a policy another port.
  void event(bool device) {
    policy::Changes changes;
    if (device) {
      renew(below(kLocal), changes);
    } else {
      switch (below(4)) {
        case 0: changes.upserts.push_back(parsed(policy_text(below(kPolicies), 80 + below(100)))); break;
        case 1: relabel(below(kPods), below(kApps), changes); break;
        default: renew(kLocal + below(kPods - kLocal), changes); break;
      }
    }
    publish(changes);
    if (below(3) == 0) REQUIRE(node_->settle());
  }

  // The same labels and policies as at the start, with other pods.
  void rest() {
    policy::Changes changes;
    for (unsigned slot = 0; slot < kPods; ++slot)
      relabel(slot, slot % kApps, changes);
    for (unsigned i = 0; i < kPolicies; ++i)
      changes.upserts.push_back(parsed(policy_text(i, 80)));
    publish(changes);
    REQUIRE(node_->settle());
    REQUIRE(node_->count_state());
  }

 private:
  unsigned below(unsigned bound) { return static_cast<unsigned>(random_() % bound); }

  static policy::ObjectRef parsed(const std::string& text) {
    policy::Parsed parsed = policy::parse(text, "churn.yaml");
    REQUIRE(parsed.objects.size() == 1);
    return std::make_shared<const policy::Object>(std::move(parsed.objects.front()));
  }
  static std::string address(unsigned number) {
    return fmt::format("10.{}.{}.{}", 64 + number / 62500 % 64, number / 250 % 250, 1 + number % 250);
  }
  static std::string device(unsigned number) { return fmt::format("c{}", number); }
  [[nodiscard]] static std::string pod_text(unsigned slot, const Pod& pod) {
    return fmt::format(
        "apiVersion: v1\nkind: Pod\nmetadata:\n  name: p{0}\n  namespace: churn\n  labels:\n    app: a{1}\n"
        "    hash: h{0}\nspec:\n  nodeName: {2}\nstatus:\n  podIP: {3}\n",
        pod.number, pod.app, slot < kLocal ? "node-a" : "node-b", address(pod.number));
  }
  static std::string policy_text(unsigned number, unsigned port) {
    return fmt::format(
        "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata:\n  name: n{0}\n  namespace: churn\nspec:\n"
        "  podSelector:\n    matchLabels:\n      app: a{1}\n  ingress:\n  - from:\n    - podSelector:\n"
        "        matchLabels:\n          app: a{2}\n    - ipBlock:\n        cidr: 192.0.{0}.0/24\n    ports:\n"
        "    - port: {3}\n    - port: 8000\n      endPort: 8{0}99\n",
        number, number % kApps, (number + 1) % kApps, port);
  }

  void renew(unsigned slot, policy::Changes& changes) {
    Pod& pod = pods_[slot];
    if (pod.number != 0) {
      changes.removals.push_back(policy::key_of(*parsed(pod_text(slot, pod))));
      if (slot < kLocal) test::remove_link(test::index_of(device(pod.number)));
    }
    pod = {.number = ++number_, .app = slot % kApps};
    changes.upserts.push_back(parsed(pod_text(slot, pod)));
    if (slot >= kLocal) return;
    test::add_veth_pair(device(pod.number), "x" + device(pod.number));
    const std::uint32_t index = test::index_of(device(pod.number));
    test::set_up(index);
    test::set_up(test::index_of("x" + device(pod.number)));
    test::add_route(address(pod.number) + "/32", index);
  }
  void relabel(unsigned slot, unsigned app, policy::Changes& changes) {
    pods_[slot].app = app;
    changes.upserts.push_back(parsed(pod_text(slot, pods_[slot])));
  }
  void publish(const policy::Changes& changes) {
    const Result<policy::PlanUpdate> update = compiler_.apply(changes);
    REQUIRE(update);
    REQUIRE(node_->publish(*update, false));
    REQUIRE(node_->links_changed());
  }

  EnforcedNode& node_;
  std::mt19937_64 random_;
  policy::Compiler compiler_{{.node_name = "node-a"}};
  std::vector<Pod> pods_;
  unsigned number_ = 0;
};

struct Left {
  test::KernelObjects kernel;
  std::size_t pins = 0, descriptors = 0;
  std::vector<std::uint64_t> elements;  // of each map
  long heap_kib = 0, resident_kib = 0;
};

std::size_t entries(const std::string& folder) {
  return static_cast<std::size_t>(
      std::distance(std::filesystem::directory_iterator(folder), std::filesystem::directory_iterator()));
}

constexpr std::uint32_t kAddresses = 251;  // the size of a map that no other test has
test::KernelObjects objects_here() { return test::objects_sized(kAddresses); }

Left left(EnforcedNode& node, const test::KernelObjects& wanted) {
  Left out;
  out.kernel = test::settled_objects(wanted, objects_here);
  out.pins = node.pinned_links().size() + entries(node.options.pins);
  out.descriptors = entries("/proc/self/fd");
  for (const enforcement::MapStatus& map : node->status().maps)
    out.elements.push_back(map.used);
  ::malloc_trim(0);
  out.heap_kib = static_cast<long>(::mallinfo2().uordblks / 1024);
  long pages = 0;
  std::ifstream("/proc/self/statm") >> pages >> pages;
  out.resident_kib = pages * (::sysconf(_SC_PAGESIZE) / 1024);
  return out;
}

}  // namespace

TEST_CASE("a day of pods that come and go leaves no map, program, link, pin, element, descriptor or kilobyte") {
  const unsigned events = from_environment("OMNITIDE_CHURN_EVENTS", 400);
  const unsigned devices = std::min(events, from_environment("OMNITIDE_CHURN_DEVICES", 60));
  REQUIRE(objects_here() == test::KernelObjects{});
  test::with_node([&](EnforcedNode& node) {
    // A device gets its link-local address some time after it is there.
    test::write_sysctl("ipv6/conf/default/disable_ipv6", "1");
    node.options.limits.addresses = kAddresses;
    Cluster cluster(node, 1);
    const auto objects = objects_here();
    CHECK(objects.maps == 1);
    std::optional<Left> first;
    Left last;
    for (unsigned i = 0; i < events; ++i) {
      cluster.event(i * devices / events != (i + 1) * devices / events);
      if ((i + 1) % (events / 10) != 0) continue;
      cluster.rest();
      last = left(node, objects);
      if (!first) first = last;
      std::cout << fmt::format(
          "{:6} events: {} programs of {} objects, {} links, {} pins, {} descriptors, heap {} KiB, "
          "resident {} KiB\n",
          i + 1, last.kernel.programs, last.kernel.maps, last.kernel.links, last.pins, last.descriptors, last.heap_kib,
          last.resident_kib);
    }
    REQUIRE(first);
    CHECK(first->kernel == objects);
    CHECK(last.kernel == objects);
    CHECK(last.pins == first->pins);
    CHECK(last.descriptors == first->descriptors);
    CHECK(last.elements == first->elements);
    CHECK(last.heap_kib - first->heap_kib <= 16);
    CHECK(last.resident_kib - first->resident_kib <= 1024);
  });
  CHECK(test::settled_objects({}, objects_here) == test::KernelObjects{});
}
