// What the agent does with a change that does not fit and with an object that is wrong: the last good policy stays, the
// others apply, and status, log, part and metrics say what it was.
#include <fmt/format.h>

#include <string>

#include "tests/harness/agent_node.hpp"
#include "tests/harness/catch.hpp"
#include "tests/harness/policy_shop.hpp"
#include "tests/harness/policy_traffic.hpp"
#include "tests/harness/private_bpffs.hpp"

using namespace omnitide;
using namespace std::chrono_literals;
using test::AgentNode;
using test::Bursts;

namespace {

struct Pods {
  test::RoutedPod server{test::kServer}, client{test::kClient}, other{test::kOther};
};

bool says(const std::string& text, const std::string& words) { return text.find(words) != std::string::npos; }

bool judged_by(const Bursts& bursts, unsigned version) { return bursts.show(version % 2 == 0); }

// A policy of `rules` rules, each with a port of its own; from each of `peers` pods of another node, every other rule.
std::string large_policy(unsigned rules, unsigned peers) {
  std::string out;
  for (unsigned i = 0; i < peers; ++i)
    out += fmt::format(
        "---\napiVersion: v1\nkind: Pod\nmetadata:\n  name: peer-{0}\n  namespace: shop\n  labels:\n    peer: p{0}\n"
        "spec:\n  nodeName: node-b\nstatus:\n  podIP: 10.61.{1}.{2}\n",
        i, i / 250, i % 250);
  out += test::policy_head("large", "server") + "  ingress:\n";
  for (unsigned rule = 0; rule < rules; ++rule) {
    out += fmt::format("  - ports:\n    - port: {}\n", 10000 + rule);
    if (peers == 0) continue;
    out += "    from:\n    - podSelector:\n        matchExpressions:\n        - key: peer\n          operator: NotIn\n";
    out += fmt::format("          values:\n          - p{}\n", rule % peers);
  }
  return out;
}

struct Refusal {
  const char* what;
  std::vector<std::string> limits;
  std::string policy;
  const char* reason;
  const char* table;  // that the metrics tell of
};

void check_refusal(const Refusal& refusal) {
  INFO(refusal.what);
  test::with_private_bpffs([&](const std::string& bpffs) {
    AgentNode node(bpffs, refusal.limits);
    const Pods pods;
    node.put("shop.yaml", test::shop(0));
    node.start();
    REQUIRE(node.enforces(30s));
    Bursts bursts(pods.other, pods.server);
    CHECK(judged_by(bursts, 0));
    CHECK(says(node.metrics(), "omnitide_policy_publication_failures_total 0\n"));

    node.put("shop.yaml", test::shop(1) + refusal.policy);  // one file, one change
    test::Answer status;
    REQUIRE(test::eventually(20s, [&] {
      status = node.ask({"policy", "status"});
      return says(status.text, "The last policy stays: ");
    }));
    INFO(status.text);
    CHECK(status.code == 1);
    CHECK(says(status.text, refusal.reason));
    CHECK(judged_by(bursts, 0));

    const std::string all = node.ask({"status", "-o", "json"}).text;
    INFO(all);
    CHECK(says(all, "keeping the last policy"));  // the event
    CHECK(says(all, "PART_STATE_DEGRADED"));      // the condition
    CHECK(says(all, "the last policy stays: "));
    CHECK(says(node.log(), refusal.reason));
    const std::string metrics = node.metrics();
    CHECK_FALSE(says(metrics, "omnitide_policy_publication_failures_total 0\n"));
    CHECK(says(metrics, "omnitide_policy_publication_failures_total "));
    CHECK(says(metrics, fmt::format("omnitide_policy_table_entries{{table=\"{}\"}}", refusal.table)));
    CHECK(says(metrics, fmt::format("omnitide_policy_table_limit{{table=\"{}\"}}", refusal.table)));

    node.put("shop.yaml", test::shop(1));
    CHECK(node.enforces(20s));
    CHECK(judged_by(bursts, 1));
    CHECK_FALSE(says(node.ask({"status", "-o", "json"}).text, "PART_STATE_DEGRADED"));
    CHECK(bursts.never() == 0);
    CHECK(node.end(SIGTERM) == 0);
  });
}

}  // namespace

TEST_CASE("a change beyond a limit of the compiler is refused whole, and said to be") {
  check_refusal({.what = "rules",
                 .limits = {"rules: 64", "total_rules: 64"},
                 .policy = large_policy(100, 0),
                 .reason = "the limit of rules is reached",
                 .table = "rules"});
}

TEST_CASE("a change beyond a map of the kernel is refused whole, and said to be") {
  check_refusal({.what = "words",
                 .limits = {"rules: 300", "total_rules: 300"},
                 .policy = large_policy(200, 120),
                 .reason = "the map words is full: ",
                 .table = "words"});
}

TEST_CASE("a bad policy among good ones: those apply and change, and the fault is named with file, line and field") {
  test::with_private_bpffs([](const std::string& bpffs) {
    AgentNode node(bpffs);
    const Pods pods;
    node.put("shop.yaml", test::shop(0));
    node.put("bad.yaml",
             "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata:\n  name: bad\n  namespace: shop\n"
             "spec:\n  podSelecter: {}\n  ingress:\n  - ports:\n    - port: 80\n      endPort: 79\n");
    node.start();
    test::Answer status;
    REQUIRE(test::eventually(20s, [&] {
      status = node.ask({"policy", "status"});
      return says(status.text, "Faults:");
    }));
    Bursts bursts(pods.other, pods.server);
    INFO(status.text);
    CHECK(status.code == 1);
    CHECK(says(status.text,
               node.path("policies/bad.yaml") + ":7: NetworkPolicy shop/bad: spec.podSelecter: is not known here"));
    CHECK(says(status.text, "bad.yaml:11: NetworkPolicy shop/bad: spec.ingress[0].ports[0].endPort: "));
    CHECK(judged_by(bursts, 0));
    node.put("shop.yaml", test::shop(1));
    CHECK(test::eventually(10s, [&] { return judged_by(bursts, 1); }));
    CHECK(says(node.metrics(), "omnitide_policy_faults 2\n"));
    CHECK(says(node.ask({"status", "-o", "json"}).text, "PART_STATE_DEGRADED"));
    node.take_away("bad.yaml");
    CHECK(node.enforces(10s));
    CHECK_FALSE(says(node.ask({"status", "-o", "json"}).text, "PART_STATE_DEGRADED"));
    CHECK(node.end(SIGTERM) == 0);
  });
}
