// Birth and death of the node and its devices.
#include <algorithm>
#include <utility>

#include "agent/telemetry/sparkplug_control.hpp"
#include "agent/telemetry/sparkplug_payload.hpp"
#include "agent/telemetry/sparkplug_session.hpp"

namespace omnitide::telemetry {

std::string SparkplugSession::topic(std::string_view type, std::string_view device) const {
  std::string out = "spBv1.0/";
  out.append(options_.group).append("/").append(type).append("/").append(options_.node);
  if (!device.empty()) out.append("/").append(device);
  return out;
}

void SparkplugSession::publish(std::string topic, std::string payload) {
  actions_.push_back({.kind = SparkplugAction::Kind::publish,
                      .message = {std::move(topic), std::move(payload)},
                      .name = {},
                      .value = {}});
}

std::uint8_t SparkplugSession::next_seq() { return seq_++; }  // wraps after 255

bool SparkplugSession::allowed(const ControlMetric& control) const {
  return control.command == "rebirth" ||
         std::ranges::find(options_.commands, control.command) != options_.commands.end();
}

// What a host reads at a control metric: false, or the present setting.
static MetricValue shown(const ControlMetric& control,
                         const std::map<std::string, std::string, std::less<>>& settings) {
  if (control.type == DataType::boolean) return false;
  const auto at = settings.find(control.command);
  return at == settings.end() ? MetricValue{} : MetricValue{at->second};
}

std::string SparkplugSession::death_payload(std::optional<WallTime> now) const {
  PayloadWriter out(now);
  const MetricValue value = static_cast<std::int64_t>(bd_seq_);
  out.add({.name = "bdSeq",
           .alias = {},
           .time = now,
           .type = DataType::int64,
           .historical = false,
           .value = &value,
           .unit = {}});
  return std::move(out).finish(std::nullopt);
}

std::string SparkplugSession::birth_payload(const std::string& device, const Group& group, WallTime now) {
  PayloadWriter out(now);
  if (device.empty()) {
    const MetricValue bd_seq = static_cast<std::int64_t>(bd_seq_);
    out.add({.name = "bdSeq",
             .alias = {},
             .time = now,
             .type = DataType::int64,
             .historical = false,
             .value = &bd_seq,
             .unit = {}});
    for (const ControlMetric& control : kControls) {
      if (!allowed(control)) continue;
      const MetricValue value = shown(control, settings_);
      out.add({.name = control.name,
               .alias = control.alias == 0 ? std::nullopt : std::optional(control.alias),
               .time = now,
               .type = control.type,
               .historical = false,
               .value = &value,
               .unit = {}});
    }
  }
  for (const Known& known : group.metrics) {
    out.add({.name = known.metric.name,
             .alias = known.alias,
             .time = metrics_at_,
             .type = known.metric.type,
             .historical = false,
             .value = &known.metric.value,
             .unit = known.metric.unit});
  }
  return std::move(out).finish(next_seq());
}

void SparkplugSession::births(WallTime now) {
  seq_ = 0;
  waiting_counted_ = false;
  host_wants_birth_ = false;
  Group& node = groups_.find("")->second;
  publish(topic("NBIRTH"), birth_payload("", node, now));
  ++counts_.births;
  node.alive = true;
  node.born = node.known;
  node.born_at = now;
  node.values_at = metrics_at_;
  for (auto& [device, group] : groups_)
    if (!device.empty() && !group.metrics.empty()) device_birth(device, group, now);
}

void SparkplugSession::device_birth(const std::string& device, Group& group, WallTime now) {
  publish(topic("DBIRTH", device), birth_payload(device, group, now));
  ++counts_.device_births;
  group.alive = true;
  group.born = group.known;
  group.born_at = now;
  group.values_at = metrics_at_;
}

void SparkplugSession::device_death(const std::string& device, Group& group, WallTime now) {
  publish(topic("DDEATH", device), PayloadWriter(now).finish(next_seq()));
  ++counts_.device_deaths;
  group.alive = false;
  group.born.clear();
}

void SparkplugSession::deaths(WallTime now) {
  for (auto& [device, group] : groups_)
    if (!device.empty() && group.alive) device_death(device, group, now);
  publish(topic("NDEATH"), death_payload(now));
  ++counts_.deaths;
}

void SparkplugSession::show_setting(std::string_view command, WallTime now) {
  const auto control = std::ranges::find(kControls, command, &ControlMetric::command);
  if (phase_ != Phase::online || control == kControls.end() || control->alias == 0 || !allowed(*control)) return;
  PayloadWriter out(now);
  const MetricValue value = shown(*control, settings_);
  out.add(
      {.name = {}, .alias = control->alias, .time = now, .type = {}, .historical = false, .value = &value, .unit = {}});
  publish(topic("NDATA"), std::move(out).finish(next_seq()));
}

}  // namespace omnitide::telemetry
