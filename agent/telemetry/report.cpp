#include "agent/telemetry/report.hpp"

#include <fmt/format.h>

#include <charconv>
#include <cmath>
#include <optional>
#include <type_traits>

#include "agent/base/glob.hpp"
#include "agent/base/text.hpp"

namespace omnitide::telemetry {

namespace {

constexpr std::size_t kMostBands = 256;

std::optional<double> positive(std::string_view text) {
  double out = 0;
  const auto [end, problem] = std::from_chars(text.data(), text.data() + text.size(), out);
  if (problem != std::errc{} || end != text.data() + text.size() || !std::isfinite(out) || out < 0) return std::nullopt;
  return out;
}

// How far two values of one kind are apart; nothing for what has no distance.
std::optional<double> distance(const MetricValue& a, const MetricValue& b) {
  return std::visit(
      [&b](const auto& first) -> std::optional<double> {
        using T = std::remove_cvref_t<decltype(first)>;
        if constexpr (std::is_same_v<T, double>) {
          return std::abs(first - std::get<T>(b));
        } else if constexpr (std::is_same_v<T, std::uint64_t> || std::is_same_v<T, std::int64_t>) {
          const T second = std::get<T>(b);
          return static_cast<double>(first > second ? first - second : second - first);
        } else {
          return std::nullopt;
        }
      },
      a);
}

double size_of(const MetricValue& value) {
  if (const auto* number = std::get_if<double>(&value)) return std::abs(*number);
  if (const auto* number = std::get_if<std::uint64_t>(&value)) return static_cast<double>(*number);
  if (const auto* number = std::get_if<std::int64_t>(&value)) return std::abs(static_cast<double>(*number));
  return 0;
}

bool is_nan(const MetricValue& value) {
  const auto* number = std::get_if<double>(&value);
  return number != nullptr && std::isnan(*number);
}

}  // namespace

Result<std::vector<DeadBand>> parse_dead_bands(std::span<const std::pair<std::string, std::string>> bands) {
  std::vector<DeadBand> out;
  if (bands.size() > kMostBands)
    return fail(Code::resource_exhausted, fmt::format("there are more than {} dead bands", kMostBands));
  for (const auto& [glob, text] : bands) {
    const bool relative = text.ends_with('%');
    const std::optional<double> width = positive(std::string_view(text).substr(0, text.size() - (relative ? 1 : 0)));
    if (glob.empty() || !width) {
      return fail(Code::invalid_argument, fmt::format("'{}' for '{}' is no dead band, which is a number or a part in %",
                                                      printable(text, 64), printable(glob, 64)));
    }
    out.push_back({glob, relative ? *width / 100 : *width, relative});
  }
  return out;
}

Result<std::vector<DeadBand>> parse_dead_band_list(std::string_view text) {
  std::vector<std::pair<std::string, std::string>> bands;
  for (const std::string_view part : split(text, ',')) {
    if (trim(part).empty() && trim(text).empty()) break;
    const std::size_t at = part.rfind('=');
    if (at == std::string_view::npos)
      return fail(Code::invalid_argument, fmt::format("'{}' is not GLOB=BAND", printable(part, 64)));
    bands.emplace_back(trim(part.substr(0, at)), trim(part.substr(at + 1)));
  }
  return parse_dead_bands(bands);
}

std::string dead_band_list(std::span<const DeadBand> bands) {
  std::string out;
  for (const DeadBand& band : bands) {
    if (!out.empty()) out += ',';
    out += band.relative ? fmt::format("{}={:.6g}%", band.glob, band.width * 100)
                         : fmt::format("{}={:.6g}", band.glob, band.width);
  }
  return out;
}

// Of counters: what is too little to be seen in a rate over ten seconds. Nothing is lost by it, since the next report
// has all; what counts faults is told at once. Of quantiles: within a bucket, whose bounds double, they are guessed.
std::vector<std::pair<std::string, std::string>> default_dead_bands() {
  return {{"node_load*", "5%"},
          {"node_cpu_seconds_total*", "0.1"},
          {"node_pressure_*", "0.1"},
          {"process_cpu_seconds_total", "0.1"},
          {"node_memory_Dirty_bytes", "4194304"},
          {"node_memory_*", "2%"},
          {"process_resident_memory_bytes", "2%"},
          {"node_filesystem_*", "0.5%"},
          {"node_disk_*_seconds_total", "0.1"},
          {"node_disk_*_bytes_total", "65536"},
          {"node_network_*_bytes_total", "65536"},
          {"node_network_*_packets_total", "100"},
          {"node_netstat_Tcp_InSegs", "100"},
          {"node_netstat_Tcp_OutSegs", "100"},
          {"omnitide_tcp_bytes_total*", "65536"},
          {"node_hwmon_temp_celsius*", "0.5"},
          {"node_thermal_zone_temp*", "0.5"},
          {"node_hwmon_fan_rpm*", "5%"},
          {"omnitide_nvme_temperature_celsius*", "0.5"},
          {"node_filefd_allocated", "5%"},
          {"node_sockstat_*", "5%"},
          {"node_timex_offset_seconds", "0.001"},
          {"*_seconds*/sum", "0.1"},
          {"*/p50", "50%"},
          {"*/p99", "50%"}};
}

ReportByException::ReportByException(std::vector<DeadBand> bands, std::chrono::milliseconds max_silence)
    : bands_(std::move(bands)), max_silence_(max_silence) {}

void ReportByException::set_dead_bands(std::vector<DeadBand> bands) {
  bands_ = std::move(bands);
  for (auto& [alias, told] : told_)
    told.width = -1;  // to be looked up anew
}

void ReportByException::find_band(const NamedMetric& metric, Told& told) const {
  told.width = 0;
  told.relative = false;
  const std::string full = metric.device.empty() ? metric.name : metric.device + "/" + metric.name;
  for (const DeadBand& band : bands_) {
    if (!glob_matches(band.glob, metric.name) && !glob_matches(band.glob, full)) continue;
    told.width = band.width;
    told.relative = band.relative;
    return;
  }
}

bool ReportByException::is_due(const Told& told, const MetricValue& value, WallTime time) const {
  // After a jump of the clock backwards nobody knows how old the last report is.
  const bool silent = max_silence_.count() > 0 && (time < told.at || time - told.at >= max_silence_);
  if (silent || told.value.index() != value.index()) return true;
  if (is_nan(told.value) || is_nan(value)) return is_nan(told.value) != is_nan(value);
  const std::optional<double> moved = distance(told.value, value);
  if (!moved) return told.value != value;
  return *moved > (told.relative ? told.width * size_of(told.value) : told.width);
}

std::vector<Report> ReportByException::changes(std::span<const KnownMetric> all, WallTime time) {
  std::vector<Report> out;
  ++round_;
  for (const KnownMetric& known : all) {
    const auto [at, fresh] = told_.try_emplace(known.alias);
    Told& told = at->second;
    told.round = round_;
    if (fresh || told.width < 0) find_band(known.metric, told);
    if (!fresh && !is_due(told, known.metric.value, time)) continue;
    told.value = known.metric.value;
    told.at = time;
    auto report = std::find_if(out.rbegin(), out.rend(),
                               [&known](const Report& made) { return made.device == known.metric.device; });
    if (report == out.rend()) {
      out.push_back({known.metric.device, time, {}});
      report = out.rbegin();
    }
    report->values.push_back({known.alias, known.metric.type, known.metric.value});
  }
  if (told_.size() > all.size()) std::erase_if(told_, [this](const auto& told) { return told.second.round != round_; });
  return out;
}

}  // namespace omnitide::telemetry
