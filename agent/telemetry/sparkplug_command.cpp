// What comes in: STATE of the primary host, commands of any host. All of it is from strangers.
#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "agent/base/text.hpp"
#include "agent/telemetry/host_state.hpp"
#include "agent/telemetry/report.hpp"
#include "agent/telemetry/sparkplug_control.hpp"
#include "agent/telemetry/sparkplug_payload.hpp"
#include "agent/telemetry/sparkplug_session.hpp"

namespace omnitide::telemetry {

namespace {

constexpr std::size_t kMostHosts = 8;
constexpr std::size_t kLongestSetting = 256;
constexpr std::chrono::milliseconds kShortestInterval{1'000}, kLongestInterval{std::chrono::hours{1}};

// Why a setting may not have this value; empty: it may.
std::string fault_of(const ControlMetric& control, const std::string& value) {
  if (value.size() > kLongestSetting) return fmt::format("is longer than {} bytes", kLongestSetting);
  if (control.command == "interval") {
    const std::optional<std::chrono::milliseconds> interval = parse_duration(value);
    if (!interval || *interval < kShortestInterval || *interval > kLongestInterval)
      return "is no duration between 1s and 1h, such as \"10s\"";
  }
  if (control.command == "deadband") {
    const Result<std::vector<DeadBand>> bands = parse_dead_band_list(value);
    if (bands.has_error()) return bands.error().message;
  }
  return {};
}

// The metric's name for a report, as far as it has one.
std::string name_of(const PayloadView::Metric& metric) {
  if (metric.name) return printable(*metric.name, 128);
  return metric.alias ? fmt::format("alias {}", *metric.alias) : std::string("a metric without name");
}

}  // namespace

void SparkplugSession::refuse(std::string_view name, std::string why) {
  ++counts_.refused;
  if (refusals_++ >= kMostReported) return;
  actions_.push_back(
      {.kind = SparkplugAction::Kind::refused, .message = {}, .name = printable(name, 256), .value = std::move(why)});
}

void SparkplugSession::message(std::string_view topic_text, std::string_view payload, WallTime now) {
  if (link_ == Link::down) return;
  refusals_ = 0;
  const bool state = !options_.primary_host.empty() && topic_text == "spBv1.0/STATE/" + options_.primary_host;
  const std::string device_command = topic("DCMD") + "/";
  if (payload.size() > kLargestCommand) {
    refuse(topic_text, fmt::format("the message has {} bytes, {} are taken", payload.size(), kLargestCommand));
  } else if (state) {
    host_report(payload, now);
  } else if (topic_text == topic("NCMD")) {
    command(payload, now);
  } else if (topic_text.starts_with(device_command) && topic_text.find('/', device_command.size()) == topic_text.npos) {
    refuse(topic_text, "devices take no commands");
  } else {
    refuse(topic_text, "the topic is not one of this node");
  }
}

void SparkplugSession::host_report(std::string_view payload, WallTime now) {
  const Result<HostReport> report = parse_host_report(payload);
  if (report.has_error()) {
    refuse("STATE", report.error().message);
    return;
  }
  HostState* known = host_here();
  if (known != nullptr && report->timestamp < known->timestamp) {
    ++counts_.stale_states;
    return;
  }
  if (known == nullptr) {
    if (state_.hosts.size() >= kMostHosts) state_.hosts.erase(state_.hosts.begin());
    known = &state_.hosts.emplace_back(HostState{broker_, 0, false});
  }
  known->timestamp = report->timestamp;
  known->online = report->online;
  host_ = report->online;
  if (link_ != Link::up) return;  // connected() goes on from here
  if (phase_ == Phase::online) {
    if (!report->online) leave(now, options_.brokers > 1);
  } else {
    proceed(now);
  }
}

void SparkplugSession::command(std::string_view payload, WallTime now) {
  const Result<PayloadView> read = read_payload(payload, kMostWrites);
  if (read.has_error()) {
    refuse("NCMD", read.error().message);
    return;
  }
  if (phase_ != Phase::online) {
    if (!read->metrics.empty()) refuse("NCMD", "the node has not been born yet");
    return;
  }
  if (read->metrics.empty()) refuse("NCMD", "there is nothing in it");
  for (const PayloadView::Metric& metric : read->metrics) {
    if (link_ != Link::up) return;  // a write before this one ended the session
    const auto control = std::ranges::find_if(kControls, [&metric](const ControlMetric& known) {
      return metric.name ? *metric.name == known.name
                         : metric.alias && known.alias != 0 && *metric.alias == known.alias;
    });
    if (control == kControls.end()) {
      const Group& node = groups_.find("")->second;
      const bool readable = metric.alias
                                ? std::ranges::binary_search(node.born, *metric.alias)
                                : metric.name && std::ranges::any_of(node.metrics, [&metric](const Known& known) {
                                    return known.metric.name == *metric.name;
                                  });
      refuse(name_of(metric), readable ? "can only be read" : "there is no such metric");
      continue;
    }
    if (!allowed(*control)) {
      refuse(name_of(metric), "is not allowed by the configuration");
      continue;
    }
    if (metric.datatype && *metric.datatype != static_cast<std::uint32_t>(control->type)) {
      refuse(name_of(metric), fmt::format("datatype {} is not that of the metric", *metric.datatype));
      continue;
    }
    const Result<MetricValue> value = value_as(metric, control->type);
    if (value.has_error())
      refuse(name_of(metric), value.error().message);
    else
      write(*control, *value, now);
  }
}

void SparkplugSession::write(const ControlMetric& control, const MetricValue& value, WallTime now) {
  const auto done = [this, &control](std::string text) {
    actions_.push_back({.kind = SparkplugAction::Kind::command,
                        .message = {},
                        .name = std::string(control.command),
                        .value = std::move(text)});
  };
  if (std::holds_alternative<std::monostate>(value)) {
    refuse(control.name, "has no value");
  } else if (const auto* text = std::get_if<std::string>(&value)) {
    const std::string fault = fault_of(control, *text);
    if (fault.empty())
      done(*text);
    else
      refuse(control.name, fault);
  } else if (value != MetricValue{true}) {
    return;  // false is what the metric shows: nothing to do
  } else if (control.command == "rebirth") {
    request_rebirth(now);
  } else if (control.command == "next-server") {
    leave(now, options_.brokers > 1);
  } else {
    done("true");
  }
}

}  // namespace omnitide::telemetry
