// Each map of a policy filled to its limit: the last element fits, one more is refused as a whole with the map's name,
// use and limit, and what was published stays, judges and can change.
#include <fmt/format.h>

#include <memory>
#include <string>

#include "tests/harness/catch.hpp"
#include "tests/harness/enforced_node.hpp"
#include "tests/harness/policy_maps.hpp"
#include "tests/harness/policy_model.hpp"

using namespace omnitide;
using namespace omnitide::enforcement;
using test::Model;
using test::Reader;

namespace {

constexpr std::uint32_t kSmall = 24, kAmple = 4096;
constexpr std::uint32_t kDevice = 2;
const Address kPeer = *parse_address("10.0.0.1"), kStranger = *parse_address("10.0.0.2");

Address numbered(std::uint32_t number) { return *parse_address(fmt::format("10.9.{}.{}", number / 200, number % 200)); }
Prefix numbered_prefix(std::uint32_t number) { return *parse_prefix(fmt::format("10.{}.0.0/16", 20 + number)); }

// What makes a plan need one more element of the map, and maybe some of others.
struct Limited {
  Table table;
  std::uint32_t Limits::*limit;
  void (*grow)(Model&, std::uint32_t number);
};

policy::RuleSet empty_set(std::uint32_t id) {
  policy::RuleSet out;
  out.id = id;
  return out;
}

const Limited kAll[] = {
    {Table::endpoints, &Limits::endpoints,
     [](Model& model, std::uint32_t number) { model.elements[100 + number] = model.elements.at(kDevice); }},
    {Table::addresses, &Limits::addresses,
     [](Model& model, std::uint32_t number) { model.locations[host_prefix(numbered(number))] = 500 + number; }},
    {Table::prefixes, &Limits::prefixes,
     [](Model& model, std::uint32_t number) { model.locations[numbered_prefix(number)] = 500 + number; }},
    {Table::peers, &Limits::peers,
     [](Model& model, std::uint32_t number) {
       model.rows[{1, 1000 + number}] = {0};
     }},
    {Table::ports, &Limits::ports,
     [](Model& model, std::uint32_t number) {
       policy::RuleSet set = empty_set(100 + number);
       set.ports = {{6, 80, 16, {}}};
       model.sets[set.id] = set;
     }},
    {Table::port_ranges, &Limits::port_ranges,
     [](Model& model, std::uint32_t number) {
       policy::RuleSet set = empty_set(100 + number);
       set.ports = {{6, 64, 12, {}}};
       model.sets[set.id] = set;
     }},
    {Table::words, &Limits::words,
     [](Model& model, std::uint32_t number) {
       model.rows[{1, 1000 + number}] = {0, 100};
     }},
    {Table::rules, &Limits::rules,
     [](Model& model, std::uint32_t number) {
       policy::RuleSet set = empty_set(100 + number);
       set.rules = {{}};
       model.sets[set.id] = set;
     }},
    {Table::deny, &Limits::deny,
     [](Model& model, std::uint32_t number) { model.deny.insert(numbered_prefix(number)); }},
};

// One pod that 10.0.0.1 may connect to on TCP 80, and nobody else; with something in every map.
Model base() {
  Model out;
  policy::RuleSet set = empty_set(1);
  set.rules.resize(2);
  set.ports = {{6, 64, 12, {}}, {6, 80, 16, {0}}};
  out.sets[1] = set;
  out.locations[host_prefix(kPeer)] = policy::kPodBit | 5;
  out.rows[{1, policy::kPodBit | 5}] = {0};
  policy_endpoint element{};
  element.flags = POLICY_POD;
  element.id = kDevice;
  element.ingress_set = 1;
  out.elements[kDevice] = element;
  return out;
}

Options options_for(const Limited& limited) {
  Options out;
  out.limits = {.endpoints = kAmple,
                .addresses = kAmple,
                .prefixes = kAmple,
                .peers = kAmple,
                .ports = kAmple,
                .port_ranges = kAmple,
                .words = kAmple,
                .rules = kAmple,
                .connections = 16,
                .translations = 16,
                .fragments = 16,
                .budgets = 16,
                .deny = kAmple,
                .own = kSmall,
                .event_bytes = 4096};
  out.limits.*limited.limit = kSmall;
  return out;
}

struct Bench {
  explicit Bench(const Limited& limited)
      : publisher([&limited] {
          Result<Publisher> made =
              Publisher::open(test::make_maps(options_for(limited), std::make_shared<Faults>()), 0);
          if (made.has_error()) throw std::runtime_error(made.error().text());
          return std::move(*made);
        }()) {}
  Result<> publish(const Model& next) {
    Result<> done = publisher.publish(now.update_to(next), next.elements);
    if (done) done = publisher.retire();
    if (done) now = next;
    return done;
  }
  [[nodiscard]] std::uint64_t used(Table table) const {
    const Result<std::uint64_t> count = publisher.maps().count(table);
    REQUIRE(count);
    CHECK(publisher.maps()[table].used == *count);
    return *count;
  }
  [[nodiscard]] bool judges() const {
    const Reader reader(publisher.maps());
    return reader.judge(kDevice, true, kPeer, 6, 80)->accepted &&
           !reader.judge(kDevice, true, kPeer, 6, 81)->accepted &&
           !reader.judge(kDevice, true, kStranger, 6, 80)->accepted;
  }

  Publisher publisher;
  Model now;
};

}  // namespace

TEST_CASE("every map of the policy takes what its limit says, and refuses a plan that needs one more") {
  for (const Limited& limited : kAll) {
    INFO(table_name(limited.table));
    Bench bench(limited);
    Model model = base(), smaller;
    REQUIRE(bench.publish(model));
    std::uint32_t number = 0;
    while (bench.used(limited.table) < kSmall) {
      smaller = model;
      limited.grow(model, number++);
      REQUIRE(bench.publish(model));
    }
    CHECK(bench.judges());

    const std::uint32_t epoch = bench.publisher.epoch();
    Model too_large = model;
    limited.grow(too_large, number);
    too_large.locations[host_prefix(kPeer)] = 77;  // would take the peer's right away, if it were published in part
    const Result<> refused = bench.publish(too_large);
    REQUIRE(refused.has_error());
    CHECK(refused.error().code == Code::resource_exhausted);
    CHECK(refused.error().message ==
          fmt::format("the map {} is full: {} of {} elements are in use, and 1 more are needed",
                      table_name(limited.table), kSmall, kSmall));
    CHECK(refused.error().hint.find(table_name(limited.table)) != std::string::npos);
    CHECK(bench.used(limited.table) == kSmall);
    CHECK(bench.judges());
    CHECK(static_cast<std::int32_t>(bench.publisher.epoch() - epoch) >= 0);

    // It goes on with changes that fit: what is taken away makes room.
    REQUIRE(bench.publish(smaller));
    CHECK(bench.judges());
    REQUIRE(bench.publish(model));
    CHECK(bench.judges());
    REQUIRE(bench.publisher.settle());
    CHECK(bench.used(limited.table) == kSmall);
  }
}

TEST_CASE("more addresses of the node than there is room for are refused, and those of before stay") {
  Bench bench(kAll[0]);
  std::set<Address> own;
  for (std::uint32_t number = 0; number < kSmall; ++number)
    own.insert(numbered(number));
  REQUIRE(bench.publisher.set_own(own));
  own.insert(numbered(kSmall));
  const Result<> refused = bench.publisher.set_own(own);
  REQUIRE(refused.has_error());
  CHECK(refused.error().message == "the map own is full: 24 of 24 elements are in use, and 1 more are needed");
  CHECK(bench.used(Table::own) == kSmall);
  own.erase(numbered(0));
  REQUIRE(bench.publisher.set_own(own));
  CHECK(bench.used(Table::own) == kSmall);
}

TEST_CASE("a plan that is refused does not turn the epochs back: later than any that a connection was judged in") {
  Bench bench(kAll[0]);
  Model model = base();
  REQUIRE(bench.publish(model));
  for (std::uint32_t identity = 50; identity < 55; ++identity) {
    model.locations[host_prefix(kStranger)] = identity;
    REQUIRE(bench.publish(model));
  }
  const std::uint32_t epoch = bench.publisher.epoch();
  Model wrong = model;
  wrong.elements.at(kDevice).egress_set = 999;
  REQUIRE(bench.publish(wrong).has_error());
  model.locations[host_prefix(kStranger)] = 60;
  REQUIRE(bench.publish(model));
  CHECK(bench.publisher.epoch() > epoch);
}

TEST_CASE("a node with more addresses than there is room for says so until there is room again") {
  test::with_node([](test::EnforcedNode& node) {
    node.options.limits.own = 3;
    test::add_veth_pair("wan0", "wan1");
    const std::uint32_t device = test::index_of("wan0");
    test::set_up(device);
    for (const char* address : {"192.0.2.1/24", "192.0.2.2/24", "192.0.2.3/24", "192.0.2.4/24"})
      test::add_address(device, address);
    policy::PlanEndpoint host;
    host.name = "host";
    host.kind = policy::EndpointKind::host;
    host.host_interfaces = {"wan0"};
    REQUIRE(node.publish({host}));
    CHECK(node->status().warning.find("the map own is full") == 0);
    REQUIRE(node.publish({host}));  // another change does not hide it
    CHECK(node->status().warning.find("the map own is full") == 0);
    test::remove_link(device);
    REQUIRE(node->links_changed());
    CHECK(node->status().warning.empty());
  });
}

TEST_CASE("a compiler that starts over gets numbers that stand for nothing yet") {
  test::with_node([](test::EnforcedNode& node) {
    policy::PlanUpdate plan;
    policy::RuleSet set = empty_set(7);
    set.rules = {{}};
    plan.sets = {set};
    plan.locations = {{host_prefix(kPeer), policy::kPodBit | 9}};
    plan.endpoints = {test::EnforcedNode::pod("shop/web", {"10.0.0.5"})};
    REQUIRE(node->publish(plan, true));
    CHECK(node->first_ids().set == 8);
    CHECK(node->first_ids().identity == 10);
  });
}
