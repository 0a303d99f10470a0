// The default set on a machine that has every sort of hardware that a collector knows.
#include <algorithm>
#include <array>
#include <map>

#include "agent/telemetry/metric_name.hpp"
#include "agent/telemetry/metric_selector.hpp"
#include "discovery/collectors/catalogue.hpp"
#include "tests/harness/catch.hpp"
#include "tests/harness/collector_tree.hpp"

using namespace omnitide;
using namespace omnitide::telemetry;

TEST_CASE("default set: under 300 metrics, all names legal, nothing of pods, and the hardware as devices") {
  test::TempTree tree;
  test::build_collector_tree(tree);
  model::SampleBatch batch;
  const std::vector<model::Collector> collectors = discovery::node_collectors(tree.root(), model::CollectorSettings{});
  for (const model::Collector& collector : collectors) {
    const std::size_t before = batch.size();
    if (collector.collect(batch).has_error()) batch.shrink(before);
  }
  REQUIRE(batch.size() > 800);
  MetricSelector selector(default_selection());
  const std::array batches{&std::as_const(batch)};
  const std::vector<NamedMetric> metrics = selector.select(batches);
  std::map<std::string, std::size_t> devices;
  std::size_t raids = 0;
  for (const NamedMetric& metric : metrics) {
    INFO(metric.device << " " << metric.name);
    ++devices[metric.device];
    raids += metric.device.starts_with("disk:md") ? 1U : 0U;
    CHECK((metric.device.empty() || is_sparkplug_id(metric.device)));
    CHECK(metric.name.find_first_of("+#\n") == std::string::npos);
    for (const char* const passing : {"veth", "cgroup", "pod", "docker", "container", "kubelet", "cpu="})
      CHECK(metric.name.find(passing) == std::string::npos);
  }
  CHECK(metrics.size() - raids > 80);
  CHECK(metrics.size() - raids < 300);  // the tree has nine RAIDs more than a usual machine
  CHECK(selector.beyond() == 0);
  for (const char* const device : {"disk:sda", "disk:nvme0n1", "disk:md3", "nic:eth0"}) {
    INFO(device);
    CHECK(devices.contains(device));
  }
  CHECK_FALSE(devices.contains("disk:ram0"));
  CHECK_FALSE(devices.contains("nic:lo"));
}
