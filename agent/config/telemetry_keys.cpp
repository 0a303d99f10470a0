#include "agent/config/telemetry_keys.hpp"

#include <fmt/format.h>

#include <string>

#include "agent/base/clock.hpp"
#include "agent/config/telemetry_values.hpp"
#include "agent/config/values.hpp"

namespace omnitide::config {

namespace {

using namespace std::chrono_literals;
using std::chrono::milliseconds;

constexpr std::size_t kLongestText = 256;
constexpr milliseconds kLongestAge = std::chrono::days{3650};
constexpr std::uint32_t kMostRecords = 1'000'000;  // a second
constexpr std::uint64_t kMiB = std::uint64_t{1} << 20U;

const std::vector<std::string>& protocol_names() {
  static const std::vector<std::string> names{"5", "3.1.1"};
  return names;
}
const std::vector<std::string>& tls_names() {
  static const std::vector<std::string> names{"1.2", "1.3"};
  return names;
}
const std::vector<std::string>& form_names() {
  static const std::vector<std::string> names{"protobuf", "json"};
  return names;
}
const std::vector<std::string>& eviction_names() {
  static const std::vector<std::string> names{"priority", "oldest"};
  return names;
}
// docs/sparkplug.md has what each of them does.
const std::vector<std::string>& command_names() {
  static const std::vector<std::string> names{"rebirth", "rediscover", "interval", "deadband", "next-server", "reboot"};
  return names;
}
const std::vector<std::string>& stream_names() {
  static const std::vector<std::string> names(kPlainStreams.begin(), kPlainStreams.end());
  return names;
}

using config::show;  // beside those of this file
Value show(const std::vector<BrokerConfig>& brokers) {
  std::vector<std::string> urls;
  for (const BrokerConfig& broker : brokers)
    urls.push_back(broker.url);
  return show(urls);
}
Value show(const std::vector<std::pair<std::string, std::string>>& bands) {
  std::vector<std::string> texts;
  for (const auto& [pattern, band] : bands)
    texts.push_back(fmt::format("{}={}", pattern, band));
  return show(texts);
}

// One of two words, as a boolean: whether it is the second one.
void read_either(const Value& value, const std::vector<std::string>& words, bool& out, Problems& problems) {
  std::size_t index = out ? 1 : 0;
  read_choice(value, words, index, problems);
  out = index == 1;
}
Value show_either(const std::vector<std::string>& words, bool value) {
  return Value::scalar(words[value ? 1 : 0], true);
}

void set_protocol(Config& config, const Value& value, Problems& problems) {
  bool old = config.telemetry.protocol == MqttProtocol::v311;
  read_either(value, protocol_names(), old, problems);
  config.telemetry.protocol = old ? MqttProtocol::v311 : MqttProtocol::v5;
}

std::vector<Key> connection_keys() {
  return {
      Key{"telemetry.brokers", "list of mqtt:// and mqtts:// URLs",
          "MQTT brokers in the order of preference. Empty: telemetry is off.", "[]", "[mqtts://broker.example:8883]",
          true, false, [](Config& c, const Value& v, Problems& p) { read_brokers(v, c.telemetry.brokers, p); },
          [](const Config& c) { return show(c.telemetry.brokers); }},
      Key{"telemetry.protocol", "5 or 3.1.1", "Version of MQTT.", "\"5\"", "", true, false, set_protocol,
          [](const Config& c) { return show_either(protocol_names(), c.telemetry.protocol == MqttProtocol::v311); }},
      Key{"telemetry.group", "one level of a topic", "Sparkplug's group id, and {group} in topics.", "", "", true,
          false, [](Config& c, const Value& v, Problems& p) { read_topic_word(v, false, c.telemetry.group, p); },
          [](const Config& c) { return show(c.telemetry.group); }},
      Key{"telemetry.node", "one level of a topic", "Sparkplug's edge node id, and {node} in topics.", "the node id",
          "press-7", true, false,
          [](Config& c, const Value& v, Problems& p) { read_topic_word(v, true, c.telemetry.node, p); },
          [](const Config& c) { return show(c.telemetry.node); }},
      Key{"telemetry.client_id", "one level of a topic",
          "MQTT's client id. No two clients of a broker may have the same.", "omnitide-NODE", "press-7", true, false,
          [](Config& c, const Value& v, Problems& p) { read_topic_word(v, true, c.telemetry.client_id, p); },
          [](const Config& c) { return show(c.telemetry.client_id); }},
      Key{"telemetry.username", "text", "MQTT's user name. Empty: none is sent.", "", "press-7", true, false,
          [](Config& c, const Value& v, Problems& p) { read_line(v, kLongestText, c.telemetry.username, p); },
          [](const Config& c) { return show(c.telemetry.username); }},
      Key{"telemetry.password_file", "path, credential:NAME or empty",
          "File with the password on its first line, mode 0600, or a credential that systemd hands over "
          "(LoadCredential=).",
          "", "credential:mqtt-password", true, false,
          [](Config& c, const Value& v, Problems& p) { read_secret_source(v, c.telemetry.password_file, p); },
          [](const Config& c) { return show(c.telemetry.password_file); }},
      Key{"telemetry.keep_alive", "duration, 5s to 1h", "How long a line may be silent before it is probed.", "", "",
          true, false,
          [](Config& c, const Value& v, Problems& p) { read_duration(v, 5s, 1h, c.telemetry.keep_alive, p); },
          [](const Config& c) { return show(c.telemetry.keep_alive); }},
      Key{"telemetry.backoff_base", "duration, 100ms to 1m",
          "Ceiling of the first wait after a lost connection; it doubles with each failure. Waits have full jitter.",
          "", "", true, false,
          [](Config& c, const Value& v, Problems& p) { read_duration(v, 100ms, 1min, c.telemetry.backoff_base, p); },
          [](const Config& c) { return show(c.telemetry.backoff_base); }},
      Key{"telemetry.backoff_cap", "duration, 1s to 1h", "The longest wait after a failed connection.", "", "", true,
          false, [](Config& c, const Value& v, Problems& p) { read_duration(v, 1s, 1h, c.telemetry.backoff_cap, p); },
          [](const Config& c) { return show(c.telemetry.backoff_cap); }},
      Key{"telemetry.in_flight", "1 to 10000", "Publishes that the broker has not confirmed yet, at most.", "", "",
          true, false,
          [](Config& c, const Value& v, Problems& p) { read_count(v, 1, 10000, c.telemetry.in_flight, p); },
          [](const Config& c) { return show(c.telemetry.in_flight); }},
  };
}

std::vector<Key> tls_keys() {
  return {
      Key{"telemetry.tls.ca_file", "absolute path or empty",
          "PEM file of the CAs that the broker's certificate is checked against. Empty: the system's.", "",
          "/etc/omnitide/mqtt-ca.pem", true, false,
          [](Config& c, const Value& v, Problems& p) { read_path(v, true, kLongestPath, c.telemetry.tls.ca_file, p); },
          [](const Config& c) { return show(c.telemetry.tls.ca_file); }},
      Key{"telemetry.tls.certificate", "registration, absolute path or empty",
          "The client certificate: the one that the registration got (also when it is renewed), or a PEM file.", "",
          "registration", true, false,
          [](Config& c, const Value& v, Problems& p) { read_certificate(v, c.telemetry.tls.certificate, p); },
          [](const Config& c) { return show(c.telemetry.tls.certificate); }},
      Key{"telemetry.tls.key_file", "absolute path or empty", "The private key of a certificate of its own, mode 0600.",
          "", "/etc/omnitide/mqtt.key", true, false,
          [](Config& c, const Value& v, Problems& p) { read_path(v, true, kLongestPath, c.telemetry.tls.key_file, p); },
          [](const Config& c) { return show(c.telemetry.tls.key_file); }},
      Key{"telemetry.tls.psk_file", "absolute path or empty",
          "File with one line IDENTITY:KEY, the key in hexadecimal, mode 0600: a shared key in place of certificates.",
          "", "/etc/omnitide/mqtt-psk", true, false,
          [](Config& c, const Value& v, Problems& p) { read_path(v, true, kLongestPath, c.telemetry.tls.psk_file, p); },
          [](const Config& c) { return show(c.telemetry.tls.psk_file); }},
      Key{"telemetry.tls.alpn", "text",
          "Protocol that is asked for by ALPN, for brokers behind a port that serves more than MQTT.", "", "mqtt", true,
          false, [](Config& c, const Value& v, Problems& p) { read_line(v, kLongestText, c.telemetry.tls.alpn, p); },
          [](const Config& c) { return show(c.telemetry.tls.alpn); }},
      Key{"telemetry.tls.min_version", "1.2 or 1.3", "The oldest version of TLS that is taken.", "\"1.2\"", "", true,
          false,
          [](Config& c, const Value& v, Problems& p) {
            bool only13 = !c.telemetry.tls.allow_tls12;
            read_either(v, tls_names(), only13, p);
            c.telemetry.tls.allow_tls12 = !only13;
          },
          [](const Config& c) { return show_either(tls_names(), !c.telemetry.tls.allow_tls12); }},
  };
}

std::vector<Key> sparkplug_keys() {
  return {
      Key{"telemetry.sparkplug.enabled", "boolean", "Metrics by Sparkplug B 3.0: docs/sparkplug.md.", "", "", true,
          false, [](Config& c, const Value& v, Problems& p) { read_boolean(v, c.telemetry.sparkplug.enabled, p); },
          [](const Config& c) { return show(c.telemetry.sparkplug.enabled); }},
      Key{"telemetry.sparkplug.primary_host", "one level of a topic",
          "Host application that must be online before anything is published. Empty: none is waited for.", "", "scada",
          true, false,
          [](Config& c, const Value& v, Problems& p) {
            read_topic_word(v, true, c.telemetry.sparkplug.primary_host, p);
          },
          [](const Config& c) { return show(c.telemetry.sparkplug.primary_host); }},
      Key{"telemetry.sparkplug.interval", "duration, 1s to 1d", "How often metrics are collected for Sparkplug.", "",
          "", true, false,
          [](Config& c, const Value& v, Problems& p) { read_duration(v, 1s, 24h, c.telemetry.sparkplug.interval, p); },
          [](const Config& c) { return show(c.telemetry.sparkplug.interval); }},
      Key{"telemetry.sparkplug.max_silence", "duration, 10s to 7d",
          "A metric that does not change is told again after this.", "", "", true, false,
          [](Config& c, const Value& v, Problems& p) {
            read_duration(v, 10s, std::chrono::days{7}, c.telemetry.sparkplug.max_silence, p);
          },
          [](const Config& c) { return show(c.telemetry.sparkplug.max_silence); }},
      Key{"telemetry.sparkplug.dead_bands", "list of PATTERN=BAND",
          "Changes that are too small to be told: by so much, or by so many per cent of the value told last. The first "
          "pattern that matches a metric's name counts; those of docs/sparkplug.md stand behind them.",
          "[]", "[\"node_load*=5%\", \"node_hwmon_temp_celsius*=0.5\"]", true, false,
          [](Config& c, const Value& v, Problems& p) { read_dead_bands(v, c.telemetry.sparkplug.dead_bands, p); },
          [](const Config& c) { return show(c.telemetry.sparkplug.dead_bands); }},
      Key{"telemetry.sparkplug.include", "list of patterns",
          "Metrics in Sparkplug. Empty: the set of docs/sparkplug.md.", "[]", "[\"node_load*\", \"node_memory_*\"]",
          true, false, [](Config& c, const Value& v, Problems& p) { read_globs(v, c.telemetry.sparkplug.include, p); },
          [](const Config& c) { return show(c.telemetry.sparkplug.include); }},
      Key{"telemetry.sparkplug.exclude", "list of patterns", "Metrics that are not in Sparkplug, though they would be.",
          "[]", "[\"node_memory_Huge*\"]", true, false,
          [](Config& c, const Value& v, Problems& p) { read_globs(v, c.telemetry.sparkplug.exclude, p); },
          [](const Config& c) { return show(c.telemetry.sparkplug.exclude); }},
      Key{"telemetry.sparkplug.commands", "list of commands",
          "What a host may ask for: rebirth, rediscover, interval, deadband, next-server, reboot. Anything else is "
          "refused and "
          "reported.",
          "[rebirth]", "[rebirth, rediscover, interval, deadband]", true, false,
          [](Config& c, const Value& v, Problems& p) {
            read_words(v, command_names(), c.telemetry.sparkplug.commands, p);
          },
          [](const Config& c) { return show(c.telemetry.sparkplug.commands); }},
      Key{"telemetry.sparkplug.rebirth_interval", "duration, 1s to 1d",
          "Births that a changed set of metrics causes: one in this time.", "", "", true, false,
          [](Config& c, const Value& v, Problems& p) {
            read_duration(v, 1s, 24h, c.telemetry.sparkplug.rebirth_interval, p);
          },
          [](const Config& c) { return show(c.telemetry.sparkplug.rebirth_interval); }},
  };
}

std::vector<Key> plain_keys() {
  return {
      Key{"telemetry.plain.enabled", "boolean",
          "Facts, conditions, events, flows, and the metrics that Sparkplug does not carry, as messages of their own.",
          "", "", true, false,
          [](Config& c, const Value& v, Problems& p) { read_boolean(v, c.telemetry.plain.enabled, p); },
          [](const Config& c) { return show(c.telemetry.plain.enabled); }},
      Key{"telemetry.plain.format", "protobuf or json",
          "The messages of telemetry.proto as protobuf or as proto3 JSON.", "protobuf", "json", true, false,
          [](Config& c, const Value& v, Problems& p) { read_either(v, form_names(), c.telemetry.plain.json, p); },
          [](const Config& c) { return show_either(form_names(), c.telemetry.plain.json); }},
      Key{"telemetry.plain.topic", "topic",
          "Topic of each stream, with {group}, {node} and {stream}; {stream} is also \"status\", which is retained.",
          "", "", true, false,
          [](Config& c, const Value& v, Problems& p) { read_topic_template(v, c.telemetry.plain.topic, p); },
          [](const Config& c) { return show(c.telemetry.plain.topic); }},
      Key{"telemetry.plain.streams", "list of streams", "What is published: events, conditions, facts, metrics, flows.",
          "[events, conditions, facts, metrics, flows]", "[events, facts]", true, false,
          [](Config& c, const Value& v, Problems& p) { read_words(v, stream_names(), c.telemetry.plain.streams, p); },
          [](const Config& c) { return show(c.telemetry.plain.streams); }},
      Key{"telemetry.plain.metrics_interval", "duration, 1s to 1d", "How often metrics are published in plain mode.",
          "", "", true, false,
          [](Config& c, const Value& v, Problems& p) {
            read_duration(v, 1s, 24h, c.telemetry.plain.metrics_interval, p);
          },
          [](const Config& c) { return show(c.telemetry.plain.metrics_interval); }},
      Key{"telemetry.plain.flow_rate", "0 to 10000", "Flows a second that are published; the others are counted.", "",
          "", true, false,
          [](Config& c, const Value& v, Problems& p) { read_count(v, 0, 10000, c.telemetry.plain.flow_rate, p); },
          [](const Config& c) { return show(c.telemetry.plain.flow_rate); }},
  };
}

std::vector<Key> spool_keys() {
  return {
      Key{"telemetry.spool.bytes", "size, 4MiB to 64GiB",
          "What may lie on the disk while no broker takes it, all streams together.", "64MiB", "", true, false,
          [](Config& c, const Value& v, Problems& p) {
            read_bytes(v, 4 * kMiB, 64 * 1024 * kMiB, c.telemetry.spool.bytes, p);
          },
          [](const Config& c) { return Value::scalar(bytes_text(c.telemetry.spool.bytes)); }},
      Key{"telemetry.spool.age", "duration, 0s to 3650d", "Older records are evicted. 0s: none is for its age.", "", "",
          true, false,
          [](Config& c, const Value& v, Problems& p) { read_duration(v, 0s, kLongestAge, c.telemetry.spool.age, p); },
          [](const Config& c) { return show(c.telemetry.spool.age); }},
      Key{"telemetry.spool.segment_bytes", "size, 64KiB to 64MiB", "Size of one file of the spool.", "1MiB", "", true,
          false,
          [](Config& c, const Value& v, Problems& p) {
            read_bytes(v, 64 * 1024, 64 * kMiB, c.telemetry.spool.segment_bytes, p);
          },
          [](const Config& c) { return Value::scalar(bytes_text(c.telemetry.spool.segment_bytes)); }},
      Key{"telemetry.spool.eviction", "priority or oldest",
          "What goes when the spool is full: flows first, then metrics, Sparkplug, facts, conditions, events; or "
          "whatever is oldest.",
          "priority", "oldest", true, false,
          [](Config& c, const Value& v, Problems& p) {
            read_either(v, eviction_names(), c.telemetry.spool.oldest_first, p);
          },
          [](const Config& c) { return show_either(eviction_names(), c.telemetry.spool.oldest_first); }},
      Key{"telemetry.spool.rate", "0 to 1000000",
          "Records a second that are taken in; the others are dropped and counted. 0: no limit.", "", "", true, false,
          [](Config& c, const Value& v, Problems& p) { read_count(v, 0, kMostRecords, c.telemetry.spool.rate, p); },
          [](const Config& c) { return show(c.telemetry.spool.rate); }},
      Key{"telemetry.spool.sync_interval", "duration, 100ms to 1m",
          "How much of the newest a loss of power may take: what was written is made durable this often.", "", "", true,
          false,
          [](Config& c, const Value& v, Problems& p) {
            read_duration(v, 100ms, 1min, c.telemetry.spool.sync_interval, p);
          },
          [](const Config& c) { return show(c.telemetry.spool.sync_interval); }},
      Key{"telemetry.spool.drain_rate", "0 to 1000000",
          "Historical records a second, beside live ones. 0: as fast as the broker takes them.", "", "", true, false,
          [](Config& c, const Value& v, Problems& p) {
            read_count(v, 0, kMostRecords, c.telemetry.spool.drain_rate, p);
          },
          [](const Config& c) { return show(c.telemetry.spool.drain_rate); }},
  };
}

}  // namespace

const std::vector<Key>& telemetry_keys() {
  static const std::vector<Key> keys = [] {
    std::vector<Key> out;
    for (auto* const part : {connection_keys, tls_keys, sparkplug_keys, plain_keys, spool_keys})
      for (const Key& key : part())
        out.push_back(key);
    return out;
  }();
  return keys;
}

}  // namespace omnitide::config
