// Publication into real maps: what a packet would meet after each step, failures undone, nothing leaked.
#include "ebpf/enforcement/publisher.hpp"

#include <memory>
#include <string>

#include "tests/harness/catch.hpp"
#include "tests/harness/policy_maps.hpp"
#include "tests/harness/policy_model.hpp"

using namespace omnitide;
using namespace omnitide::enforcement;
using test::Model;
using test::RandomModel;
using test::Reader;
using test::Verdict;

namespace {

Options small() {
  Options options;
  options.limits = {.endpoints = 64,
                    .addresses = 64,
                    .prefixes = 64,
                    .peers = 4096,
                    .ports = 1024,
                    .port_ranges = 1024,
                    .words = 8192,
                    .rules = 8192,
                    .connections = 16,
                    .translations = 16,
                    .fragments = 16,
                    .budgets = 16,
                    .deny = 16,
                    .own = 16,
                    .event_bytes = 4096};
  return options;
}

struct Bench {
  std::shared_ptr<Faults> faults = std::make_shared<Faults>();
  Publisher publisher = [this] {
    Result<Publisher> made = Publisher::open(test::make_maps(small(), faults), first_epoch);
    if (made.has_error()) throw std::runtime_error(made.error().text());
    return std::move(*made);
  }();
  Model now;
  std::uint32_t first_epoch = 0;

  Result<> publish(const Model& next) {
    Result<> done = publisher.publish(now.update_to(next), next.elements);
    if (done) done = publisher.retire();
    if (done) now = next;
    return done;
  }
  [[nodiscard]] Reader reader() const { return Reader(publisher.maps()); }
};

using Judgement = std::vector<std::optional<Verdict>>;

template <class Judge>
Judgement judge_all(const Judge& judge, std::uint32_t ifindex) {
  Judgement out;
  const std::pair<std::uint8_t, std::uint16_t> ports[] = {{6, 80}, {6, 79}, {17, 53}, {132, 9}, {1, 0}};
  for (const Address& peer : RandomModel::probes()) {
    for (const auto& [protocol, port] : ports) {
      for (const bool ingress : {true, false})
        out.push_back(judge.judge(ifindex, ingress, peer, protocol, port));
    }
  }
  return out;
}

// An endpoint without an element, or with an emptied one, is not judged.
bool agrees(const Reader& reader, const Model& model, std::uint32_t ifindex) {
  const auto element = reader.endpoint(ifindex);
  if (!model.elements.contains(ifindex)) return !element || element->flags == 0;
  return judge_all(reader, ifindex) == judge_all(model, ifindex);
}

bool agrees(const Reader& reader, const Model& model) {
  for (std::uint32_t ifindex = 2; ifindex < 10; ++ifindex) {
    if (!agrees(reader, model, ifindex)) return false;
  }
  for (const Address& address : RandomModel::probes()) {
    const auto holds = [&address](const Prefix& prefix) { return prefix.contains(address); };
    if (reader.denied(address) != std::any_of(model.deny.begin(), model.deny.end(), holds)) return false;
  }
  return true;
}

constexpr Table kPolicy[] = {Table::endpoints,   Table::addresses, Table::prefixes, Table::peers, Table::ports,
                             Table::port_ranges, Table::words,     Table::rules,    Table::deny};

std::map<Table, std::uint64_t> counts(const Maps& maps) {
  std::map<Table, std::uint64_t> out;
  for (const Table table : kPolicy) {
    const Result<std::uint64_t> count = maps.count(table);
    REQUIRE(count);
    out[table] = *count;
  }
  return out;
}

// The elements that the model needs, and not one more.
std::map<Table, std::uint64_t> needed(const Model& model) {
  RowIds ids;
  SetRows rows;
  for (const auto& [id, set] : model.sets)
    encode_set(set, ids, rows);
  for (const auto& [key, bits] : model.rows)
    encode_peer({key.first, key.second, bits}, ids, rows);
  std::map<Table, std::uint64_t> out{{Table::endpoints, model.elements.size()},
                                     {Table::addresses, 0},
                                     {Table::prefixes, 0},
                                     {Table::peers, rows.peers.size()},
                                     {Table::ports, rows.ports.size()},
                                     {Table::port_ranges, rows.ranges.size()},
                                     {Table::words, rows.words.size()},
                                     {Table::rules, rows.rules.size()},
                                     {Table::deny, model.deny.size()}};
  for (const auto& [prefix, identity] : model.locations)
    ++out[prefix.length == 128 ? Table::addresses : Table::prefixes];
  for (const char* always : {"::/0", "0.0.0.0/0"})
    out[Table::prefixes] += model.locations.contains(*parse_prefix(always)) ? 0U : 1U;
  return out;
}

}  // namespace

TEST_CASE("after every update the maps judge as the policy says, and hold nothing else once settled") {
  RandomModel random(1);
  Bench bench;
  REQUIRE(bench.publish(random.model()));
  std::uint64_t settled = 0;
  for (int i = 0; i < 1000; ++i) {
    random.change();
    INFO("update " << i);
    REQUIRE(bench.publish(random.model()));
    REQUIRE(agrees(bench.reader(), random.model(), 2 + static_cast<std::uint32_t>(i % 8)));
    if (i % 3 != 0) continue;
    REQUIRE(agrees(bench.reader(), random.model()));
    REQUIRE(bench.publisher.settle());
    REQUIRE_FALSE(bench.publisher.unsettled());
    REQUIRE(agrees(bench.reader(), random.model()));
    REQUIRE(counts(bench.publisher.maps()) == needed(random.model()));
    for (const Table table : kPolicy)
      REQUIRE(bench.publisher.maps()[table].used == needed(random.model()).at(table));
    ++settled;
  }
  CHECK(settled > 300);
}

TEST_CASE("the same without batches, as before Linux 5.6") {
  RandomModel random(2);
  Bench bench;
  for (const Table table : kPolicy)
    bench.publisher.maps()[table].batch = false;
  for (int i = 0; i < 50; ++i) {
    REQUIRE(bench.publish(random.model()));
    REQUIRE(agrees(bench.reader(), random.model()));
    REQUIRE(bench.publisher.settle());
    REQUIRE(counts(bench.publisher.maps()) == needed(random.model()));
    random.change();
  }
}

TEST_CASE("an end between any two steps leaves each endpoint one whole policy, the old or the new") {
  std::size_t ends = 0, mixed = 0;
  for (std::uint64_t seed = 10; seed < 13; ++seed) {
    RandomModel random(seed);
    const Model before = random.model();
    for (int i = 0; i < 4; ++i)
      random.change();
    random.relabel();
    const Model after = random.model();
    for (std::size_t step = 0;; ++step) {
      Bench bench;
      REQUIRE(bench.publish(before));
      bench.faults->die_after(step);
      const bool done = bench.publish(after).has_value();
      if (done) break;
      REQUIRE(bench.faults->dead());
      const Reader reader = bench.reader();
      bool any_old = false, any_new = false;
      for (std::uint32_t ifindex = 2; ifindex < 10; ++ifindex) {
        const bool old = agrees(reader, before, ifindex), changed = agrees(reader, after, ifindex);
        INFO("seed " << seed << ", step " << step << ", device " << ifindex);
        REQUIRE((old || changed));
        any_old = any_old || (old && !changed);
        any_new = any_new || (changed && !old);
      }
      mixed += any_old && any_new ? 1U : 0U;
      ++ends;
    }
  }
  CHECK(ends > 300);
  CHECK(mixed > 0);  // so the test has seen ends between two endpoints
}

TEST_CASE("an end between any two steps of settling changes no verdict") {
  RandomModel random(20);
  const Model before = random.model();
  for (int i = 0; i < 6; ++i)
    random.change();
  random.relabel();
  for (std::size_t step = 0;; ++step) {
    Bench bench;
    REQUIRE(bench.publish(before));
    REQUIRE(bench.publish(random.model()));
    bench.faults->die_after(step);
    const bool done = bench.publisher.settle().has_value();
    INFO("step " << step);
    REQUIRE(agrees(bench.reader(), random.model()));
    if (done) break;
  }
}

TEST_CASE("the element of publication is odd only while elements are replaced, and stays odd after an end within") {
  RandomModel random(30);
  const Model before = random.model();
  random.relabel();
  bool odd = false;
  for (std::size_t step = 0;; ++step) {
    Bench bench;
    REQUIRE(bench.publish(before));
    const std::uint32_t zero = 0;
    policy_publication now{};
    REQUIRE(bench.publisher.maps().read(Table::publication, &zero, &now));
    CHECK(now.sequence % 2 == 0);
    bench.faults->die_after(step);
    const bool done = bench.publish(random.model()).has_value();
    REQUIRE(bench.publisher.maps().read(Table::publication, &zero, &now));
    odd = odd || now.sequence % 2 == 1;
    if (!done) continue;
    CHECK(now.sequence % 2 == 0);
    break;
  }
  CHECK(odd);
}

TEST_CASE("a plan that does not fit is refused with the map's name, use and limit, and changes nothing") {
  RandomModel random(40);
  Bench bench;
  REQUIRE(bench.publish(random.model()));
  const auto before = counts(bench.publisher.maps());
  Model next = random.model();
  for (std::uint32_t i = 0; i < 100; ++i)
    next.locations[host_prefix(*parse_address("10.9.0." + std::to_string(i)))] = 500 + i;
  const Result<> done = bench.publish(next);
  REQUIRE(done.has_error());
  CHECK(done.error().code == Code::resource_exhausted);
  INFO(done.error().message);
  CHECK(done.error().message.find("the map addresses is full: ") == 0);
  CHECK(done.error().message.find(" of 64 elements are in use") != std::string::npos);
  CHECK(counts(bench.publisher.maps()) == before);
  CHECK(agrees(bench.reader(), random.model()));
  random.change();
  REQUIRE(bench.publish(random.model()));
  CHECK(agrees(bench.reader(), random.model()));
}

TEST_CASE("what the kernel refuses in the middle is undone") {
  for (const Table full :
       {Table::words, Table::rules, Table::ports, Table::peers, Table::addresses, Table::endpoints}) {
    RandomModel random(50);
    Bench bench;
    REQUIRE(bench.publish(random.model()));
    const auto before = counts(bench.publisher.maps());
    Model next = random.model();
    const policy::SetId some = next.sets.begin()->first;
    policy::RuleSet large;
    large.id = 9000;
    for (std::uint16_t i = 0; i < 9000 && full == Table::rules; ++i)
      large.rules.push_back({});
    for (std::uint16_t port = 0; port < 1200 && full == Table::ports; ++port)
      large.ports.push_back({6, port, 16, {}});
    next.sets[9000] = large;
    for (std::uint32_t i = 0; i < 5000 && full == Table::peers; ++i)
      next.rows[{some, 1000 + i}] = {};
    policy::Bits wide;
    for (std::uint16_t bit = 0; bit < 10000; bit = static_cast<std::uint16_t>(bit + 64))
      wide.push_back(bit);
    for (std::uint32_t i = 0; i < 100; ++i) {
      if (full == Table::addresses) next.locations[host_prefix(*parse_address("10.9.0." + std::to_string(i)))] = 500;
      if (full == Table::endpoints) next.elements[100 + i] = next.elements.begin()->second;
      if (full == Table::words) next.rows[{some, 1000 + i}] = wide;
    }
    next.locations.begin()->second = 4000;
    // The publisher believes that there is room.
    bench.publisher.maps()[full].limit = 1U << 30U;
    INFO(table_name(full));
    const Result<> done = bench.publish(next);
    REQUIRE(done.has_error());
    CHECK(done.error().code == Code::resource_exhausted);
    CHECK(done.error().message.find(table_name(full)) != std::string::npos);
    CHECK(counts(bench.publisher.maps()) == before);
    CHECK(agrees(bench.reader(), random.model()));
    for (const Table table : kPolicy)
      CHECK(bench.publisher.maps()[table].used == before.at(table));
    random.change();
    REQUIRE(bench.publish(random.model()));
    CHECK(agrees(bench.reader(), random.model()));
  }
}

TEST_CASE("a location that changes twice waits for a grace period, others do not") {
  RandomModel random(60);
  Bench bench;
  Model model = random.model();
  model.locations = {{*parse_prefix("10.0.0.1/32"), 70}, {*parse_prefix("10.0.0.2/32"), 71}};
  REQUIRE(bench.publish(model));
  REQUIRE(bench.publisher.settle());
  model.locations[*parse_prefix("10.0.0.1/32")] = 72;
  REQUIRE(bench.publish(model));
  model.locations[*parse_prefix("10.0.0.2/32")] = 73;
  REQUIRE(bench.publish(model));
  CHECK(bench.publisher.forced_barriers() == 0);
  model.locations[*parse_prefix("10.0.0.1/32")] = 74;
  REQUIRE(bench.publish(model));
  CHECK(bench.publisher.forced_barriers() == 1);
  CHECK(agrees(bench.reader(), model));
}

TEST_CASE("epochs wrap without a wrong verdict, and none is 0") {
  RandomModel random(70);
  auto faults = std::make_shared<Faults>();
  Result<Publisher> publisher = Publisher::open(test::make_maps(small(), faults), 0xfffffff0U);
  REQUIRE(publisher);
  Model now;
  for (int i = 0; i < 40; ++i) {
    random.change();
    random.relabel();
    REQUIRE(publisher->publish(now.update_to(random.model()), random.model().elements));
    REQUIRE(publisher->retire());
    now = random.model();
    REQUIRE(publisher->epoch() != 0);
    REQUIRE(agrees(Reader(publisher->maps()), now));
  }
  CHECK(publisher->epoch() < 0x1000);
}

TEST_CASE("an endpoint that is not wanted any more is emptied at once and removed later") {
  RandomModel random(80);
  Bench bench;
  Model model = random.model();
  REQUIRE(bench.publisher.publish(model.whole(), model.elements));
  const std::uint32_t gone = model.elements.begin()->first;
  Model next = model;
  next.elements.erase(gone);
  REQUIRE(bench.publisher.publish(model.update_to(next), next.elements));
  const auto element = bench.reader().endpoint(gone);
  REQUIRE(element);
  CHECK(element->flags == 0);
  CHECK(element->ingress_set == policy::kOpen);
  REQUIRE(bench.publisher.retire());
  CHECK_FALSE(bench.reader().endpoint(gone));
}

TEST_CASE("an endpoint with a set that the plan lacks is refused") {
  RandomModel random(90);
  Bench bench;
  Model model = random.model();
  model.elements[3].ingress_set = 12345;
  CHECK(bench.publish(model).has_error());
  CHECK(counts(bench.publisher.maps()).at(Table::endpoints) == 0);
}

TEST_CASE("a whole plan is published as what differs from the one that is there") {
  RandomModel random(100);
  Bench bench;
  REQUIRE(bench.publish(random.model()));
  for (int i = 0; i < 30; ++i) {
    const std::uint32_t epoch = bench.publisher.epoch();
    REQUIRE(bench.publisher.publish(bench.publisher.difference(random.model().whole()), random.model().elements));
    CHECK(bench.publisher.epoch() == epoch);  // nothing differs
    random.change();
    random.change();
    REQUIRE(bench.publisher.publish(bench.publisher.difference(random.model().whole()), random.model().elements));
    REQUIRE(bench.publisher.retire());
    REQUIRE(agrees(bench.reader(), random.model()));
    REQUIRE(bench.publisher.settle());
    REQUIRE(counts(bench.publisher.maps()) == needed(random.model()));
  }
}

TEST_CASE("the node's own addresses follow") {
  Bench bench;
  const Address one = *parse_address("192.0.2.1"), two = *parse_address("fd00::1");
  REQUIRE(bench.publisher.set_own({one, two}));
  CHECK(*bench.publisher.maps().count(Table::own) == 2);
  REQUIRE(bench.publisher.set_own({two}));
  std::uint32_t value = 0;
  const policy_address first = encode(one), second = encode(two);
  CHECK_FALSE(*bench.publisher.maps().read(Table::own, &first, &value));
  CHECK(*bench.publisher.maps().read(Table::own, &second, &value));
  CHECK(value == 1);
}
