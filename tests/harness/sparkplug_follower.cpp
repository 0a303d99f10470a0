#include "tests/harness/sparkplug_follower.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "sparkplug/payload.pb.h"

namespace omnitide::test {

namespace pb = sparkplug;

struct SparkplugFollower::Parsed {
  std::string topic;
  pb::Payload payload;
  unsigned qos = 0;
  bool retain = false;
};

namespace {

constexpr std::size_t kMostProblems = 1000;
constexpr std::uint32_t kInt64 = 4, kBoolean = 11, kLastType = 34;

using Value = SparkplugFollower::Value;

std::vector<std::string> parts_of(std::string_view topic) {
  std::vector<std::string> out(1);
  for (const char c : topic) {
    if (c == '/')
      out.emplace_back();
    else
      out.back() += c;
  }
  return out;
}

// The value as its datatype has it; nothing: it has another one's field.
std::optional<Value> value_of(const pb::Metric& metric, std::uint32_t datatype) {
  using Case = pb::Metric::ValueCase;
  const Case held = metric.value_case();
  if (metric.is_null()) return held == Case::VALUE_NOT_SET ? std::optional<Value>(Value{}) : std::nullopt;
  switch (datatype) {
    case 1:
    case 2:
    case 3:
      return held == Case::kIntValue ? std::optional<Value>(std::int64_t{static_cast<std::int32_t>(metric.int_value())})
                                     : std::nullopt;
    case 4:
      return held == Case::kLongValue ? std::optional<Value>(static_cast<std::int64_t>(metric.long_value()))
                                      : std::nullopt;
    case 5:
    case 6: return held == Case::kIntValue ? std::optional<Value>(std::uint64_t{metric.int_value()}) : std::nullopt;
    case 7:
    case 8:
    case 13:
      if (held == Case::kIntValue) return Value{std::uint64_t{metric.int_value()}};
      return held == Case::kLongValue ? std::optional<Value>(std::uint64_t{metric.long_value()}) : std::nullopt;
    case 9: return held == Case::kFloatValue ? std::optional<Value>(double{metric.float_value()}) : std::nullopt;
    case 10: return held == Case::kDoubleValue ? std::optional<Value>(metric.double_value()) : std::nullopt;
    case 11: return held == Case::kBooleanValue ? std::optional<Value>(metric.boolean_value()) : std::nullopt;
    case 12:
    case 14: return held == Case::kStringValue ? std::optional<Value>(metric.string_value()) : std::nullopt;
    default: return std::nullopt;
  }
}

std::string unit_of(const pb::Metric& metric) {
  for (int i = 0; i < std::min(metric.properties().keys_size(), metric.properties().values_size()); ++i)
    if (metric.properties().keys(i) == "engUnit") return metric.properties().values(i).string_value();
  return {};
}

std::optional<std::uint64_t> bd_seq_of(const pb::Payload& payload) {
  for (const pb::Metric& metric : payload.metrics())
    if (metric.name() == "bdSeq" && metric.value_case() == pb::Metric::kLongValue) return metric.long_value();
  return std::nullopt;
}

}  // namespace

std::string to_text(const Value& value) {
  struct Printer {
    std::string operator()(std::monostate) const { return "null"; }
    std::string operator()(bool held) const { return held ? "true" : "false"; }
    std::string operator()(const std::string& held) const { return "\"" + held + "\""; }
    std::string operator()(double held) const { return fmt::format("{}", held); }
    std::string operator()(std::int64_t held) const { return fmt::format("{}", held); }
    std::string operator()(std::uint64_t held) const { return fmt::format("{}", held); }
  };
  return std::visit(Printer{}, value);
}

void SparkplugFollower::problem(std::string_view id, const std::string& what) {
  if (problems_.size() < kMostProblems) problems_.push_back(fmt::format("{}: message {}: {}", id, messages_, what));
}

void SparkplugFollower::check_id(std::string_view id, std::string_view statement) {
  if (id.empty() || id.find_first_of("+#/") != std::string_view::npos)
    problem(statement, fmt::format("'{}' is no id", id));
}

void SparkplugFollower::will(std::string_view topic, std::string_view payload, unsigned qos, bool retain) {
  pb::Payload parsed;
  if (topic != "spBv1.0/" + group_ + "/NDEATH/" + node_)
    problem("message-flow-edge-node-birth-publish-will-message-topic", std::string(topic));
  if (!parsed.ParseFromArray(payload.data(), static_cast<int>(payload.size())))
    problem("message-flow-edge-node-birth-publish-will-message-payload", "it is no payload");
  if (qos != 1) problem("message-flow-edge-node-birth-publish-will-message-qos", fmt::format("QoS {}", qos));
  if (retain) problem("message-flow-edge-node-birth-publish-will-message-will-retained", "it is retained");
  if (parsed.has_seq()) problem("payloads-ndeath-seq", "the will has a seq");
  if (parsed.metrics_size() != 1) problem("topics-ndeath-payload", "the will has not exactly one metric");
  const std::optional<std::uint64_t> before = will_bd_seq_;
  will_bd_seq_ = bd_seq_of(parsed);
  if (!will_bd_seq_ || parsed.metrics(0).datatype() != kInt64 || *will_bd_seq_ > 255)
    problem("message-flow-edge-node-birth-publish-will-message-payload-bdSeq", "no bdSeq of 0 to 255 as Int64");
  else if (before && *will_bd_seq_ != (*before + 1) % 256)
    problem("topics-nbirth-bdseq-increment", fmt::format("{} after {}", *will_bd_seq_, *before));
}

void SparkplugFollower::line(std::string_view text) {
  unsigned qos = 0, retain = 0;
  std::string payload;
  const char* at = text.data();
  const char* const end = text.data() + text.size();
  const auto number = [&at, end](unsigned& out, int base) {
    const auto [next, fault] = std::from_chars(at, base == 16 ? std::min(at + 2, end) : end, out, base);
    if (fault != std::errc{}) return false;
    at = next;
    return true;
  };
  const auto space = [&at, end] { return at != end && *at++ == ' '; };
  bool good = number(qos, 10) && space() && number(retain, 10) && space();
  while (good && at != end && *at != ' ') {
    unsigned byte = 0;
    good = number(byte, 16);
    payload += static_cast<char>(byte);
  }
  if (!good || !space())
    problem("line", fmt::format("is not QOS RETAIN HEX TOPIC: {}", text.substr(0, 100)));
  else
    message(std::string_view(at, static_cast<std::size_t>(end - at)), payload, qos, retain != 0);
}

void SparkplugFollower::message(std::string_view topic, std::string_view payload, unsigned qos, bool retain) {
  const std::vector<std::string> parts = parts_of(topic);
  if (parts.size() < 4 || parts[0] != "spBv1.0" || parts[1] != group_ || parts[3] != node_) return;  // somebody else's
  const std::string& type = parts[2];
  if (type == "NCMD" || type == "DCMD") return;
  ++messages_;
  const bool of_device = type == "DBIRTH" || type == "DDATA" || type == "DDEATH";
  if (parts.size() != (of_device ? 5U : 4U)) {
    problem(of_device ? "topic-structure-namespace-device-id-associated-message-types"
                      : "topic-structure-namespace-device-id-non-associated-message-types",
            std::string(topic));
    return;
  }
  check_id(parts[1], "topic-structure-namespace-valid-group-id");
  check_id(parts[3], "topic-structure-namespace-valid-edge-node-id");
  if (of_device) check_id(parts[4], "topic-structure-namespace-valid-device-id");
  Parsed parsed{std::string(topic), {}, qos, retain};
  if (!parsed.payload.ParseFromArray(payload.data(), static_cast<int>(payload.size()))) {
    problem("topic-structure", "the payload cannot be decoded");
    return;
  }
  const std::string device = of_device ? parts[4] : "";
  if (type == "NBIRTH")
    node_birth(parsed);
  else if (type == "DBIRTH")
    device_birth(parsed, device);
  else if (type == "NDATA" || type == "DDATA")
    data(parsed, device);
  else if (type == "DDEATH")
    device_death(parsed, device);
  else if (type == "NDEATH")
    node_death(parsed);
  else
    problem("topic-structure", "no such type of message: " + type);
}

void SparkplugFollower::check_delivery(const Parsed& message, std::string_view statement) {
  if (message.qos != 0 || message.retain)
    problem(statement, fmt::format("QoS {}, retain {}", message.qos, message.retain));
  if (!message.payload.has_timestamp()) problem(statement, "the payload has no timestamp");
}

void SparkplugFollower::check_seq(const Parsed& message, std::string_view statement) {
  if (!message.payload.has_seq())
    problem("payloads-sequence-num-always-included", message.topic);
  else if (message.payload.seq() != next_seq_)
    problem(statement, fmt::format("{}: seq {} where {} is due", message.topic, message.payload.seq(), next_seq_));
  next_seq_ = (message.payload.seq() + 1) % 256;
}

// What a birth says of each metric.
void SparkplugFollower::take_birth(const Parsed& message, const std::string& device) {
  Device& born = devices_[device];
  born.online = true;
  ++born.births;
  born.metrics.clear();
  std::erase_if(aliases_, [&device](const auto& alias) { return alias.second.first == device; });
  for (const pb::Metric& metric : message.payload.metrics()) {
    const std::string& name = metric.name();
    if (name.empty()) problem("payloads-name-requirement", "a metric without name");
    if (!metric.has_timestamp()) problem("payloads-name-birth-data-requirement", name + " has no timestamp");
    if (!metric.has_datatype()) problem("payloads-metric-datatype-req", name);
    if (metric.datatype() == 0 || metric.datatype() > kLastType) problem("payloads-metric-datatype-value", name);
    if (metric.properties().keys_size() != metric.properties().values_size())
      problem("payloads-propertyset-keys-array-size", name);
    for (const pb::PropertyValue& value : metric.properties().values())
      if (!value.has_type()) problem("payloads-metric-propertyvalue-type-req", name);
    if (metric.is_historical()) problem("operational-behavior-data-publish-nbirth-values", name + " is historical");
    const std::optional<Value> value = value_of(metric, metric.datatype());
    if (!value) problem("operational-behavior-data-publish-nbirth-values", name + " has not exactly one right value");
    Metric known{metric.datatype(), value.value_or(Value{}), metric.timestamp(), std::nullopt, unit_of(metric), 0};
    if (metric.has_alias()) {
      known.alias = metric.alias();
      if (!aliases_.try_emplace(metric.alias(), device, name).second)
        problem("payloads-alias-uniqueness", fmt::format("{} of {}", metric.alias(), name));
    } else if (name != "bdSeq" && name != "Node Control/Rebirth") {
      problem("payloads-alias-birth-requirement", name);
    }
    if (keep_) values_.push_back({device, name, known.value, known.timestamp, false, true});
    if (!born.metrics.emplace(name, std::move(known)).second) problem("payloads-name-requirement", name + " twice");
  }
}

void SparkplugFollower::check_controls(const Parsed& message) {
  bool rebirth = false;
  for (const pb::Metric& metric : message.payload.metrics()) {
    if (metric.name() != "Node Control/Rebirth") continue;
    rebirth = true;
    if (metric.has_alias()) problem("operational-behavior-data-commands-rebirth-name-aliases", "it has an alias");
    if (metric.datatype() != kBoolean) problem("operational-behavior-data-commands-rebirth-datatype", "no Boolean");
    if (metric.value_case() != pb::Metric::kBooleanValue || metric.boolean_value())
      problem("operational-behavior-data-commands-rebirth-value", "not false");
  }
  if (!rebirth) problem("topics-nbirth-rebirth-metric", "it is missing");
}

void SparkplugFollower::node_birth(const Parsed& message) {
  check_delivery(message, "topics-nbirth-mqtt");
  if (!message.payload.has_seq() || message.payload.seq() != 0) problem("topics-nbirth-seq-num", "seq is not 0");
  next_seq_ = 1;
  aliases_.clear();
  for (auto& [name, device] : devices_)
    device.online = false;  // until its own birth
  bd_seq_ = bd_seq_of(message.payload);
  if (!bd_seq_) problem("topics-nbirth-bdseq-included", "it is missing");
  if (will_bd_seq_ && bd_seq_ != will_bd_seq_) problem("topics-nbirth-bdseq-matching", "the will has another");
  check_controls(message);
  take_birth(message, "");
}

void SparkplugFollower::device_birth(const Parsed& message, const std::string& device) {
  check_delivery(message, "topics-dbirth-mqtt");
  if (!online()) problem("message-flow-device-birth-publish-nbirth-wait", device);
  check_seq(message, "topics-dbirth-seq");
  take_birth(message, device);
}

void SparkplugFollower::data(const Parsed& message, const std::string& device) {
  check_delivery(message, device.empty() ? "topics-ndata-mqtt" : "topics-ddata-mqtt");
  const auto at = devices_.find(device);
  if (!online() || at == devices_.end() || !at->second.online) {
    problem(device.empty() ? "payloads-ndata-order" : "payloads-ddata-order", message.topic);
    return;
  }
  check_seq(message, device.empty() ? "topics-ndata-seq-num" : "topics-ddata-seq-num");
  if (message.payload.metrics_size() == 0) problem("topics-ndata-payload", "nothing is in it");
  for (const pb::Metric& metric : message.payload.metrics()) {
    if (metric.has_name()) problem("payloads-alias-data-cmd-requirement", metric.name());
    if (metric.has_datatype()) problem("payloads-metric-datatype-not-req", fmt::format("alias {}", metric.alias()));
    if (!metric.has_timestamp())
      problem("payloads-name-birth-data-requirement", fmt::format("alias {}", metric.alias()));
    const auto known = aliases_.find(metric.alias());
    if (known == aliases_.end() || known->second.first != device) {
      problem(device.empty() ? "topics-nbirth-metric-reqs" : "topics-dbirth-metric-reqs",
              fmt::format("alias {} is in no birth of {}", metric.alias(), message.topic));
      continue;
    }
    Metric& born = at->second.metrics.at(known->second.second);
    const std::optional<Value> value = value_of(metric, born.datatype);
    if (!value) problem("payloads-metric-datatype-value", known->second.second + " has another type of value");
    if (keep_) {
      values_.push_back(
          {device, known->second.second, value.value_or(Value{}), metric.timestamp(), metric.is_historical(), false});
    }
    if (metric.is_historical()) {
      ++born.historical;
      continue;
    }
    if (metric.timestamp() < born.timestamp)
      problem("operational-behavior-data-publish-nbirth-order", known->second.second);
    born.value = value.value_or(Value{});
    born.timestamp = metric.timestamp();
  }
}

void SparkplugFollower::device_death(const Parsed& message, const std::string& device) {
  check_delivery(message, "topics-ddeath-mqtt");
  check_seq(message, "topics-ddeath-seq-num");
  Device& dead = devices_[device];
  if (!dead.online) problem("operational-behavior-device-ddeath", device + " was not born");
  dead.online = false;
  ++dead.deaths;
}

void SparkplugFollower::node_death(const Parsed& message) {
  if (message.retain) problem("payloads-ndeath-will-message-retain", "it is retained");
  if (message.payload.has_seq()) problem("topics-ndeath-seq", "it has a seq");
  const std::optional<std::uint64_t> bd_seq = bd_seq_of(message.payload);
  if (message.payload.metrics_size() != 1 || !bd_seq) problem("topics-ndeath-payload", "not bdSeq alone");
  if (bd_seq != bd_seq_) {
    ++stale_deaths_;
    return;
  }
  for (auto& [name, device] : devices_) {
    if (device.online) ++device.deaths;
    device.online = false;
  }
}

const SparkplugFollower::Metric* SparkplugFollower::find(const std::string& device, const std::string& name) const {
  const auto at = devices_.find(device);
  if (at == devices_.end()) return nullptr;
  const auto metric = at->second.metrics.find(name);
  return metric == at->second.metrics.end() ? nullptr : &metric->second;
}

std::string SparkplugFollower::text() const {
  std::string out;
  for (const auto& [name, device] : devices_) {
    out += fmt::format("{} {} births {} deaths {}\n", name.empty() ? "node" : name,
                       device.online ? "online" : "offline", device.births, device.deaths);
    for (const auto& [metric, known] : device.metrics) {
      out += fmt::format("  {} {} {}{}{} at {} historical {}\n", metric, known.datatype, to_text(known.value),
                         known.unit.empty() ? "" : " ", known.unit, known.timestamp, known.historical);
    }
  }
  return out;
}

}  // namespace omnitide::test
