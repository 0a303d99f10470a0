// The keys of telemetry: what is taken, and the words for what is not.
#include <fmt/format.h>

#include <string>
#include <vector>

#include "agent/config/load.hpp"
#include "agent/config/reload.hpp"
#include "tests/harness/catch.hpp"

namespace omnitide::config {
namespace {

using Variables = std::vector<std::pair<std::string, std::string>>;

Loaded load_with(const Variables& variables) {
  LoadOptions options;
  options.directory = "/nonexistent";
  options.hostname = "press-7";
  for (const auto& [name, value] : variables)
    options.environment.emplace_back("OMNITIDE_TELEMETRY_" + name, value);
  return load(options);
}

// Of the only fault, without the variable's name.
std::string fault_of(const Variables& variables) {
  const Loaded loaded = load_with(variables);
  if (loaded.faults.size() != 1) return fmt::format("{} faults", loaded.faults.size());
  const Fault& fault = loaded.faults.front();
  return fmt::format("{}: {} ({})", fault.field, fault.message, fault.hint);
}

}  // namespace

TEST_CASE("brokers have a scheme, a host and the scheme's port") {
  const Loaded loaded =
      load_with({{"BROKERS", "[mqtt://a.example, \"mqtts://[2001:db8::1]\", mqtts://b.example:8884/]"}});
  REQUIRE(loaded.valid());
  const std::vector<BrokerConfig>& brokers = loaded.config.telemetry.brokers;
  REQUIRE(brokers.size() == 3);
  CHECK(brokers[0] == BrokerConfig{"mqtt://a.example", "a.example", 1883, false});
  CHECK(brokers[1] == BrokerConfig{"mqtts://[2001:db8::1]", "2001:db8::1", 8883, true});
  CHECK(brokers[2] == BrokerConfig{"mqtts://b.example:8884", "b.example", 8884, true});
}

TEST_CASE("a broker that cannot be is refused with the reason") {
  const auto broker = [](const std::string& url) { return fault_of({{"BROKERS", "[\"" + url + "\"]"}}); };
  const std::string hint = "(mqtt://HOST[:1883] or mqtts://HOST[:8883])";
  CHECK(broker("wss://a.example") ==
        "telemetry.brokers[0]: \"wss://a.example\" is MQTT over WebSocket, which the MQTT library of this build cannot "
        "do " +
            hint);
  CHECK(broker("a.example:1883") ==
        "telemetry.brokers[0]: \"a.example:1883\" does not begin with mqtt:// or mqtts:// " + hint);
  CHECK(broker("mqtt://u:p@a.example") ==
        "telemetry.brokers[0]: \"mqtt://u:p@a.example\" has a user name or password in it (use telemetry.username and "
        "telemetry.password_file)");
  CHECK(broker("mqtt://a.example:0") == "telemetry.brokers[0]: \"mqtt://a.example:0\" has a bad port " + hint);
  CHECK(broker("mqtt://a.example/x") == "telemetry.brokers[0]: \"mqtt://a.example/x\" has a path or query " + hint);
  CHECK(broker("mqtt://") == "telemetry.brokers[0]: \"mqtt://\" has no host " + hint);
}

TEST_CASE("sizes, dead bands and topics say what would be right") {
  CHECK(load_with({{"SPOOL_BYTES", "1GiB"}}).config.telemetry.spool.bytes == std::uint64_t{1} << 30U);
  CHECK(fault_of({{"SPOOL_BYTES", "64MB"}}) ==
        "telemetry.spool.bytes: \"64MB\" is no size (a whole number and B, KiB, MiB or GiB)");
  CHECK(fault_of({{"SPOOL_BYTES", "99999999999999999999GiB"}}) ==
        "telemetry.spool.bytes: \"99999999999999999999GiB\" is no size (a whole number and B, KiB, MiB or GiB)");
  CHECK(fault_of({{"SPOOL_BYTES", "1MiB"}}) == "telemetry.spool.bytes: \"1MiB\" is too small (4MiB to 64GiB)");
  const Loaded bands = load_with({{"SPARKPLUG_DEAD_BANDS", "[\"node_cpu/cpu=0/*=1%\", \"*=0.5\"]"}});
  REQUIRE(bands.valid());
  using Bands = std::vector<std::pair<std::string, std::string>>;
  CHECK(bands.config.telemetry.sparkplug.dead_bands == Bands{{"node_cpu/cpu=0/*", "1%"}, {"*", "0.5"}});
  for (const char* wrong : {"node_load1", "=1", "a=b", "a=-1", "a=nan", "a=1%%"}) {
    CAPTURE(wrong);
    CHECK(fault_of({{"SPARKPLUG_DEAD_BANDS", fmt::format("[\"{}\"]", wrong)}}) ==
          fmt::format("telemetry.sparkplug.dead_bands[0]: \"{}\" is no dead band (PATTERN=0.5 or PATTERN=2%, the "
                      "pattern of metric names)",
                      wrong));
  }
  CHECK(load_with({{"PLAIN_TOPIC", "plant/{node}/{stream}"}}).valid());
  CHECK(fault_of({{"PLAIN_TOPIC", "plant/{node}"}}) ==
        "telemetry.plain.topic: \"plant/{node}\" does not tell the streams apart (put {stream} into it)");
  CHECK_FALSE(load_with({{"PLAIN_TOPIC", "plant/#/{stream}"}}).valid());
  CHECK_FALSE(load_with({{"PLAIN_TOPIC", "plant/{name}/{stream}"}}).valid());
  CHECK_FALSE(load_with({{"PLAIN_TOPIC", "spBv1.0/{stream}"}}).valid());
  CHECK(fault_of({{"GROUP", "a/b"}}) ==
        "telemetry.group: \"a/b\" has a character that topics use (no '/', '+' and '#')");
  CHECK(fault_of({{"SPARKPLUG_COMMANDS", "[rebot]"}}) ==
        "telemetry.sparkplug.commands[0]: \"rebot\" is not known (did you mean reboot? one of rebirth, rediscover, "
        "interval, deadband, next-server, reboot)");
}

TEST_CASE("secrets are named, never given") {
  CHECK(load_with({{"USERNAME", "u"}, {"PASSWORD_FILE", "credential:mqtt"}}).valid());
  CHECK_FALSE(load_with({{"USERNAME", "u"}, {"PASSWORD_FILE", "credential:../shadow"}}).valid());
  CHECK_FALSE(load_with({{"USERNAME", "u"}, {"PASSWORD_FILE", "s3cret"}}).valid());
  CHECK(fault_of({{"PASSWORD_FILE", "/etc/x"}}) ==
        "telemetry.password_file: is set, but telemetry.username is not (name the user that the password belongs to)");
}

TEST_CASE("keys of TLS that do not go together are faults") {
  const std::pair<std::string, std::string> broker{"BROKERS", "[mqtts://a.example]"};
  CHECK(load_with({broker, {"TLS_CERTIFICATE", "/a.pem"}, {"TLS_KEY_FILE", "/a.key"}}).valid());
  CHECK(fault_of({broker, {"TLS_CERTIFICATE", "/a.pem"}}) ==
        "telemetry.tls.certificate: is a file, but telemetry.tls.key_file is not set (name the certificate's private "
        "key)");
  CHECK(fault_of({broker, {"TLS_KEY_FILE", "/a.key"}}).starts_with("telemetry.tls.key_file: is set, but"));
  CHECK(fault_of({broker, {"TLS_CERTIFICATE", "registration"}}) ==
        "telemetry.tls.certificate: is that of the registration, which is off (set registration.endpoint, or name a "
        "file)");
  CHECK(fault_of({broker, {"TLS_PSK_FILE", "/psk"}, {"TLS_CA_FILE", "/ca"}})
            .starts_with("telemetry.tls.psk_file: is set beside certificates"));
  CHECK(fault_of({{"BROKERS", "[mqtt://a.example]"}, {"TLS_CA_FILE", "/ca"}}) ==
        "telemetry.tls.ca_file: is set, but no broker is one of mqtts:// (write mqtts:// in telemetry.brokers)");
}

TEST_CASE("bounds that contradict each other are faults") {
  CHECK(fault_of({{"BACKOFF_BASE", "1m"}, {"BACKOFF_CAP", "2s"}}).starts_with("telemetry.backoff_base: 1m is longer"));
  CHECK(fault_of({{"SPOOL_BYTES", "8MiB"}, {"SPOOL_SEGMENT_BYTES", "4MiB"}}) ==
        "telemetry.spool.segment_bytes: 4MiB is more than a quarter of telemetry.spool.bytes, 8MiB (what is evicted is "
        "evicted by segments: give smaller ones)");
  CHECK(fault_of({{"BROKERS", "[mqtt://a]"}, {"PLAIN_ENABLED", "false"}, {"SPARKPLUG_ENABLED", "false"}})
            .starts_with("telemetry.plain.enabled: is false, and so is telemetry.sparkplug.enabled"));
}

TEST_CASE("all of telemetry is taken over by a reload") {
  const Loaded next = load_with({{"BROKERS", "[mqtt://a]"}, {"SPARKPLUG_INTERVAL", "30s"}});
  const ReloadDiff diff = reload_diff(Config{}, next.config);
  CHECK(std::vector<std::string>{"telemetry.brokers", "telemetry.sparkplug.interval"} == diff.applied);
  const Config after = after_reload(Config{}, next.config);
  CHECK(after.telemetry.brokers == next.config.telemetry.brokers);
}

}  // namespace omnitide::config
