// What a round without changes costs: counted by an allocator of this program's own.
#include <atomic>
#include <cstdlib>
#include <new>

#include "agent/telemetry/report.hpp"
#include "tests/harness/catch.hpp"
#include "tests/harness/sparkplug_edge.hpp"

namespace {

std::atomic<std::size_t> allocations = 0;

}  // namespace

// NOLINTBEGIN: replacements of the global operators
void* operator new(std::size_t size) {
  ++allocations;
  if (void* const got = std::malloc(size == 0 ? 1 : size)) return got;
  throw std::bad_alloc();
}
void* operator new(std::size_t size, const std::nothrow_t&) noexcept {
  ++allocations;
  return std::malloc(size == 0 ? 1 : size);
}
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }
// NOLINTEND

TEST_CASE("report: a round without changes allocates nothing") {
  using namespace omnitide;
  using namespace omnitide::telemetry;
  ReportByException report(parse_dead_bands(default_dead_bands()).value(), std::chrono::minutes(5));
  std::vector<KnownMetric> all;
  for (std::uint64_t i = 0; i < 300; ++i)
    all.push_back(test::known(i, i % 2 == 0 ? "" : "disk:a-device-with-a-long-name",
                              "node_a_metric_with_a_long_name_" + std::to_string(i), 1.0 * static_cast<double>(i)));
  const WallTime start = test::at_ms(1'700'000'000'000);
  CHECK(report.changes(all, start).size() == 2);
  const std::size_t before = allocations;
  const bool quiet = report.changes(all, start + std::chrono::seconds(10)).empty();
  const std::size_t during = allocations - before;
  CHECK(quiet);
  CHECK(during == 0);
}
