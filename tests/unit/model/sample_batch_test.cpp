#include "agent/model/sample_batch.hpp"

#include <array>
#include <string>

#include "tests/harness/catch.hpp"

using namespace omnitide::model;

namespace {
constexpr std::array<std::string_view, 2> kLabels{"device", "mode"};
constexpr MetricDescriptor kDisk{"omnitide_disk_bytes", "bytes", "Bytes.", MetricType::gauge, kLabels};
constexpr MetricDescriptor kPlain{"omnitide_things_total", "", "Things.", MetricType::counter, {}};
constexpr MetricDescriptor kTimes{"omnitide_times_seconds", "seconds", "Times.", MetricType::histogram, {}};
}  // namespace

TEST_CASE("a batch keeps what was added, in order, also when the caller's texts are gone") {
  SampleBatch batch;
  for (int i = 0; i < 1000; ++i) {
    const std::string device = "sd" + std::to_string(i);
    batch.add(kDisk, i, {device, "read"});
  }
  batch.add(kPlain, 7);
  REQUIRE(batch.size() == 1001);
  CHECK(batch.views()[999].labels[0] == "sd999");
  CHECK(batch.views()[999].labels[1] == "read");
  CHECK(batch.views()[999].value == 999);
  CHECK(batch.views()[1000].descriptor == &kPlain);
  CHECK(batch.views()[1000].labels.empty());
}

TEST_CASE("a sample with another number of labels than its descriptor is counted and left out") {
  SampleBatch batch;
  batch.add(kDisk, 1, {"sda"});
  batch.add(kPlain, 1, {"sda"});
  batch.add(kTimes, Distribution{}, std::span<const std::string_view>(kLabels));
  CHECK(batch.empty());
  CHECK(batch.refused() == 3);
}

TEST_CASE("a distribution is copied with its points") {
  SampleBatch batch;
  {
    std::array<Distribution::Point, 2> points{{{0.5, 1}, {1, 3}}};
    batch.add(kTimes, Distribution{points, 2.25, 4}, {});
    points = {};
  }
  const Distribution* kept = batch.views()[0].distribution;
  REQUIRE(kept != nullptr);
  CHECK(kept->count == 4);
  CHECK(kept->points[1].value == 3);
}

TEST_CASE("described families are one for the same name, type and labels") {
  SampleBatch batch;
  const MetricDescriptor& first = batch.describe({std::string("a_bytes"), "bytes", "x", MetricType::gauge, kLabels});
  const MetricDescriptor& second = batch.describe({"b", "", "x", MetricType::gauge, {}});
  CHECK(&batch.describe({"a_bytes", "bytes", "x", MetricType::gauge, kLabels}) == &first);
  CHECK(&batch.describe({"a_bytes", "bytes", "x", MetricType::counter, kLabels}) != &first);
  CHECK(&batch.describe({"a_bytes", "bytes", "x", MetricType::gauge, {}}) != &first);
  CHECK(first.name == "a_bytes");
  CHECK(first.labels[1] == "mode");
  CHECK(second.name == "b");
}

TEST_CASE("what a failed collector added is taken back, what was there before stays") {
  SampleBatch batch;
  batch.add(kPlain, 1);
  const std::size_t before = batch.size();
  batch.add(kDisk, 2, {"sda", "read"});
  batch.shrink(before);
  REQUIRE(batch.size() == 1);
  CHECK(batch.views()[0].value == 1);
  batch.shrink(10);
  CHECK(batch.size() == 1);
}

TEST_CASE("a cleared batch is empty and takes no more memory for the same again") {
  SampleBatch batch;
  const auto fill = [&batch] {
    for (int i = 0; i < 2000; ++i)
      batch.add(kDisk, i, {"device-" + std::to_string(i), "write"});
  };
  fill();
  const std::size_t memory = batch.memory();
  for (int round = 0; round < 5; ++round) {
    batch.clear();
    CHECK(batch.empty());
    fill();
    CHECK(batch.memory() == memory);
  }
}
