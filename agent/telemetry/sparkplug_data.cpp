// NDATA and DDATA.
#include <algorithm>
#include <utility>

#include "agent/telemetry/sparkplug_payload.hpp"
#include "agent/telemetry/sparkplug_session.hpp"

namespace omnitide::telemetry {

namespace {

constexpr std::size_t kMessageBytes = 32'768;  // a data message that has more is closed

// A number in another type of number; null for what cannot be said in it.
MetricValue number_as(const MetricValue& value, DataType type) {
  const auto convert = [type](auto number) -> MetricValue {
    if (type == DataType::double_) return static_cast<double>(number);
    if (type == DataType::uint64 && std::in_range<std::uint64_t>(number)) return static_cast<std::uint64_t>(number);
    if (type == DataType::int64 && std::in_range<std::int64_t>(number)) return static_cast<std::int64_t>(number);
    return {};
  };
  if (const auto* number = std::get_if<std::uint64_t>(&value)) return convert(*number);
  if (const auto* number = std::get_if<std::int64_t>(&value)) return convert(*number);
  if (const auto* number = std::get_if<double>(&value)) {
    if (type == DataType::double_) return *number;
    if (*number >= 0 && *number < 0x1p64 && type == DataType::uint64) return static_cast<std::uint64_t>(*number);
    if (*number >= -0x1p63 && *number < 0x1p63 && type == DataType::int64) return static_cast<std::int64_t>(*number);
  }
  return {};
}

}  // namespace

bool SparkplugSession::born(std::uint64_t alias) const {
  return std::ranges::any_of(groups_, [alias](const auto& named) {
    const Group& group = named.second;
    const auto stand_in = group.stand_ins.find(alias);
    return std::ranges::binary_search(group.born, stand_in == group.stand_ins.end() ? alias : stand_in->second.alias);
  });
}

const ReportedValue& SparkplugSession::stand_in(const Group& group, const ReportedValue& told, ReportedValue& changed) {
  const auto other = group.stand_ins.empty() ? group.stand_ins.end() : group.stand_ins.find(told.alias);
  if (other == group.stand_ins.end()) return told;
  changed = {other->second.alias, other->second.type, number_as(told.value, other->second.type)};
  return changed;
}

std::vector<SparkplugMessage> SparkplugSession::data(std::span<const Report> reports, bool historical, WallTime now) {
  struct Open {
    const std::string* device;
    PayloadWriter payload;
    bool empty = true;
  };
  std::vector<Open> open;  // in the order in which they are sent
  std::map<std::string_view, std::size_t> last;
  if (phase_ != Phase::online) return {};
  for (const Report& report : reports) {
    const auto group = groups_.find(report.device);
    if (group == groups_.end() || !group->second.alive) {
      counts_.unknown_aliases += report.values.size();
      continue;
    }
    const auto [at, fresh] = last.try_emplace(report.device, open.size());
    if (fresh || open[at->second].payload.size() >= kMessageBytes) {
      at->second = open.size();
      open.push_back({&group->first, PayloadWriter(now)});
    }
    for (const ReportedValue& told : report.values) {
      ReportedValue changed;
      const ReportedValue& value = stand_in(group->second, told, changed);
      if (!std::ranges::binary_search(group->second.born, value.alias)) {
        ++counts_.unknown_aliases;
        continue;
      }
      Open& message = open[at->second];
      message.empty = false;
      message.payload.add({.name = {},
                           .alias = value.alias,
                           .time = report.time,
                           .type = {},
                           .historical = historical || report.time < group->second.values_at,
                           .value = &value.value,
                           .unit = {}});
    }
  }
  std::vector<SparkplugMessage> out;
  for (Open& message : open) {
    if (message.empty) continue;
    out.push_back({topic(message.device->empty() ? "NDATA" : "DDATA", *message.device),
                   std::move(message.payload).finish(next_seq())});
  }
  return out;
}

}  // namespace omnitide::telemetry
