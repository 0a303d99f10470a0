#include <fmt/format.h>
#include <sys/stat.h>

#include <set>

#include "agent/base/file.hpp"
#include "agent/telemetry/metric_set.hpp"
#include "tests/harness/catch.hpp"
#include "tests/harness/fixture.hpp"
#include "tests/harness/sparkplug_edge.hpp"

using namespace omnitide;
using namespace omnitide::telemetry;

namespace {

NamedMetric metric(std::string name, std::string device = "", MetricValue value = 1.0) {
  return test::known(0, std::move(device), std::move(name), std::move(value), "bytes").metric;
}

std::string path_in(const test::TempTree& tree) { return tree.path() + "/aliases"; }

}  // namespace

TEST_CASE("aliases: a metric keeps its number, also over restarts") {
  const test::TempTree tree;
  AliasTable table = AliasTable::load(path_in(tree)).value();
  CHECK_FALSE(table.changed());
  const std::uint64_t a = table.alias(metric("a")).value(), b = table.alias(metric("a", "disk:sda")).value();
  CHECK(a >= AliasTable::kFirst);
  CHECK(a != b);
  CHECK(table.alias(metric("a", "", std::uint64_t{1})).value() != a);  // another type
  CHECK(table.alias(metric("a", "", 5.0)).value() == a);
  CHECK(table.changed());
  REQUIRE(table.save());
  CHECK_FALSE(table.changed());

  AliasTable again = AliasTable::load(path_in(tree)).value();
  CHECK(again.size() == 3);
  CHECK(again.alias(metric("a")).value() == a);
  CHECK(again.alias(metric("a", "disk:sda")).value() == b);
  CHECK_FALSE(again.changed());
  REQUIRE(again.find(b) != nullptr);
  CHECK(again.find(b)->device == "disk:sda");
  CHECK(again.find(b)->name == "a");
  CHECK(again.find(b)->type == DataType::double_);
  CHECK(again.find(b)->unit == "bytes");
  CHECK(again.find(999'999) == nullptr);
  CHECK(again.alias(metric("new")).value() > b);
}

TEST_CASE("aliases: a number is not used again, also when its name is forgotten") {
  const test::TempTree tree;
  AliasTable table = AliasTable::load(path_in(tree)).value();
  const std::uint64_t a = table.alias(metric("a")).value(), b = table.alias(metric("b")).value();
  REQUIRE(table.save());
  table.keep_only(std::array{a});
  CHECK(table.changed());
  CHECK(table.find(b) == nullptr);
  CHECK(table.alias(metric("a")).value() == a);
  REQUIRE(table.save());
  AliasTable again = AliasTable::load(path_in(tree)).value();
  CHECK(again.alias(metric("b")).value() > b);
}

TEST_CASE("aliases: a damaged file is data_loss, and a fresh table uses numbers of its own") {
  const test::TempTree tree;
  std::set<std::uint64_t> used;
  {
    AliasTable table = AliasTable::load(path_in(tree)).value();
    for (int i = 0; i < 100; ++i)
      used.insert(table.alias(metric(fmt::format("m{}", i))).value());
    REQUIRE(table.save());
  }
  const std::string good = read_file(path_in(tree)).value();
  const WallTime now = test::at_ms(1'900'000'000'000);
  for (std::size_t at = 0; at < good.size(); at += 7) {
    for (const std::string& bad : {good.substr(0, at), good.substr(0, at) + '\x01' + good.substr(at + 1)}) {
      REQUIRE(write_file_durably(path_in(tree), bad));
      const Result<AliasTable> read = AliasTable::load(path_in(tree));
      REQUIRE(read.has_error());
      CHECK(read.error().code == Code::data_loss);
      CHECK(read.error().message.find(path_in(tree)) != std::string::npos);
    }
  }
  AliasTable fresh = AliasTable::fresh(path_in(tree), now);
  CHECK(fresh.changed());
  for (int i = 0; i < 100; ++i)
    CHECK(used.insert(fresh.alias(metric(fmt::format("m{}", i))).value()).second);
  REQUIRE(fresh.save());
  CHECK(AliasTable::load(path_in(tree)).value().alias(metric("m5")).value() == fresh.alias(metric("m5")).value());
  // Damaged again a second later; and with a clock that stands in 1970.
  AliasTable later = AliasTable::fresh(path_in(tree), now + std::chrono::seconds(1));
  CHECK(used.insert(later.alias(metric("m1")).value()).second);
  CHECK(AliasTable::fresh(path_in(tree), test::at_ms(0)).alias(metric("m1")).value() > AliasTable::kMost);
}

TEST_CASE("aliases: are bounded, and names that cannot be kept are refused") {
  const test::TempTree tree;
  AliasTable table = AliasTable::load(path_in(tree)).value();
  for (std::size_t i = 0; i < AliasTable::kMost; ++i)
    REQUIRE(table.alias(metric(fmt::format("m{}", i))));
  const Result<std::uint64_t> beyond = table.alias(metric("one more"));
  REQUIRE(beyond.has_error());
  CHECK(beyond.error().code == Code::resource_exhausted);
  CHECK(table.alias(metric("m5")));
  REQUIRE(table.save());
  CHECK(AliasTable::load(path_in(tree)).value().size() == AliasTable::kMost);
  AliasTable other = AliasTable::load(path_in(tree) + "2").value();
  for (const std::string& bad : {std::string(), std::string("a\tb"), std::string("a\nb"), std::string(5'000, 'x')}) {
    const Result<std::uint64_t> refused = other.alias(metric(bad));
    REQUIRE(refused.has_error());
    CHECK(refused.error().code == Code::invalid_argument);
  }
  CHECK(other.alias(metric("a", "d\n")).has_error());
}

TEST_CASE("aliases: what cannot be read or saved is an error") {
  test::TempTree tree;
  tree.folder("aliases");
  CHECK(AliasTable::load(path_in(tree)).has_error());
  AliasTable table = AliasTable::load(tree.path() + "/none/aliases").value();
  CHECK(table.alias(metric("a")));
  CHECK(table.save().has_error());
  CHECK(table.changed());
}
