// TPMs, watchdog devices, thermal zones and hwmon sensors. Kernel: Documentation/ABI/stable/sysfs-class-tpm,
// Documentation/ABI/testing/sysfs-class-watchdog, -thermal, Documentation/hwmon/sysfs-interface.rst.
// Metric names and labels are those of node_exporter.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>

#include "agent/base/text.hpp"
#include "discovery/sources/catalogue.hpp"
#include "discovery/sources/reader.hpp"
#include "discovery/sources/sysfs.hpp"

namespace omnitide::discovery {

namespace {

using model::MetricDescriptor;
using model::MetricType;
using model::Sample;

constexpr std::size_t kMaxOfClass = 512;    // of each class
constexpr std::size_t kMaxChannels = 1024;  // of one chip
constexpr std::array<std::string_view, 2> kZone{"zone", "type"};
constexpr std::array<std::string_view, 2> kChipSensor{"chip", "sensor"};

constexpr MetricDescriptor kZoneTemperature{"node_thermal_zone_temp", "celsius", "Zone temperature in Celsius",
                                            MetricType::gauge, kZone};

// hwmon counts in thousandths, power in millionths.
struct Channel {
  std::string_view prefix, suffix;
  double divisor;
  MetricDescriptor descriptor;
};
constexpr std::array<Channel, 8> kChannels{{
    {"temp",
     "_input",
     1e3,
     {"node_hwmon_temp_celsius", "celsius", "Hardware monitor for temperature (input)", MetricType::gauge,
      kChipSensor}},
    {"fan",
     "_input",
     1,
     {"node_hwmon_fan_rpm", "", "Hardware monitor for fan revolutions per minute (input)", MetricType::gauge,
      kChipSensor}},
    {"in",
     "_input",
     1e3,
     {"node_hwmon_in_volts", "volts", "Hardware monitor for voltage (input)", MetricType::gauge, kChipSensor}},
    {"curr",
     "_input",
     1e3,
     {"node_hwmon_curr_amps", "amperes", "Hardware monitor for current (input)", MetricType::gauge, kChipSensor}},
    {"power",
     "_input",
     1e6,
     {"node_hwmon_power_watt", "watts", "Hardware monitor for power usage in watts (input)", MetricType::gauge,
      kChipSensor}},
    {"power",
     "_average",
     1e6,
     {"node_hwmon_power_average_watt", "watts", "Hardware monitor power usage in watts (average)", MetricType::gauge,
      kChipSensor}},
    {"energy",
     "_input",
     1e6,
     {"node_hwmon_energy_joule_total", "joules", "Hardware monitor for joules used so far (input)", MetricType::counter,
      kChipSensor}},
    {"humidity",
     "_input",
     1e3,
     {"node_hwmon_humidity", "ratio", "Hardware monitor for humidity (input)", MetricType::gauge, kChipSensor}},
}};

// A sensor that is asleep or unplugged answers EAGAIN, ENODATA and the like: no reading, and no problem.
std::optional<double> reading(const Root& root, const std::string& path) {
  const auto value = parse_number<std::int64_t>(root.attribute(path));
  return value ? std::optional(static_cast<double>(*value)) : std::nullopt;
}

std::vector<std::string> devices(Reader& reader, const std::string& folder, std::string_view prefix) {
  std::vector<std::string> names = reader.names(folder);
  std::erase_if(names, [prefix](const std::string& name) {
    return !name.starts_with(prefix) || !parse_number<std::uint32_t>(std::string_view(name).substr(prefix.size()));
  });
  if (names.size() > kMaxOfClass) {
    reader.problem(fmt::format("more than {} entries in {}, leaving the rest out", kMaxOfClass, folder));
    names.resize(kMaxOfClass);
  }
  return names;
}

std::vector<model::TpmFacts> read_tpms(Reader& reader) {
  std::vector<model::TpmFacts> out;
  for (const std::string& name : devices(reader, "/sys/class/tpm", "tpm")) {
    const std::string folder = fmt::format("/sys/class/tpm/{}", name);
    const std::string major = reader.attribute(folder + "/tpm_version_major");  // since 5.6
    std::string version = major == "2" ? "2.0" : major == "1" ? "1.2" : device_text(major);
    // Before that only drivers of TPM 1.2 have a "caps" file.
    if (version.empty()) version = reader.root().exists(folder + "/device/caps") ? "1.2" : "";
    out.push_back({name, std::move(version)});
  }
  return out;
}

std::vector<model::WatchdogDevice> read_watchdogs(Reader& reader) {
  std::vector<model::WatchdogDevice> out;
  for (const std::string& name : devices(reader, "/sys/class/watchdog", "watchdog")) {
    const std::string folder = fmt::format("/sys/class/watchdog/{}", name);
    out.push_back(
        {name, device_text(reader.attribute(folder + "/identity")), reader.number<std::uint32_t>(folder + "/timeout")});
  }
  return out;
}

void read_zones(Reader& reader, std::vector<model::SensorDevice>& out, std::vector<Sample>& samples) {
  constexpr std::string_view kPrefix = "thermal_zone";
  for (const std::string& name : devices(reader, "/sys/class/thermal", kPrefix)) {
    const std::string folder = fmt::format("/sys/class/thermal/{}", name);
    const std::string type = device_text(reader.attribute(folder + "/type"));
    if (const auto value = reading(reader.root(), folder + "/temp"))
      samples.push_back({&kZoneTemperature, {name.substr(kPrefix.size()), type}, *value / 1000});
    out.push_back({"thermal_zone", name, type, {}});
  }
}

// node_exporter's form of a name: lower case, anything but letters, digits and ":" becomes "_".
std::string label_text(std::string_view text) {
  std::string out = to_lower(text);
  for (char& c : out) {
    if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == ':' || c == '_')) c = '_';
  }
  const std::size_t first = out.find_first_not_of('_');
  if (first == std::string::npos) return {};
  return out.substr(first, out.find_last_not_of('_') - first + 1);
}

// node_exporter's chip label: the last two components of the device's path, "platform_coretemp_0"; without a device the
// chip's name.
std::string chip_label(const Root& root, const std::string& folder, const std::string& type) {
  const std::string link = device_path(root.link_target(folder));
  std::string_view device = parent_path(link);
  if (base_name(device) == "hwmon") device = parent_path(device);
  if (device.empty() || device == "/sys/devices/virtual") return label_text(type);
  return fmt::format("{}_{}", label_text(base_name(parent_path(device))), label_text(base_name(device)));
}

// "temp1_input" -> "temp1" and the metric; nullptr when it is no measured value.
const Channel* channel_of(std::string_view file, std::string& sensor) {
  for (const Channel& channel : kChannels) {
    if (!file.starts_with(channel.prefix) || !file.ends_with(channel.suffix)) continue;
    sensor = file.substr(0, file.size() - channel.suffix.size());
    if (parse_number<std::uint32_t>(std::string_view(sensor).substr(channel.prefix.size()))) return &channel;
  }
  return nullptr;
}

void read_hwmon(Reader& reader, std::vector<model::SensorDevice>& out, std::vector<Sample>& samples) {
  for (const std::string& name : devices(reader, "/sys/class/hwmon", "hwmon")) {
    const std::string folder = fmt::format("/sys/class/hwmon/{}", name);
    model::SensorDevice chip{"hwmon", name, device_text(reader.attribute(folder + "/name")), {}};
    const std::string label = chip_label(reader.root(), folder, chip.type);
    for (const std::string& file : reader.names(folder)) {
      std::string sensor;
      const Channel* channel = channel_of(file, sensor);
      if (channel == nullptr) continue;
      if (chip.channels.size() >= kMaxChannels) {
        reader.problem(fmt::format("{} has more than {} channels, leaving the rest out", folder, kMaxChannels));
        break;
      }
      if (const auto value = reading(reader.root(), fmt::format("{}/{}", folder, file)))
        samples.push_back({&channel->descriptor, {label, sensor}, *value / channel->divisor});
      if (chip.channels.empty() || chip.channels.back() != sensor) chip.channels.push_back(std::move(sensor));
    }
    out.push_back(std::move(chip));
  }
}

Result<Report> read_platform(const Root& root) {
  Reader reader(root);
  Report report;
  std::vector<model::TpmFacts> tpms = read_tpms(reader);
  std::vector<model::WatchdogDevice> watchdogs = read_watchdogs(reader);
  std::vector<model::SensorDevice> sensors;
  read_zones(reader, sensors, report.samples);
  read_hwmon(reader, sensors, report.samples);
  report.problems = std::move(reader).take_problems();
  report.patch = [tpms = std::move(tpms), watchdogs = std::move(watchdogs),
                  sensors = std::move(sensors)](model::NodeFacts& facts) {
    facts.bus.tpms = tpms;
    facts.bus.watchdogs = watchdogs;
    facts.bus.sensors = sensors;
  };
  return report;
}

}  // namespace

Source platform_source() {
  Source source;
  source.name = "platform";
  source.deadline = std::chrono::milliseconds(2000);  // some sensors sit on slow buses
  source.subsystems = {"tpm", "watchdog", "thermal", "hwmon"};
  source.read = read_platform;
  return source;
}

}  // namespace omnitide::discovery
