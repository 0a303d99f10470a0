// From changed objects to what the kernel enforces, in this process: compiler and Enforcement::publish, with devices of
// real pods. 1,000 pods and 1,000 policies in the cluster.
//   policy_change [CHANGES [PODS ON THIS NODE]]
#include <functional>
#include <stdexcept>

#include "agent/base/text.hpp"
#include "ebpf/enforcement/encode.hpp"
#include "tests/bench/policy_told_apart.hpp"
#include "tests/bench/rows.hpp"
#include "tests/harness/enforced_node.hpp"

namespace {

using namespace omnitide;
using bench::Cluster;

void need(const Result<>& done) {
  if (done.has_error()) throw std::runtime_error(done.error().text());
}

// Devices with host routes for the pods of this node.
void add_devices(const Cluster& cluster) {
  for (unsigned i = 0; i < cluster.local; ++i) {
    const std::string name = fmt::format("p{}", i);
    test::add_veth_pair(name, name + "x");
    test::set_up(test::index_of(name));
    test::set_up(test::index_of(name + "x"));
    test::add_route(bench::pod_address(i) + "/32", test::index_of(name));
  }
}

class Bench {
 public:
  Bench(test::EnforcedNode& node, Cluster cluster) : node_(node), cluster_(cluster) {}

  struct Cold {
    double compile = 0, load = 0;
    std::size_t rows = 0;
  };
  // A compiler and a kernel that have nothing yet.
  Cold from_cold(const std::string& node_name) {
    const policy::Changes all = bench::objects_of(bench::whole_text(cluster_));
    compiler_.emplace(policy::Compiler::Options{.node_name = node_name});
    Cold out;
    policy::PlanUpdate plan;
    out.compile = bench::milliseconds([&] {
      const Result<policy::PlanUpdate> update = compiler_->apply(all);
      if (update.has_error()) throw std::runtime_error(update.error().text());
      plan = compiler_->everything();
    });
    node_.start();
    out.load = bench::milliseconds([&] { need(node_->publish(plan, true)); });
    out.rows = compiler_->use().rows;
    return out;
  }

  // Times from the changed object to the return of publish(), and what settling costs afterwards.
  struct Times {
    std::vector<double> change, settle;
    std::uint64_t barriers = 0;
  };
  Times changes(unsigned count, bool settled, const std::function<policy::Changes(unsigned)>& change) {
    Times out;
    const std::uint64_t barriers = node_->status().forced_barriers;
    for (unsigned i = 0; i < count; ++i) {
      const policy::Changes next = change(i);
      out.change.push_back(bench::milliseconds([&] {
        const Result<policy::PlanUpdate> update = compiler_->apply(next);
        if (update.has_error()) throw std::runtime_error(update.error().text());
        if (update->empty()) throw std::logic_error("a change that changes nothing");
        need(node_->publish(*update, false));
      }));
      if (settled) out.settle.push_back(bench::milliseconds([&] { need(node_->settle()); }));
    }
    out.barriers = node_->status().forced_barriers - barriers;
    return out;
  }

  // The pod's application becomes another one, or the first again. What the kernel says it is must change.
  policy::Changes label(unsigned pod) {
    if (!last_address_.empty() && identity(last_address_) == last_identity_)
      throw std::logic_error("the kernel does not know the change");
    last_address_ = bench::pod_address(pod);
    last_identity_ = identity(last_address_);
    moved_.resize(cluster_.pods);
    moved_[pod] = !moved_[pod];
    return bench::objects_of(bench::pod_text(cluster_, pod, moved_[pod]));
  }

  // A policy more, and one less; each with another port, for a pod of this node.
  policy::Changes policy(unsigned i) {
    const unsigned pod = i / 2 % cluster_.local;
    policy::Changes out = bench::objects_of(fmt::format(R"(
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {{name: more, namespace: team-{0}}}
spec:
  podSelector: {{matchLabels: {{app: app-{1}}}}}
  ingress:
  - from: [{{podSelector: {{matchLabels: {{app: app-{2}}}}}}}]
    ports: [{{port: {3}}}]
)",
                                                        pod % cluster_.namespaces, pod / cluster_.namespaces % 10,
                                                        (pod / cluster_.namespaces + 5) % 10, 9000 + i / 2));
    if (i % 2 == 0) return out;
    out.removals = {policy::key_of(*out.upserts.front())};
    out.upserts.clear();
    return out;
  }

 private:
  policy::IdentityId identity(const std::string& address) {
    const auto now = node_.find<policy_location>("addresses", enforcement::encode(*parse_address(address)));
    return now ? now->identity : 0;
  }

  test::EnforcedNode& node_;
  Cluster cluster_;
  std::optional<policy::Compiler> compiler_;
  std::vector<bool> moved_;
  std::string last_address_;
  policy::IdentityId last_identity_ = 0;
};

void from_cold(const Cluster& cluster, const std::string& node_name, unsigned rounds, const std::string& what,
               double aim) {
  std::vector<double> compile, load, both;
  std::size_t rows = 0;
  for (unsigned i = 0; i < rounds; ++i) {
    test::with_node([&](test::EnforcedNode& node) {
      node.options.limits = enforcement::Options().limits;
      const Bench::Cold cold = Bench(node, cluster).from_cold(node_name);
      compile.push_back(cold.compile);
      load.push_back(cold.load);
      both.push_back(cold.compile + cold.load);
      rows = cold.rows;
    });
  }
  fmt::print("{}: compiled in {:.1f} ms, loaded in {:.1f} ms ({} rows of peers); medians of {}\n", what,
             bench::percentile(compile, 50), bench::percentile(load, 50), rows, rounds);
  bench::row("cold, " + what, bench::percentile(both, 50), aim);
}

void change_by_change(const Cluster& cluster, unsigned count) {
  constexpr double kAim = 2;
  test::with_node([&](test::EnforcedNode& node) {
    node.options.limits = enforcement::Options().limits;
    add_devices(cluster);
    Bench bench(node, cluster);
    const Bench::Cold cold = bench.from_cold("here");
    fmt::print("{} devices of pods attached: from cold {:.0f} ms, of it attaching nearly all\n", cluster.local,
               cold.compile + cold.load);
    for (const enforcement::EndpointStatus& endpoint : node->status().endpoints)
      if (!endpoint.pending.empty()) throw std::logic_error(endpoint.name + ": " + endpoint.pending);
    need(node->settle());
    const auto report = [&](const std::string& what, const Bench::Times& times) {
      bench::print(what, times.change);
      if (!times.settle.empty()) bench::print("  settling it afterwards", times.settle);
      if (times.barriers > 0) fmt::print("  {} of them had to wait for a grace period\n", times.barriers);
      bench::row(what + ", p99", bench::percentile(times.change, 99), kAim);
      if (!times.settle.empty())
        bench::row("  settling afterwards, p99", fmt::format("{:.2f} ms", bench::percentile(times.settle, 99)));
    };
    const std::vector<unsigned> pods = bench::pods_told_apart(cluster);
    const auto label = [&](unsigned i) { return bench.label(pods[i % pods.size()]); };
    report("a pod's label", bench.changes(count, true, label));
    report("a pod's label, in a row", bench.changes(count, false, label));
    report("the same pod's label, in a row",
           bench.changes(std::min(count, 200U), false, [&](unsigned) { return bench.label(pods.front()); }));
    need(node->settle());
    report("a policy more or less", bench.changes(count, true, [&bench](unsigned i) { return bench.policy(i); }));
  });
}

}  // namespace

int main(int count, char** arguments) {
  try {
    const unsigned changes = count > 1 ? parse_number<unsigned>(arguments[1]).value_or(1000) : 1000;
    Cluster cluster;
    if (count > 2) cluster.local = parse_number<unsigned>(arguments[2]).value_or(cluster.local);
    constexpr double kAim = 200;
    const unsigned rounds = changes < 1000 ? 3 : 9;
    from_cold(cluster, "here", rounds, fmt::format("{} of 1,000 pods here", cluster.local), kAim);
    from_cold(cluster, "", rounds, "all 1,000 pods here", kAim);
    change_by_change(cluster, changes);
    return 0;
  } catch (const std::exception& problem) {
    fmt::print(stderr, "policy_change: {}\n", problem.what());
    return 1;
  }
}
