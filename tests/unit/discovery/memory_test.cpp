#include <string>

#include "discovery/sources/catalogue.hpp"
#include "tests/harness/catch.hpp"
#include "tests/harness/fixture.hpp"
#include "tests/harness/reading.hpp"

using namespace omnitide;
using namespace omnitide::discovery;
using omnitide::test::fixture;
using omnitide::test::Outcome;
using omnitide::test::read_source;
using omnitide::test::TempTree;

TEST_CASE("memory of a server: total, installed, swap areas and huge pages of each node") {
  const Outcome read = read_source(memory_source(), fixture("server-numa"));
  const model::MemoryFacts& memory = read.facts.memory;
  CHECK(read.problems.empty());
  CHECK(memory.total_bytes == 131593804ULL * 1024);
  CHECK(memory.installed_bytes == 128ULL << 30U);
  CHECK(memory.swap_bytes == 8388604ULL * 1024);
  REQUIRE(memory.swaps.size() == 2);
  CHECK(memory.swaps[0] == model::SwapArea{"/dev/nvme0n1p3", "partition", 8388604ULL * 1024});
  CHECK(memory.swaps[1] == model::SwapArea{"/var/swap file", "file", 1024 * 1024});
  REQUIRE(memory.huge_pages.size() == 6);
  CHECK(memory.huge_pages[0] == model::HugePages{2U << 20U, std::nullopt, 1536});
  CHECK(memory.huge_pages[2] == model::HugePages{2U << 20U, 1U, 1024});
  CHECK(memory.huge_pages[3] == model::HugePages{1U << 30U, std::nullopt, 8});
  CHECK(memory.huge_pages[5] == model::HugePages{1U << 30U, 1U, 4});
}

TEST_CASE("what changes by itself is a sample and no fact") {
  const Outcome read = read_source(memory_source(), fixture("server-numa"));
  CHECK(read.sample("node_memory_MemAvailable_bytes") == 120000000.0 * 1024);
  CHECK(read.sample("node_memory_SwapFree_bytes") == 8388600.0 * 1024);
  CHECK(read.sample("omnitide_hugepages_free", {"1073741824", "1"}) == 3.0);
  CHECK(read.sample("omnitide_hugepages_free", {"2097152", ""}) == 1000.0);
  TempTree tree("server-numa");
  tree.file("proc/meminfo", "MemTotal: 131593804 kB\nMemAvailable: 1 kB\nSwapTotal: 8388604 kB\nSwapFree: 0 kB\n")
      .file("sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages", "0\n");
  CHECK(read_source(memory_source(), tree.root()).facts == read.facts);
}

TEST_CASE("one NUMA node alone has the whole pool, without a further look") {
  const Outcome read = read_source(memory_source(), fixture("vm-virtio"));
  REQUIRE(read.facts.memory.huge_pages.size() == 2);
  CHECK(read.facts.memory.huge_pages[1] == model::HugePages{2U << 20U, 0U, 16});
  CHECK(read.sample("omnitide_hugepages_free", {"2097152", "0"}) == 12.0);
  CHECK(read.facts.memory.installed_bytes == 0);  // this kernel does not say
}

TEST_CASE("a board without swap and NUMA has neither") {
  const Outcome read = read_source(memory_source(), fixture("sbc-arm64"));
  CHECK(read.problems.empty());
  CHECK(read.facts.memory.total_bytes == 3930064ULL * 1024);
  CHECK(read.facts.memory.swaps.empty());
  REQUIRE(read.facts.memory.huge_pages.size() == 4);
  CHECK(read.facts.memory.huge_pages[3] == model::HugePages{1U << 30U, std::nullopt, 0});
}

TEST_CASE("a line of swaps that is damaged takes no other away") {
  TempTree tree("server-numa");
  tree.file("proc/swaps", "Filename Type Size Used Priority\n/dev/a partition x 0 0\n/dev/b partition 8 0 0\n");
  const Outcome read = read_source(memory_source(), tree.root());
  REQUIRE(read.facts.memory.swaps.size() == 1);
  CHECK(read.facts.memory.swaps[0].path == "/dev/b");
  CHECK(read.complains_about("/proc/swaps"));
}

TEST_CASE("a tree without memory is an error") {
  const TempTree tree;
  CHECK(memory_source().read(tree.root()).error().code == Code::not_found);
}
