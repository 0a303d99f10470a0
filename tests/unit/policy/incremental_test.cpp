// Sequences of random changes: what has accumulated must be what a fresh compile gives, each step on the way must give
// old or new verdicts only, and a step that a limit refuses must leave nothing behind.
#include <cstdlib>

#include "agent/base/text.hpp"
#include "tests/harness/catch.hpp"
#include "tests/harness/policy_agreement.hpp"

using namespace omnitide;
using namespace omnitide::policy;
using agreement::Objects;
using random_objects::Generator;

namespace {

std::uint64_t sequences() {
  const char* text = std::getenv("OMNITIDE_PROPERTY_SETS");
  return text == nullptr ? 150 : parse_number<std::uint64_t>(text).value_or(150) / 10;
}

bool same(const PlanUpdate& left, const PlanUpdate& right) {
  const auto same_set = [](const RuleSet& a, const RuleSet& b) {
    return a.id == b.id && a.otherwise == b.otherwise && a.rules.size() == b.rules.size() &&
           a.ports.size() == b.ports.size();
  };
  const auto same_row = [](const PeerRow& a, const PeerRow& b) {
    return a.set == b.set && a.identity == b.identity && a.rules == b.rules;
  };
  const auto same_location = [](const Location& a, const Location& b) {
    return a.prefix == b.prefix && a.identity == b.identity;
  };
  return std::ranges::equal(left.sets, right.sets, same_set) && std::ranges::equal(left.rows, right.rows, same_row) &&
         std::ranges::equal(left.locations, right.locations, same_location) && left.endpoints == right.endpoints &&
         left.host_deny == right.host_deny;
}

std::optional<std::string> not_as_fresh(const Compiler& compiler, const Plan& plan, const Objects& objects,
                                        const std::string& node) {
  Compiler fresh({.node_name = node});
  const Result<PlanUpdate> all = fresh.apply(agreement::all_of(objects));
  if (all.has_error()) return all.error().text();
  Plan expected;
  expected.apply(*all);
  if (auto problem = agreement::difference(plan, compiler, expected, fresh)) return "accumulated: " + *problem;
  if (auto problem = agreement::waste(plan)) return "accumulated: " + *problem;
  if (auto problem = agreement::difference(agreement::plan_of(compiler), compiler, expected, fresh))
    return "everything(): " + *problem;
  return std::nullopt;
}

// The kernel takes an update in these steps, and an endpoint sees either the old locations or the new ones. In `middle`
// sets and rows are new and nothing is gone yet.
std::optional<std::string> mixes(const Plan& old, const PlanUpdate& update, const Objects& objects,
                                 Generator& generator) {
  Plan middle = old;
  middle.apply_sets(update);
  Plan located = middle;
  located.apply_locations(update);
  Plan complete = old;
  complete.apply(update);
  const std::vector<Address> addresses = Generator::addresses(objects);
  const std::vector<Generator::Probe> probes = Generator::probes(objects);
  for (int i = 0; i < 60; ++i) {
    const Address& peer = addresses[generator.below(static_cast<unsigned>(addresses.size()))];
    const Generator::Probe& probe = probes[generator.below(static_cast<unsigned>(probes.size()))];
    const Direction direction = generator.chance(50) ? Direction::ingress : Direction::egress;
    const auto number = static_cast<std::uint8_t>(probe.protocol);
    for (const auto& [name, endpoint] : old.endpoints()) {
      const bool before = old.judge(endpoint, direction, peer, number, probe.port).allowed;
      if (middle.judge(endpoint, direction, peer, number, probe.port).allowed != before)
        return name + ": new sets and rows change a verdict";
      const PlanEndpoint* next = complete.endpoint(name);
      if (next == nullptr) continue;
      const bool after = complete.judge(*next, direction, peer, number, probe.port).allowed;
      if (located.judge(*next, direction, peer, number, probe.port).allowed != after &&
          endpoint.kind != EndpointKind::host)
        return name + ": the verdict with new sets and locations depends on what goes afterwards";
    }
  }
  return std::nullopt;
}

}  // namespace

TEST_CASE("property: changes accumulate to what a fresh compile gives") {
  for (std::uint64_t seed = 1; seed <= sequences(); ++seed) {
    Generator generator(seed * 7919);
    const std::string node = seed % 3 == 0 ? random_objects::kNodeName : "";
    Objects objects = generator.objects();
    Compiler compiler({.node_name = node});
    Plan plan;
    const Result<PlanUpdate> first = compiler.apply(agreement::all_of(objects));
    REQUIRE(first);
    plan.apply(*first);
    for (int step = 0; step < 25; ++step) {
      const Result<PlanUpdate> update = compiler.apply(generator.change(objects));
      REQUIRE(update);
      const auto mixed = mixes(plan, *update, objects, generator);
      plan.apply(*update);
      auto problem = mixed ? mixed : not_as_fresh(compiler, plan, objects, node);
      if (!problem) problem = agreement::disagreement(plan, objects, node, seed, 6);
      if (problem) FAIL("seed " << seed << ", step " << step << ": " << *problem << "\n" << agreement::text(objects));
    }
  }
}

TEST_CASE("property: a refused step leaves everything as it was") {
  std::uint64_t refused = 0;
  for (std::uint64_t seed = 1; seed <= sequences(); ++seed) {
    Generator generator(seed * 104729);
    CompilerLimits limits;
    limits.rules = 4 + generator.below(8);
    limits.identities = 8 + generator.below(12);
    limits.cidrs = 4 + generator.below(8);
    limits.rows = 10 + generator.below(60);
    limits.sets = 3 + generator.below(8);
    Compiler compiler({.node_name = "", .limits = limits});
    Objects objects;
    Plan plan;
    for (int step = 0; step < 40; ++step) {
      Objects wanted = objects;
      const Changes changes = generator.change(wanted);
      const PlanUpdate before = compiler.everything();
      const CompilerUse used = compiler.use();
      const Result<PlanUpdate> update = compiler.apply(changes);
      if (update.has_error()) {
        ++refused;
        REQUIRE(update.error().code == Code::resource_exhausted);
        REQUIRE_FALSE(update.error().field.empty());
        if (!same(before, compiler.everything())) FAIL("seed " << seed << ", step " << step << ": not as before");
        CHECK(compiler.use().rows == used.rows);
        continue;
      }
      objects = std::move(wanted);
      plan.apply(*update);
      if (auto problem = not_as_fresh(compiler, plan, objects, ""))
        FAIL("seed " << seed << ", step " << step << ": " << *problem << "\n" << agreement::text(objects));
      const CompilerUse now = compiler.use();
      CHECK((now.rules <= limits.rules && now.identities <= limits.identities && now.cidrs <= limits.cidrs &&
             now.rows <= limits.rows && now.sets <= limits.sets));
    }
  }
  CHECK(refused > sequences());
}

TEST_CASE("an object that comes again unchanged changes nothing") {
  const Objects objects = Generator(42).objects();
  Compiler compiler({.node_name = ""});
  REQUIRE(compiler.apply(agreement::all_of(objects)));
  const Result<PlanUpdate> again = compiler.apply(agreement::all_of(objects));
  REQUIRE(again);
  CHECK(again->empty());
}
