// The collectors' switches in the configuration.
#include "agent/config/collector_keys.hpp"

#include <array>

#include "agent/base/pattern.hpp"
#include "agent/config/load.hpp"
#include "tests/harness/catch.hpp"

namespace omnitide::config {
namespace {

// The value of one key from the environment, where a whole value can be given as text.
Loaded load_with(const std::string& key, const std::string& value) {
  LoadOptions options;
  options.directory = "/nonexistent";
  options.hostname = "press-7";
  options.environment = {{environment_name(*find_key(key)), value}};
  return load(options);
}

}  // namespace

TEST_CASE("collectors are switched on and off by their names") {
  const Loaded loaded = load_with("metrics.collectors.disable", "[hwmon, cpu]");
  REQUIRE(loaded.valid());
  CHECK_FALSE(loaded.config.metrics.collectors.enabled("hwmon"));
  CHECK_FALSE(loaded.config.metrics.collectors.enabled("cpu"));
  CHECK(loaded.config.metrics.collectors.enabled("netdev"));
  CHECK_FALSE(loaded.config.metrics.collectors.enabled("systemd"));
  CHECK(load_with("metrics.collectors.enable", "[systemd]").config.metrics.collectors.enabled("systemd"));
  // What is on anyway need not be switched on: a likely mistake, said.
  CHECK_FALSE(load_with("metrics.collectors.enable", "[cpu]").valid());
  const Loaded mistyped = load_with("metrics.collectors.disable", "[hwmonn]");
  REQUIRE(mistyped.faults.size() == 1);
  CHECK(mistyped.faults[0].text().find("hwmon") != std::string::npos);
}

TEST_CASE("flags have node_exporter's names and Debian's defaults, and the defaults are valid") {
  const Config config;
  CHECK(config.metrics.collectors.value("netdev.device_exclude") == "^lo$");
  CHECK(config.metrics.collectors.value("textfile.directory") == "/var/lib/prometheus/node-exporter");
  CHECK(config.metrics.collectors.flag("cpu.guest"));
  for (const model::CollectorFlag& flag : model::kCollectorFlags) {
    CAPTURE(flag.name);
    const Key* key = find_key("metrics.collectors." + std::string(flag.name));
    REQUIRE(key != nullptr);
    Config again;
    Problems problems;
    key->set(again, key->get(config), problems);
    CHECK(problems.empty());
    CHECK(again.metrics.collectors == config.metrics.collectors);
  }
}

TEST_CASE("a filter that cannot be understood is a fault that names it, and changes nothing") {
  const Loaded loaded = load_with("metrics.collectors.netdev.device_exclude", "^(lo");
  REQUIRE(loaded.faults.size() == 1);
  CHECK(loaded.faults[0].text().find("metrics.collectors.netdev.device_exclude") != std::string::npos);
  CHECK(loaded.config.metrics.collectors.value("netdev.device_exclude") == "^lo$");
  CHECK_FALSE(load_with("metrics.collectors.netstat.fields", "a(?=b)").valid());
  CHECK_FALSE(load_with("metrics.collectors.ipvs.backend_labels", "proto,colour").valid());
  CHECK_FALSE(load_with("metrics.collectors.textfile.directory", "relative").valid());
  CHECK_FALSE(load_with("metrics.collectors.cpu.guest", "perhaps").valid());
  const Loaded good = load_with("metrics.collectors.netdev.device_exclude", "^(veth.*|lo)$");
  REQUIRE(good.valid());
  CHECK(good.config.metrics.collectors.value("netdev.device_exclude") == "^(veth.*|lo)$");
}

}  // namespace omnitide::config
