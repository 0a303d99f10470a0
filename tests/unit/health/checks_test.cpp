// Each check sees its fault, names it, and clears it.
#include "health/checks/checks.hpp"

#include <algorithm>
#include <set>

#include "agent/model/collector_settings.hpp"
#include "discovery/collectors/catalogue.hpp"
#include "health/checks/forecast.hpp"
#include "health/checks/probes.hpp"
#include "tests/harness/catch.hpp"
#include "tests/harness/fixture.hpp"
#include "tests/harness/measured.hpp"

using namespace omnitide;
using namespace std::chrono_literals;
using health::Check;
using health::Finding;
using health::Verdict;
using test::Measured;

namespace {

Check check(std::string_view name, const std::vector<std::string>& suspects = {}) {
  for (Check& each : health::node_checks({}, suspects))
    if (each.name == name) return std::move(each);
  throw std::runtime_error("no such check");
}

Measured disk(double available, double readonly = 0, double inodes = 900, const char* mountpoint = "/var") {
  Measured out;
  const Measured::Labels labels{{"device", "sda1"}, {"fstype", "ext4"}, {"mountpoint", mountpoint}};
  out.add("node_filesystem_avail_bytes", available, labels)
      .add("node_filesystem_size_bytes", 1000, labels)
      .add("node_filesystem_files_free", inodes, labels)
      .add("node_filesystem_files", 1000, labels)
      .add("node_filesystem_readonly", readonly, labels);
  return out;
}

Measured use(std::string_view used, double count, std::string_view limit, double bound) {
  Measured out;
  out.add(used, count).add(limit, bound);
  return out;
}

// Of two values of the same: first fine, then faulty, then fine again.
void goes_and_comes(Check& each, const Measured& fine, const Measured& fault, const std::string& reason) {
  REQUIRE(each.evaluate(fine.at(0s)).verdict == Verdict::good);
  const Finding found = each.evaluate(fault.at(15s));
  REQUIRE(found.verdict == Verdict::bad);
  REQUIRE(found.reason == reason);
  REQUIRE(found.check == each.name);
  REQUIRE(found.condition == each.condition);
  REQUIRE_FALSE(found.message.empty());
  REQUIRE_FALSE(found.evidence.empty());
  REQUIRE(each.evaluate(fine.at(30s)).verdict == Verdict::good);
  REQUIRE(each.evaluate(Measured().at(45s)).verdict == Verdict::unknown);
}

}  // namespace

TEST_CASE("a filesystem without space or inodes is pressure on the disk") {
  Check space = check("disk-space"), inodes = check("disk-inodes");
  goes_and_comes(space, disk(500), disk(99), "DiskSpaceLow");
  goes_and_comes(inodes, disk(500), disk(500, 0, 49), "DiskInodesLow");
  // A read-only one is as full as it was made.
  REQUIRE(space.evaluate(disk(0, 1).at(60s)).verdict == Verdict::unknown);
}

TEST_CASE("a disk that fills up is told of before it is full") {
  Check space = check("disk-space");
  Finding last;
  for (int minute = 0; minute <= 30; ++minute)  // 900, less by 10 a minute: 60 minutes are left of 600
    last = space.evaluate(disk(900 - 10.0 * minute).at(std::chrono::minutes(minute)));
  REQUIRE(last.reason == "DiskWillBeFull");
  REQUIRE(last.message == "/var will be full in 1h if it goes on like this");
  for (int minute = 31; minute <= 80; ++minute)
    last = space.evaluate(disk(600).at(std::chrono::minutes(minute)));
  REQUIRE(last.verdict == Verdict::good);
}

TEST_CASE("no forecast is made of noise, of growth, or of a short while") {
  health::Forecast noise, growth, brief;
  const SteadyTime start = SteadyTime{} + 1h;
  for (int i = 0; i < 40; ++i) {
    noise.add(500 + (i % 2 == 0 ? 200 : -200) - i * 0.5, start + std::chrono::minutes(i));
    growth.add(500 + i, start + std::chrono::minutes(i));
    if (i < 9) brief.add(500 - 50 * i, start + std::chrono::minutes(i));
  }
  REQUIRE_FALSE(noise.lasts());
  REQUIRE_FALSE(growth.lasts());
  REQUIRE_FALSE(brief.lasts());
}

TEST_CASE("a filesystem that becomes read-only is a fault, one that was so from the start is none") {
  Check turned = check("readonly"), always = check("readonly"), known = check("readonly", {"/var"});
  goes_and_comes(turned, disk(500), disk(500, 1), "FilesystemIsReadOnly");
  REQUIRE(always.evaluate(disk(500, 1).at(0s)).verdict == Verdict::good);
  REQUIRE(known.evaluate(disk(500, 1).at(0s)).verdict == Verdict::bad);  // an earlier run saw it turn
}

TEST_CASE("little memory, and time lost for want of it, are pressure on memory") {
  const auto memory = [](double available, double stalled) {
    Measured out;
    out.add("node_memory_MemAvailable_bytes", available)
        .add("node_memory_MemTotal_bytes", 1000)
        .add("node_pressure_memory_stalled_seconds_total", stalled);
    return out;
  };
  Check low = check("memory"), stall = check("memory");
  goes_and_comes(low, memory(500, 1), memory(40, 1), "MemoryLow");
  goes_and_comes(stall, memory(500, 1), memory(500, 4), "MemoryStalls");  // 3 s of 15
}

TEST_CASE("what runs out is told of before it has") {
  Check processes = check("processes"), files = check("open-files"), conntrack = check("conntrack");
  goes_and_comes(processes, use(health::kTasks, 100, health::kTasksLimit, 1000),
                 use(health::kTasks, 950, health::kTasksLimit, 1000), "TooManyProcesses");
  goes_and_comes(files, use("node_filefd_allocated", 10, "node_filefd_maximum", 100),
                 use("node_filefd_allocated", 99, "node_filefd_maximum", 100), "TooManyOpenFiles");
  goes_and_comes(conntrack, use("node_nf_conntrack_entries", 10, "node_nf_conntrack_entries_limit", 100),
                 use("node_nf_conntrack_entries", 95, "node_nf_conntrack_entries_limit", 100), "ConntrackTableFull");
}

TEST_CASE("routes, name servers, links and the clock") {
  const auto routes = [](double four, double six) {
    Measured out;
    out.add(health::kDefaultRoutes, four, {{"family", "ipv4"}}).add(health::kDefaultRoutes, six, {{"family", "ipv6"}});
    return out;
  };
  Check route = check("default-route"), none = check("default-route");
  goes_and_comes(route, routes(1, 0), routes(0, 0), "NoDefaultRoute");
  REQUIRE(none.evaluate(routes(0, 0).at(0s)).verdict == Verdict::good);  // it never had one
  REQUIRE(route.evaluate(routes(0, 1).at(60s)).verdict == Verdict::good);

  Check resolver = check("resolver"), link = check("link-errors"), carrier = check("carrier"), clock = check("clock");
  goes_and_comes(resolver, Measured().add(health::kNameServers, 2), Measured().add(health::kNameServers, 0),
                 "NoNameServer");
  const auto errors = [](double count) {
    return Measured().add("node_network_receive_errs_total", count, {{"device", "eth0"}});
  };
  REQUIRE(link.evaluate(errors(5).at(0s)).verdict == Verdict::good);
  REQUIRE(link.evaluate(errors(5 + 15 * 11).at(15s)).reason == "LinkErrors");
  REQUIRE(link.evaluate(errors(5 + 15 * 11).at(30s)).verdict == Verdict::good);
  const auto carried = [](double value) { return Measured().add("node_network_carrier", value, {{"device", "eth0"}}); };
  REQUIRE(check("carrier").evaluate(carried(0).at(0s)).verdict == Verdict::good);  // never had one
  goes_and_comes(carrier, carried(1), carried(0), "CarrierLost");
  const auto changes = [](double count) {
    return Measured().add("node_network_carrier_changes_total", count, {{"device", "eth0"}});
  };
  Check flaps = check("link-flaps");
  REQUIRE(flaps.evaluate(changes(7).at(0s)).verdict == Verdict::good);
  REQUIRE(flaps.evaluate(changes(8).at(15s)).verdict == Verdict::good);
  REQUIRE(flaps.evaluate(changes(10).at(30s)).reason == "LinkFlaps");
  REQUIRE(flaps.evaluate(changes(10).at(45s)).verdict == Verdict::good);
  const auto timex = [](double synchronised, double offset, double uncertain = 1.1) {
    return Measured()
        .add("node_timex_sync_status", synchronised)
        .add("node_timex_offset_seconds", offset)
        .add("node_timex_maxerror_seconds", uncertain);
  };
  goes_and_comes(clock, timex(1, 0.001), timex(0, 0), "ClockNotSynchronised");
  goes_and_comes(clock, timex(1, 0.001), timex(1, -2), "ClockOff");
  goes_and_comes(clock, timex(1, 0.001), timex(1, 0.001, 3.5), "ClockUncertain");
}

TEST_CASE("memory errors, temperatures, certificates and the agent itself") {
  const auto edac = [](double errors) {
    return Measured().add("node_edac_uncorrectable_errors_total", errors, {{"controller", "0"}});
  };
  const auto hot = [](double celsius, double critical) {
    return Measured()
        .add("node_hwmon_temp_celsius", celsius, {{"chip", "cpu"}, {"sensor", "temp1"}})
        .add("node_hwmon_temp_crit_celsius", critical, {{"chip", "cpu"}, {"sensor", "temp1"}});
  };
  const auto certificate = [](double seconds) {
    return Measured().add(health::kCertificateSeconds, seconds, {{"certificate", "node"}});
  };
  const auto agent = [](double lag, double bytes) {
    return Measured().add(health::kLoopLag, lag).add(health::kAgentBytes, bytes);
  };
  Check memory = check("memory-errors"), temperature = check("temperature"), expiry = check("certificates"),
        self = check("agent");
  goes_and_comes(memory, edac(0), edac(1), "UncorrectableMemoryErrors");
  goes_and_comes(temperature, hot(60, 80), hot(81, 80), "TemperatureCritical");
  REQUIRE(temperature.evaluate(hot(60, 5).at(90s)).verdict == Verdict::good);  // a limit that is nonsense
  goes_and_comes(expiry, certificate(90 * 86400), certificate(86400), "CertificateExpires");
  REQUIRE(expiry.evaluate(certificate(-5).at(90s)).reason == "CertificateExpired");
  const auto daily = [&certificate](double seconds) {  // one that is made for a day
    return certificate(seconds).add(health::kCertificateLifetime, 86400, {{"certificate", "node"}});
  };
  goes_and_comes(expiry, daily(86399), daily(20000), "CertificateExpires");
  REQUIRE(expiry.evaluate(daily(22000).at(90s)).verdict == Verdict::good);
  // Of half an hour, made five minutes ago by its own word; it may be renewed when 0.283 of it are left.
  const auto brief = [&certificate](double seconds) {
    return certificate(seconds)
        .add(health::kCertificateLifetime, 35 * 60, {{"certificate", "node"}})
        .add(health::kCertificateRenewal, 0.283 * 30 * 60, {{"certificate", "node"}});
  };
  goes_and_comes(expiry, brief(0.283 * 30 * 60), brief(380), "CertificateExpires");
  REQUIRE(expiry.evaluate(brief(385).at(90s)).verdict == Verdict::good);
  const auto silence = [](double seconds) { return Measured().add(health::kRegistrySilence, seconds); };
  Check registry = check("registry");
  REQUIRE(registry.evaluate(Measured().at(0s)).verdict == Verdict::unknown);
  goes_and_comes(registry, silence(31), silence(301), "RegistrySilent");
  goes_and_comes(self, agent(0.01, 1e6), agent(3, 1e6), "LoopLags");
  goes_and_comes(self, agent(0.01, 1e6), agent(0, 1e9), "AgentMemoryHigh");
}

TEST_CASE("the probes read their files under a root") {
  test::TempTree tree;
  tree.file("proc/loadavg", "0.1 0.2 0.3 2/345 6789\n")
      .file("proc/sys/kernel/pid_max", "4194304\n")
      .file("proc/sys/kernel/threads-max", "1000\n")
      .file("sys/fs/ext4/sda1/errors_count", "3\n")
      .file("sys/fs/ext4/features/lazy_itable_init", "supported\n")
      .file("etc/resolv.conf", "# nameserver 9.9.9.9\nnameserver 10.0.0.1\nsearch example\nnameserver ::1\n")
      .file("proc/net/route",
            "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT\n"
            "eth0\t00000000\t0100000A\t0003\t0\t0\t100\t00000000\t0\t0\t0\n"
            "eth0\t00000000\t00000000\t0201\t0\t0\t100\t00000000\t0\t0\t0\n"
            "eth0\t0000000A\t00000000\t0001\t0\t0\t100\t000000FF\t0\t0\t0\n")
      .file("proc/net/ipv6_route", std::string(32, '0') + " 00 " + std::string(32, '0') + " 00 " +
                                       std::string(32, '0') + " ffffffff 00000001 00000000 00200200 lo\n");
  model::SampleBatch batch;
  for (const model::Collector& probe : health::probes(tree.root()))
    REQUIRE(probe.collect(batch));
  const model::SampleBatch* view = &batch;
  const health::Readings readings({&view, 1}, SteadyTime{});
  REQUIRE(readings.value(health::kTasks) == 345);
  REQUIRE(readings.value(health::kTasksLimit) == 1000);
  REQUIRE(readings.value(health::kFilesystemErrors, "device", "sda1") == 3);
  REQUIRE(readings.value(health::kDefaultRoutes, "family", "ipv4") == 1);
  REQUIRE(readings.value(health::kDefaultRoutes, "family", "ipv6") == 0);
  REQUIRE(readings.value(health::kNameServers) == 2);
  Check errors = check("filesystem-errors");
  REQUIRE(errors.evaluate(readings).reason == "FilesystemHasErrors");
}

TEST_CASE("every collector that a check needs exists, and this machine answers the checks that each machine can") {
  const Root root = *Root::open("/");
  std::vector<model::Collector> collectors = discovery::node_collectors(root, model::CollectorSettings());
  for (model::Collector& probe : health::probes(root))
    collectors.push_back(std::move(probe));
  model::SampleBatch batch;
  std::set<std::string, std::less<>> needed;
  const std::vector<Check> checks = health::node_checks({}, {});
  for (const Check& each : checks)
    for (const std::string& name : each.collectors) {
      INFO(each.name << " needs " << name);
      REQUIRE(std::ranges::find(collectors, name, &model::Collector::name) != collectors.end());
      needed.insert(name);
    }
  for (const model::Collector& collector : collectors)
    if (needed.contains(collector.name)) (void)collector.collect(batch);
  const model::SampleBatch* view = &batch;
  const health::Readings readings({&view, 1}, std::chrono::steady_clock::now());
  for (const char* name : {"memory", "processes", "open-files", "clock", "default-route"}) {
    INFO(name);
    REQUIRE(check(name).evaluate(readings).verdict != Verdict::unknown);
  }
}
