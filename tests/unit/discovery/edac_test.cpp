#include "discovery/sources/catalogue.hpp"
#include "tests/harness/catch.hpp"
#include "tests/harness/fixture.hpp"
#include "tests/harness/reading.hpp"

using namespace omnitide;
using namespace omnitide::discovery;
using omnitide::test::Outcome;
using omnitide::test::read_source;
using omnitide::test::TempTree;

TEST_CASE("EDAC controllers are facts, their error counts are node_exporter's samples") {
  const Outcome read = read_source(edac_source(), test::fixture("server-numa"));
  CHECK(read.problems.empty());
  REQUIRE(read.facts.memory.edac.size() == 2);
  CHECK(read.facts.memory.edac[1] == model::EdacController{"mc1", "Intel_10nm Socket#1 IMC#0", 64ULL << 30U});
  CHECK(read.sample("node_edac_correctable_errors_total", {"1"}) == 3.0);
  CHECK(read.sample("node_edac_uncorrectable_errors_total", {"1"}) == 0.0);
  CHECK(read.sample("node_edac_csrow_correctable_errors_total", {"1", "unknown"}) == 1.0);
  CHECK(read.sample("node_edac_csrow_correctable_errors_total", {"1", "0"}) == 2.0);
}

TEST_CASE("a node without EDAC has a complete and empty report") {
  const Outcome read = read_source(edac_source(), test::fixture("sbc-arm64"));
  CHECK(read.problems.empty());
  CHECK(read.samples.empty());
  CHECK(read.facts == model::NodeFacts{});
}

TEST_CASE("a count that cannot be read is a problem and no zero") {
  TempTree tree("server-numa");
  tree.folder("sys/devices/system/edac/mc/mc0/ce_count");
  const Outcome read = read_source(edac_source(), tree.root());
  CHECK(read.complains_about("mc0/ce_count"));
  CHECK_FALSE(read.sample("node_edac_correctable_errors_total", {"0"}).has_value());
  CHECK(read.sample("node_edac_correctable_errors_total", {"1"}) == 3.0);
  CHECK(read.facts.memory.edac.size() == 2);
}
