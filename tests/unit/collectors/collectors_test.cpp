// The collectors on a tree of files: what the comparison with node_exporter (tests/integration/node_exporter) does not
// show, since that one is not always there. Values were worked out by hand from tests/harness/collector_tree.hpp.
#include <unistd.h>

#include "discovery/collectors/catalogue.hpp"
#include "tests/harness/batches.hpp"
#include "tests/harness/catch.hpp"
#include "tests/harness/collector_tree.hpp"

using namespace omnitide;
using namespace omnitide::test;

namespace {

model::CollectorSettings settings_with(std::initializer_list<std::pair<std::string_view, std::string>> values) {
  model::CollectorSettings out;
  out.on.fill(true);
  for (const auto& [name, value] : values)
    for (std::size_t i = 0; i < out.values.size(); ++i)
      if (model::kCollectorFlags.at(i).name == name) out.values.at(i) = value;
  return out;
}

struct Tree {
  TempTree files;
  Tree() { build_collector_tree(files); }
  [[nodiscard]] Scrape collect(std::initializer_list<std::pair<std::string_view, std::string>> values = {}) const {
    std::vector<model::Collector> all = discovery::node_collectors(files.root(), settings_with(values));
    std::erase_if(all, [](const model::Collector& each) { return each.name == "systemd"; });
    return collect_all(all);
  }
};

double at(const Scrape& scrape, const std::string& series) {
  const auto family = scrape.find(series.substr(0, series.find('{')));
  INFO(series);
  REQUIRE(family != scrape.end());
  REQUIRE(family->second.series.contains(series));
  return family->second.series.at(series);
}

}  // namespace

TEST_CASE("every collector of the catalogue is in the list of switches, and the other way round") {
  const TempTree empty;
  std::set<std::string_view> made;
  for (const model::Collector& each : discovery::node_collectors(empty.root(), settings_with({}))) {
    CHECK(made.insert(each.name).second);
    CHECK(each.deadline.count() > 0);
    CHECK_FALSE(each.source.empty());
  }
  CHECK(made.size() == model::kCollectorSwitches.size());
  for (const model::CollectorSwitch& each : model::kCollectorSwitches) {
    CAPTURE(each.name);
    CHECK(made.contains(each.name));
  }
}

TEST_CASE("descriptors of all collectors are well formed and agree with each other") {
  const TempTree empty;
  std::map<std::string_view, const model::MetricDescriptor*> seen;
  for (const model::Collector& each : discovery::node_collectors(empty.root(), settings_with({}))) {
    for (const model::MetricDescriptor* family : each.descriptors) {
      CAPTURE(family->name);
      CHECK(family->name.starts_with("node_"));
      CHECK(family->help.ends_with('.'));
      if (family->name.ends_with("_total") && family->type != model::MetricType::counter)
        CHECK(family->name == "node_systemd_socket_refused_connections_total");  // a gauge in node_exporter
      const auto [known, fresh] = seen.emplace(family->name, family);
      if (!fresh) CHECK(known->second->type == family->type);
    }
  }
  CHECK(seen.size() > 250);
}

TEST_CASE("values have the units that their names say") {
  const Tree tree;
  const Scrape got = tree.collect();
  CHECK(at(got, "node_memory_MemTotal_bytes") == 16042172.0 * 1024);
  CHECK(at(got, "node_memory_HugePages_Total") == 3);
  CHECK(at(got, "node_cpu_seconds_total{cpu=\"1\",mode=\"system\"}") == 164.74);
  CHECK(at(got, "node_disk_read_bytes_total{device=\"sda\"}") == 1003346126.0 * 512);
  CHECK(at(got, "node_disk_flush_requests_time_seconds_total{device=\"nvme0n1\"}") == Approx(0.034));
  CHECK(at(got, "node_pressure_io_stalled_seconds_total") == Approx(159.229614));
  CHECK(at(got, "node_schedstat_running_seconds_total{cpu=\"1\"}") == Approx(1904686.152592476));
  CHECK(at(got, "node_hwmon_temp_celsius{chip=\"platform_coretemp_0\",sensor=\"temp1\"}") == 55);
  CHECK(at(got, "node_thermal_zone_temp{type=\"bcm2835_thermal\",zone=\"0\"}") == 49.925);
  CHECK(at(got, "node_power_supply_energy_watthour{power_supply=\"BAT0\"}") == 36.58);
  CHECK(at(got, "node_rapl_package_joules_total{index=\"0\",path=\"/sys/class/powercap/intel-rapl:0\"}") ==
        240422.366267);
  CHECK(at(got, "node_network_speed_bytes{device=\"eth0\"}") == 125'000'000);
  CHECK(at(got, "node_sockstat_TCP_mem_bytes") == static_cast<double>(::sysconf(_SC_PAGESIZE)));
  CHECK(at(got, "node_infiniband_port_data_received_bytes_total{device=\"mlx4_0\",port=\"1\"}") == 2221223609.0 * 4);
  CHECK_FALSE(
      got.at("node_disk_reads_completed_total").series.contains("node_disk_reads_completed_total{device=\"sda1\"}"));
}

TEST_CASE("newer collectors: hung tasks, watchdogs, multipath") {
  Tree tree;
  put(tree.files, "sys/block/dm-5", {{"size", "209715200"}});
  put(tree.files, "sys/block/dm-5/dm", {{"name", "mpathA"}, {"uuid", "mpath-3600"}, {"suspended", "0"}});
  put(tree.files, "sys/block/dm-0/dm", {{"name", "vg0-lv0"}, {"uuid", "LVM-x"}, {"suspended", "0"}});
  for (const auto& [name, state] : {std::pair<std::string, std::string>{"sdb", "running"}, {"sdc", "offline"}}) {
    tree.files.link("sys/block/dm-5/slaves/" + name, "../../" + name);
    put(tree.files, "sys/block/" + name + "/device", {{"state", state}});
  }
  const Scrape got = tree.collect();
  CHECK(at(got, "node_kernel_hung_tasks_total") == 2);
  CHECK(at(got, "node_watchdog_timeleft_seconds{name=\"watchdog0\"}") == 300);
  CHECK(at(got,
           "node_watchdog_info{identity=\"Software Watchdog\",name=\"watchdog0\",options=\"0x8380\","
           "pretimeout_governor=\"noop\",state=\"active\",status=\"0x8000\"}") == 1);
  CHECK(at(got, "node_dmmultipath_device_size_bytes{device=\"mpathA\",sysfs_name=\"dm-5\"}") == 209715200.0 * 512);
  CHECK(at(got, "node_dmmultipath_device_paths_active{device=\"mpathA\",sysfs_name=\"dm-5\"}") == 1);
  CHECK(at(got, "node_dmmultipath_device_paths_failed{device=\"mpathA\",sysfs_name=\"dm-5\"}") == 1);
  CHECK(at(got, "node_dmmultipath_path_state{device=\"mpathA\",path=\"sdc\",state=\"offline\"}") == 1);
  CHECK(got.at("node_dmmultipath_device_info").series.size() == 1);
}

TEST_CASE("filters choose devices and fields") {
  const Tree tree;
  const Scrape got = tree.collect({{"diskstats.device_exclude", "^(ram|dm-)"},
                                   {"netstat.fields", "^Tcp_"},
                                   {"arp.device_include", "^eth1$"},
                                   {"ipvs.backend_labels", "local_port,proto"},
                                   {"netclass.ignored_devices", "^bond"},
                                   {"rapl.enable_zone_label", "true"}});
  CHECK(got.at("node_disk_io_now").series.contains("node_disk_io_now{device=\"sda1\"}"));
  CHECK_FALSE(got.at("node_disk_io_now").series.contains("node_disk_io_now{device=\"dm-0\"}"));
  CHECK(got.contains("node_netstat_Tcp_MaxConn"));
  CHECK_FALSE(got.contains("node_netstat_Udp_InDatagrams"));
  CHECK(got.at("node_arp_entries").series.size() == 1);
  CHECK(at(got, "node_ipvs_backend_connections_active{local_port=\"3306\",proto=\"TCP\"}") == 496);
  CHECK_FALSE(got.at("node_network_up").series.contains("node_network_up{device=\"bond0\"}"));
  CHECK(at(got, "node_rapl_joules_total{index=\"0\",path=\"/sys/class/powercap/intel-rapl:0:0\",rapl_zone=\"core\"}") ==
        118821.284256);
}

TEST_CASE("CPU counters never step back, but begin anew when a CPU was away") {
  TempTree files;
  const auto write = [&files](int idle, int iowait) {
    std::ofstream(files.path() + "/proc/stat")
        << "cpu  0 0 0 0\ncpu0 10 0 0 " << idle << ' ' << iowait << " 0 0 0 0 0\n";
  };
  files.file("proc/stat", "");
  write(1000, 50);
  std::vector<model::Collector> all = discovery::node_collectors(files.root(), settings_with({}));
  std::erase_if(all, [](const model::Collector& each) { return each.name != "cpu"; });
  const auto value = [&all](const std::string& mode) {
    ::usleep(25'000);  // a reading is shared for 20 ms
    return at(collect_all(all), "node_cpu_seconds_total{cpu=\"0\",mode=\"" + mode + "\"}");
  };
  CHECK(value("iowait") == 0.5);
  write(1000, 40);
  CHECK(value("iowait") == 0.5);
  write(999, 60);
  CHECK(value("iowait") == 0.6);
  CHECK(value("idle") == 10);
  write(100, 1);
  CHECK(value("idle") == 1);
  CHECK(value("iowait") == 0.01);
}

TEST_CASE("text files of other programs: all types, labels that differ, and what is wrong") {
  TempTree files;
  files.file("t/good.prom",
             "# HELP job_seconds How long.\n# TYPE job_seconds histogram\njob_seconds_bucket{le=\"1\"} 2\n"
             "job_seconds_bucket{le=\"+Inf\"} 3\njob_seconds_sum 4.5\njob_seconds_count 3\n# TYPE runs counter\n"
             "runs{job=\"a b\\\"c\"} 1e3\nruns{job=\"b\",site=\"x\"} 2\nno_type -Inf\n");
  files.file("t/bad.prom", "fine 1\nbroken{ 2\n");
  files.file("t/timed.prom", "old 1 1395066363000\n");
  files.file("t/other.txt", "not_read 1\n");
  const auto collect = [&files] {
    std::vector<model::Collector> all =
        discovery::node_collectors(files.root(), settings_with({{"textfile.directory", "/t"}}));
    std::erase_if(all, [](const model::Collector& each) { return each.name != "textfile"; });
    model::SampleBatch batch;
    REQUIRE(all.front().collect(batch));
    Scrape out;
    add_batch(batch, out);
    return out;
  };
  Scrape got = collect();
  CHECK(at(got, "node_textfile_scrape_error") == 1);
  CHECK(got.at("node_textfile_mtime_seconds").series.size() == 1);
  CHECK(got.at("job_seconds").type == "histogram");
  CHECK(got.at("runs").type == "counter");
  CHECK(at(got, "runs{job=\"b\",site=\"x\"}") == 2);
  CHECK(at(got, "runs{job=\"a b\\\"c\"}") == 1000);
  CHECK(std::isinf(at(got, "no_type")));
  CHECK_FALSE(got.contains("fine"));
  CHECK_FALSE(got.contains("old"));
  CHECK_FALSE(got.contains("not_read"));
  files.remove("t/bad.prom").remove("t/timed.prom");
  CHECK(at(collect(), "node_textfile_scrape_error") == 0);
  files.remove("t");
  CHECK(at(collect(), "node_textfile_scrape_error") == 1);
  // The default folder comes with another package: nobody asked for it.
  std::vector<model::Collector> all = discovery::node_collectors(files.root(), model::CollectorSettings{});
  std::erase_if(all, [](const model::Collector& each) { return each.name != "textfile"; });
  CHECK(at(collect_all(all), "node_textfile_scrape_error") == 0);
}
