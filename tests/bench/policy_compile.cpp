// How long the compiler takes: from cold, for one change of each sort, and how much it holds.
//   policy_compile [PODS [POLICIES [NAMESPACES]]]
#include <fmt/format.h>
#include <malloc.h>

#include <algorithm>
#include <chrono>
#include <functional>
#include <string>
#include <vector>

#include "agent/base/text.hpp"
#include "agent/policy/compiler.hpp"

using namespace omnitide;
using namespace omnitide::policy;

namespace {

struct Scale {
  unsigned pods = 1000, policies = 1000, namespaces = 20;
};

ObjectRef made(Object object) { return std::make_shared<const Object>(std::move(object)); }

std::string space(const Scale& scale, unsigned i) { return fmt::format("team-{}", i % scale.namespaces); }

Selector label(const char* key, const std::string& value) { return {{{key, Operator::in, {value}}}}; }

ObjectRef pod(const Scale& scale, unsigned i, unsigned version) {
  Pod out;
  out.name_space = space(scale, i);
  out.name = fmt::format("web-{}", i);
  out.labels = {{"app", fmt::format("app-{}", i / scale.namespaces % 50)},
                {"pod-template-hash", fmt::format("{:08x}", i / 3)},
                {"version", std::to_string(version)}};
  out.addresses = {*parse_address(fmt::format("10.{}.{}.{}", 64 + i / 65536, i / 256 % 256, i % 256))};
  out.ports = {{.name = "http", .protocol = Protocol::tcp, .number = 8080}};
  return made(std::move(out));
}

// Every tenth isolates its namespace, every tenth lets everything out but the private networks, the others let one
// application of their namespace or of another one in, by number or by name of the port.
ObjectRef network_policy(const Scale& scale, unsigned i) {
  NetworkPolicy out;
  out.name_space = space(scale, i);
  out.name = fmt::format("policy-{}", i);
  if (i % 10 == 0) return made(std::move(out));
  const std::string app = fmt::format("app-{}", i / scale.namespaces % 50);
  out.pods = label("app", app);
  Rule rule;
  rule.ports = {{.protocol = Protocol::tcp, .first = 8080, .last = 8080, .name = {}}};
  Peer peer;
  if (i % 10 == 1) {
    out.isolates_ingress = false;
    out.isolates_egress = true;
    peer.kind = Peer::Kind::blocks;
    peer.blocks = {{*parse_prefix("0.0.0.0/0"), {*parse_prefix("10.0.0.0/8"), *parse_prefix("172.16.0.0/12")}}};
    rule.peers = {peer};
    out.egress = {rule};
    return made(std::move(out));
  }
  peer.name_space = i % 2 == 0 ? out.name_space : "";
  if (i % 2 == 1) peer.namespaces = label("kubernetes.io/metadata.name", space(scale, i + 1));
  peer.pods = label("app", fmt::format("app-{}", (i / scale.namespaces + 1) % 50));
  rule.peers = {peer};
  if (i % 3 == 0) rule.ports = {{.protocol = Protocol::tcp, .first = 0, .last = 0, .name = "http"}};
  out.ingress = {rule};
  return made(std::move(out));
}

Changes cluster(const Scale& scale) {
  Changes out;
  for (unsigned i = 0; i < scale.namespaces; ++i) {
    Namespace one;
    one.name = space(scale, i);
    one.labels = {{"kubernetes.io/metadata.name", one.name}, {"team", one.name}};
    out.upserts.push_back(made(one));
  }
  for (unsigned i = 0; i < scale.pods; ++i)
    out.upserts.push_back(pod(scale, i, 0));
  for (unsigned i = 0; i < scale.policies; ++i)
    out.upserts.push_back(network_policy(scale, i));
  return out;
}

double milliseconds(const std::function<void()>& work) {
  const auto begin = std::chrono::steady_clock::now();
  work();
  return std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - begin).count();
}

void report(const char* what, std::vector<double> times) {
  std::ranges::sort(times);
  fmt::print("{:<44} p50 {:8.3f} ms   p99 {:8.3f} ms   max {:8.3f} ms\n", what, times[times.size() / 2],
             times[times.size() * 99 / 100], times.back());
}

void changes(Compiler& compiler, const char* what, const std::function<Changes(unsigned)>& change) {
  std::vector<double> times;
  for (unsigned i = 0; i < 1000; ++i) {
    const Changes next = change(i);
    times.push_back(milliseconds([&] {
      if (compiler.apply(next).has_error()) fmt::print("refused\n");
    }));
  }
  report(what, std::move(times));
}

}  // namespace

int main(int argc, char** argv) {
  Scale scale;
  if (argc > 1) scale.pods = parse_number<unsigned>(argv[1]).value_or(scale.pods);
  if (argc > 2) scale.policies = parse_number<unsigned>(argv[2]).value_or(scale.policies);
  if (argc > 3) scale.namespaces = std::max(1U, parse_number<unsigned>(argv[3]).value_or(scale.namespaces));
  const Changes all = cluster(scale);
  std::vector<double> times;
  for (int i = 0; i < 9; ++i) {
    Compiler compiler({.node_name = ""});
    times.push_back(milliseconds([&] {
      if (compiler.apply(all).has_error()) fmt::print("refused\n");
    }));
  }
  fmt::print("{} pods, {} policies, {} namespaces, every pod an endpoint\n", scale.pods, scale.policies,
             scale.namespaces);
  report("from cold", std::move(times));

  const std::size_t before = mallinfo2().uordblks;
  Compiler compiler({.node_name = ""});
  if (compiler.apply(all).has_error()) return 1;
  const CompilerUse use = compiler.use();
  fmt::print("held by the compiler: {:.1f} MB; {} identities, {} sets, {} rows, {} rules in the largest set\n",
             static_cast<double>(mallinfo2().uordblks - before) / 1e6, use.identities, use.sets, use.rows, use.rules);
  changes(compiler, "a label of a pod that no policy knows", [&](unsigned i) {
    return Changes{.upserts = {pod(scale, i % scale.pods, i + 1)}, .removals = {}, .relocated = {}};
  });
  changes(compiler, "a label of a pod that policies select by", [&](unsigned i) {
    Pod changed = std::get<Pod>(*pod(scale, i % scale.pods, 0));
    changed.labels.front().second = fmt::format("app-{}", (i * 7 + 1) % 50);
    return Changes{.upserts = {made(std::move(changed))}, .removals = {}, .relocated = {}};
  });
  changes(compiler, "a pod more", [&](unsigned i) {
    return Changes{.upserts = {pod(scale, scale.pods + i, 0)}, .removals = {}, .relocated = {}};
  });
  changes(compiler, "a policy more, or one less", [&](unsigned i) {
    Changes out;
    const ObjectRef policy = network_policy(scale, scale.policies + i / 2);
    if (i % 2 == 0) out.upserts = {policy};
    if (i % 2 == 1) out.removals = {key_of(*policy)};
    return out;
  });
  return 0;
}
