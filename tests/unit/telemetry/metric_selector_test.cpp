#include "agent/telemetry/metric_selector.hpp"

#include <array>
#include <limits>
#include <map>

#include "tests/harness/catch.hpp"

using namespace omnitide;
using namespace omnitide::telemetry;
using model::MetricType;

namespace {

constexpr std::array<std::string_view, 1> kDevice{"device"};
constexpr std::array<std::string_view, 2> kCpuMode{"cpu", "mode"}, kCgroup{"cgroup", "direction"};
constexpr std::array<std::string_view, 3> kMount{"device", "fstype", "mountpoint"};
constexpr model::MetricDescriptor kLoad{"node_load1", "", "", MetricType::gauge, {}};
constexpr model::MetricDescriptor kReads{"node_disk_reads_completed_total", "", "", MetricType::counter, kDevice};
constexpr model::MetricDescriptor kReceived{"node_network_receive_bytes_total", "bytes", "", MetricType::counter,
                                            kDevice};
constexpr model::MetricDescriptor kCpu{"node_cpu_seconds_total", "seconds", "", MetricType::counter, kCpuMode};
constexpr model::MetricDescriptor kBytes{"omnitide_tcp_bytes_total", "bytes", "", MetricType::counter, kCgroup};
constexpr model::MetricDescriptor kRtt{"omnitide_tcp_rtt_seconds", "seconds", "", MetricType::histogram,
                                       std::span(kCgroup).first(1)};
constexpr model::MetricDescriptor kPods{"omnitide_gauge", "", "", MetricType::gauge, std::span(kCgroup).first(1)};
constexpr model::MetricDescriptor kSize{"node_filesystem_size_bytes", "bytes", "", MetricType::gauge, kMount};
constexpr model::MetricDescriptor kSummary{"a_summary_seconds", "seconds", "", MetricType::summary, {}};

MetricSelection all() {
  MetricSelection out = default_selection();
  out.include = {"*"};
  out.exclude.clear();
  return out;
}

std::map<std::string, NamedMetric> by_name(const std::vector<NamedMetric>& metrics) {
  std::map<std::string, NamedMetric> out;
  for (const NamedMetric& metric : metrics) {
    const std::string key = (metric.device.empty() ? "" : metric.device + " ") + metric.name;
    CHECK(out.emplace(key, metric).second);  // each name once
  }
  return out;
}

std::map<std::string, NamedMetric> select(MetricSelector& selector, const model::SampleBatch& batch) {
  const std::array batches{&batch};
  return by_name(selector.select(batches));
}

}  // namespace

TEST_CASE("selector: disks and interfaces are devices, whose label leaves the name") {
  MetricSelector selector(default_selection());
  model::SampleBatch batch;
  batch.add(kLoad, 0.5);
  batch.add(kReads, 10, {"sda"});
  batch.add(kReads, 20, {"nvme0n1"});
  batch.add(kReceived, 5e9, {"eth0"});
  const auto got = select(selector, batch);
  REQUIRE(got.size() == 4);
  CHECK(got.at("node_load1").value == MetricValue{0.5});
  CHECK(got.at("node_load1").type == DataType::double_);
  CHECK(got.at("disk:sda node_disk_reads_completed_total").value == MetricValue{std::uint64_t{10}});
  CHECK(got.at("disk:nvme0n1 node_disk_reads_completed_total").value == MetricValue{std::uint64_t{20}});
  CHECK(got.at("nic:eth0 node_network_receive_bytes_total").unit == "bytes");
  CHECK(got.at("nic:eth0 node_network_receive_bytes_total").type == DataType::uint64);
}

TEST_CASE("selector: interfaces of pods and containers, and loop devices, are left out") {
  MetricSelector selector(default_selection());
  model::SampleBatch batch;
  for (const char* const name : {"lo", "veth12ab", "cali0123", "docker0", "br-1234", "cni0", "flannel.1", "lxc1"})
    batch.add(kReceived, 1, {name});
  for (const char* const name : {"loop0", "ram1", "zram0"})
    batch.add(kReads, 1, {name});
  CHECK(select(selector, batch).empty());
  for (const model::SampleView& sample : batch.views())
    CHECK_FALSE(selector.takes(sample));
  batch.add(kReceived, 1, {"eth0"});
  CHECK(selector.takes(batch.views().back()));
}

TEST_CASE("selector: CPUs and cgroups add up, so that their coming and going changes no name") {
  MetricSelector selector(default_selection());
  model::SampleBatch batch;
  for (const char* const cpu : {"0", "1", "2"}) {
    batch.add(kCpu, 1.5, {cpu, "idle"});
    batch.add(kCpu, 2.0, {cpu, "user"});
  }
  batch.add(kBytes, 7, {"/pods/a", "received"});
  batch.add(kBytes, 8, {"/pods/b", "received"});
  batch.add(kBytes, 9, {"other", "sent"});
  batch.add(kPods, 1, {"/pods/a"});
  const auto got = select(selector, batch);
  REQUIRE(got.size() == 4);
  CHECK(got.at("node_cpu_seconds_total/mode=idle").value == MetricValue{4.5});
  CHECK(got.at("node_cpu_seconds_total/mode=user").value == MetricValue{6.0});  // seconds stay double
  CHECK(got.at("omnitide_tcp_bytes_total/direction=received").value == MetricValue{std::uint64_t{15}});
  CHECK(got.at("omnitide_tcp_bytes_total/direction=sent").value == MetricValue{std::uint64_t{9}});
}

TEST_CASE("selector: a gauge with a label that adds up is left out") {
  MetricSelector selector(all());
  model::SampleBatch batch;
  batch.add(kPods, 1, {"/pods/a"});
  CHECK(select(selector, batch).empty());
  CHECK_FALSE(selector.takes(batch.views()[0]));
}

TEST_CASE("selector: include and exclude by family or by whole name") {
  MetricSelection selection;
  selection.include = {"node_load*", "node_cpu_seconds_total/*/mode=idle", "node_filesystem_*"};
  selection.exclude = {"node_filesystem_*/mountpoint=%2Fvar%2F*", "node_load5"};
  MetricSelector selector(selection);
  model::SampleBatch batch;
  batch.add(kLoad, 1);
  batch.add(batch.describe({"node_load5", "", "", MetricType::gauge, {}}), 1);
  batch.add(kCpu, 1, {"0", "idle"});
  batch.add(kCpu, 1, {"0", "user"});
  batch.add(kSize, 1, {"/dev/sda1", "ext4", "/"});
  batch.add(kSize, 1, {"/dev/sda2", "ext4", "/var/lib"});
  batch.add(kReads, 1, {"sda"});
  const auto got = select(selector, batch);
  CHECK(got.size() == 3);
  CHECK(got.contains("node_load1"));
  CHECK(got.contains("node_cpu_seconds_total/cpu=0/mode=idle"));
  CHECK(got.contains("node_filesystem_size_bytes/device=%2Fdev%2Fsda1/fstype=ext4/mountpoint=%2F"));
  std::size_t taken = 0;
  for (const model::SampleView& sample : batch.views())
    taken += selector.takes(sample) ? 1U : 0U;
  CHECK(taken == 3);
}

TEST_CASE("selector: a counter with fractions is double from then on") {
  MetricSelector selector(all());
  constexpr model::MetricDescriptor kJoules{"a_joules_total", "joules", "", MetricType::counter, {}};
  const auto once = [&selector, &kJoules](double value) {
    model::SampleBatch batch;
    batch.add(kJoules, value);
    return select(selector, batch).at("a_joules_total");
  };
  CHECK(once(3).value == MetricValue{std::uint64_t{3}});
  CHECK(once(3.5).value == MetricValue{3.5});
  CHECK(once(4).value == MetricValue{4.0});
  CHECK(once(4).type == DataType::double_);
}

TEST_CASE("selector: what is no finite number is null") {
  MetricSelector selector(all());
  model::SampleBatch batch;
  batch.add(kLoad, std::numeric_limits<double>::quiet_NaN());
  batch.add(kReads, std::numeric_limits<double>::infinity(), {"sda"});
  batch.add(kReceived, -1, {"eth0"});
  const auto got = select(selector, batch);
  CHECK(got.at("node_load1").value == MetricValue{});
  CHECK(got.at("disk:sda node_disk_reads_completed_total").value == MetricValue{});
  CHECK(got.at("nic:eth0 node_network_receive_bytes_total").value == MetricValue{-1.0});
}

TEST_CASE("selector: a histogram gives count and sum, and p50 and p99 of what came since the last collection") {
  MetricSelector selector(default_selection());
  const auto once = [&selector](std::array<double, 3> below, double sum) {
    model::SampleBatch batch;
    const std::array<model::Distribution::Point, 3> points{{{1, below[0]}, {2, below[1]}, {4, below[2]}}};
    for (const char* const cgroup : {"/a", "/b"})
      batch.add(kRtt, model::Distribution{points, sum, below[2]}, std::array<std::string_view, 1>{cgroup});
    return select(selector, batch);
  };
  auto got = once({0, 10, 10}, 15);
  REQUIRE(got.size() == 4);
  CHECK(got.at("omnitide_tcp_rtt_seconds/count").value == MetricValue{std::uint64_t{20}});
  CHECK(got.at("omnitide_tcp_rtt_seconds/sum").value == MetricValue{30.0});
  CHECK(got.at("omnitide_tcp_rtt_seconds/sum").unit == "seconds");
  CHECK(got.at("omnitide_tcp_rtt_seconds/p50").value == MetricValue{1.5});
  got = once({0, 10, 20}, 45);  // ten more, all between 2 and 4
  CHECK(got.at("omnitide_tcp_rtt_seconds/count").value == MetricValue{std::uint64_t{40}});
  CHECK(got.at("omnitide_tcp_rtt_seconds/p50").value == MetricValue{3.0});
  got = once({0, 10, 20}, 45);  // nothing came
  CHECK(got.at("omnitide_tcp_rtt_seconds/p50").value == MetricValue{});
  CHECK(got.at("omnitide_tcp_rtt_seconds/p99").value == MetricValue{});
  got = once({4, 4, 4}, 2);  // begun anew
  CHECK(got.at("omnitide_tcp_rtt_seconds/p50").value == MetricValue{0.5});
}

TEST_CASE("selector: a summary gives its own quantiles") {
  MetricSelector selector(all());
  model::SampleBatch batch;
  const std::array<model::Distribution::Point, 2> points{{{0.5, 1}, {0.999, 7}}};
  batch.add(kSummary, model::Distribution{points, 10, 4}, {});
  const auto got = select(selector, batch);
  CHECK(got.at("a_summary_seconds/p50").value == MetricValue{1.0});
  CHECK(got.at("a_summary_seconds/p99.9").value == MetricValue{7.0});
  CHECK(got.at("a_summary_seconds/sum").value == MetricValue{10.0});
}

TEST_CASE("selector: names of strangers are legal and bounded, and a series that is there twice counts once") {
  MetricSelector selector(all());
  model::SampleBatch batch;
  batch.add(kReads, 1, {"a/+#\n\xff"});
  batch.add(kReads, 2, {std::string(500, 'x')});
  batch.add(kReads, 3, {""});
  batch.add(kLoad, 1);
  batch.add(kLoad, 2);
  constexpr std::array<std::string_view, 1> kText{"text"};
  const auto& wide = batch.describe({"wide", "", "", MetricType::gauge, kText});
  batch.add(wide, 1, {std::string(2'000, 'x')});
  const auto got = select(selector, batch);
  CHECK(got.size() == 2);
  CHECK(got.contains("disk:a%2F%2B%23%0A\xef\xbf\xbd node_disk_reads_completed_total"));
  CHECK(got.at("node_load1").value == MetricValue{1.0});
}

TEST_CASE("selector: metrics beyond the bound are left out and counted") {
  MetricSelection selection = all();
  selection.most = 10;
  MetricSelector selector(selection);
  model::SampleBatch batch;
  for (int i = 0; i < 100; ++i)
    batch.add(kReads, 1, {"sd" + std::to_string(i)});
  CHECK(select(selector, batch).size() == 10);
  CHECK(selector.beyond() == 90);
}

TEST_CASE("selector: the default has no label of pods, containers or cgroups") {
  MetricSelector selector(default_selection());
  model::SampleBatch batch;
  constexpr std::array<std::string_view, 7> kAll{"cgroup",    "unit",         "namespace", "pod",
                                                 "container", "container_id", "pod_uid"};
  for (const char* const family : {"omnitide_scheduler_wait_seconds", "omnitide_process_starts_total",
                                   "omnitide_oom_kills_total", "omnitide_dns_queries_total"}) {
    const auto& descriptor = batch.describe({family, "", "", MetricType::counter, kAll});
    batch.add(descriptor, 1, {"/pods/a", "u", "n", "p", "c", "i", "d"});
    batch.add(descriptor, 1, {"/pods/b", "u", "n", "q", "c", "j", "e"});
  }
  for (const char* const mount : {"/var/lib/kubelet/pods/1/volumes/x", "/run/user/0", "/var/lib/docker/overlay2/1",
                                  "/var/lib/containerd/x", "/etc/hosts"})
    batch.add(kSize, 1, {"/dev/sda1", "ext4", mount});
  batch.add(kSize, 1, {"tmpfs", "tmpfs", "/dev/shm"});
  batch.add(kSize, 1, {"overlay", "overlay", "/x"});
  const auto got = select(selector, batch);
  CHECK(got.size() == 4);
  for (const auto& [name, metric] : got)
    CHECK(name.find('/') == std::string::npos);
}
