#include "discovery/sources/catalogue.hpp"
#include "tests/harness/catch.hpp"
#include "tests/harness/fixture.hpp"
#include "tests/harness/readings.hpp"

using namespace omnitide;
using namespace omnitide::discovery;
using namespace omnitide::test;
using model::SensorDevice;
using Names = std::vector<std::string>;

TEST_CASE("TPMs tell their version") {
  CHECK(read_source(platform_source(), fixture("server-numa")).facts.bus.tpms ==
        std::vector<model::TpmFacts>{{"tpm0", "2.0"}});
  CHECK(read_source(platform_source(), fixture("vm-virtio")).facts.bus.tpms ==
        std::vector<model::TpmFacts>{{"tpm0", "1.2"}});
  CHECK(read_source(platform_source(), fixture("sbc-arm64")).facts.bus.tpms.empty());
}

TEST_CASE("watchdog devices tell identity and time-out") {
  CHECK(read_source(platform_source(), fixture("sbc-arm64")).facts.bus.watchdogs ==
        std::vector<model::WatchdogDevice>{{"watchdog0", "Broadcom BCM2835 Watchdog timer", 15}});
}

TEST_CASE("thermal zones and hwmon chips are facts, what they measure are samples in base units") {
  const Reading reading = read_source(platform_source(), fixture("server-numa"));
  CHECK(reading.problems.empty());
  const auto& sensors = reading.facts.bus.sensors;
  CHECK(item(sensors, &SensorDevice::name, "thermal_zone0").type == "x86_pkg_temp");
  CHECK_FALSE(has(sensors, &SensorDevice::name, "cooling_device0"));
  CHECK(item(sensors, &SensorDevice::name, "hwmon0").channels == Names{"temp1", "temp2"});
  CHECK(item(sensors, &SensorDevice::name, "hwmon3").channels == Names{"fan1", "in0", "power1"});
  CHECK(sample(reading, "node_thermal_zone_temp", {"0", "x86_pkg_temp"}) == 47);
  CHECK(sample(reading, "node_hwmon_temp_celsius", {"platform_coretemp_1", "temp1"}) == 47.001);
  CHECK(sample(reading, "node_hwmon_temp_celsius", {"nvme_nvme0", "temp1"}) == 36.85);
  CHECK(sample(reading, "node_hwmon_fan_rpm", {"platform_nct6775_656", "fan1"}) == 1200);
  CHECK(sample(reading, "node_hwmon_in_volts", {"platform_nct6775_656", "in0"}) == 1.808);
  CHECK(sample(reading, "node_hwmon_power_average_watt", {"platform_nct6775_656", "power1"}) == 95);
}

TEST_CASE("another temperature changes samples and no fact") {
  TempTree tree("sbc-arm64");
  const Reading before = read_source(platform_source(), tree.root());
  tree.file("sys/devices/virtual/thermal/thermal_zone0/temp", "60000\n");
  const Reading after = read_source(platform_source(), tree.root());
  CHECK(before.facts == after.facts);
  CHECK(sample(after, "node_thermal_zone_temp", {"0", "cpu-thermal"}) == 60);
}

TEST_CASE("sensors that give no number have no sample, and names no escape sequence") {
  const Reading reading = read_source(platform_source(), fixture("hostile"));
  CHECK(reading.samples.empty());
  CHECK(reading.problems.size() == 1);  // the watchdog's time-out
  CHECK(item(reading.facts.bus.sensors, &SensorDevice::name, "hwmon0").channels == Names{"temp1"});
  CHECK(reading.facts.bus.tpms.at(0).version == "\\x1b[2J");
}
