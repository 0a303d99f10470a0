// Sensors: /sys/class/hwmon (Documentation/hwmon/sysfs-interface.rst).
#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "discovery/collectors/collectors.hpp"
#include "discovery/collectors/families.hpp"
#include "discovery/collectors/learned.hpp"
#include "discovery/collectors/scan.hpp"
#include "discovery/collectors/sysfs_class.hpp"

namespace omnitide::discovery {

namespace {

using model::MetricDescriptor;
using model::MetricType;
using model::SampleBatch;

constexpr std::array<std::string_view, 2> kHwmonLabels{"chip", "sensor"};
constexpr std::array<std::string_view, 2> kChipLabels{"chip", "chip_name"};
constexpr std::array<std::string_view, 3> kLabelLabels{"chip", "label", "sensor"};
constexpr std::array kKnown{
    gauge("node_hwmon_chip_names", "What a chip calls itself; the value is 1.", kChipLabels),
    gauge("node_hwmon_sensor_label", "What a sensor is called; the value is 1.", kLabelLabels),
    gauge("node_hwmon_beep_enabled", "1 when the alarm beeps.", kHwmonLabels),
    gauge("node_hwmon_voltage_regulator_version", "Version of the voltage regulator.", kHwmonLabels),
    gauge("node_hwmon_update_interval_seconds", "How often a chip measures.", kHwmonLabels)};
constexpr auto kHwmonAll = pointers(kKnown);
constexpr std::array<std::string_view, 13> kTypes{
    "beep_enable", "cpu", "curr", "energy",          "fan", "humidity", "in", "intrusion",
    "power",       "pwm", "temp", "update_interval", "vrm"};
static_assert(std::is_sorted(kTypes.begin(), kTypes.end()));
constexpr std::size_t kMaxSensors = 1024;  // of a chip

// "temp1_crit_alarm" -> "temp", "1", "crit_alarm"; "pwm1" -> "pwm", "1", "".
struct SensorFile {
  std::string_view type, number, element;
};

std::optional<SensorFile> parse_file(std::string_view name) {
  const auto is_digit = [](char c) { return c >= '0' && c <= '9'; };
  SensorFile out;
  const std::size_t digit = static_cast<std::size_t>(std::ranges::find_if(name, is_digit) - name.begin());
  if (digit == name.size()) {
    out.type = name;  // no number: "update_interval", "beep_enable"
  } else {
    out.type = name.substr(0, digit);
    std::string_view rest = name.substr(digit);
    const std::size_t end = static_cast<std::size_t>(std::ranges::find_if_not(rest, is_digit) - rest.begin());
    out.number = rest.substr(0, end);
    rest.remove_prefix(end);
    if (!rest.empty() && rest.front() != '_') return std::nullopt;
    out.element = rest.empty() ? rest : rest.substr(1);
  }
  if (!std::ranges::binary_search(kTypes, out.type)) return std::nullopt;
  return out;
}

// Lower case, other characters than a-z, 0-9, ':' and '_' become '_', none at the ends.
std::string clean(std::string_view text) {
  std::string out = to_lower(trim(text));
  for (char& c : out)
    if ((c < 'a' || c > 'z') && (c < '0' || c > '9') && c != ':') c = '_';
  const std::size_t begin = out.find_first_not_of('_');
  if (begin == std::string::npos) return {};
  return out.substr(begin, out.find_last_not_of('_') + 1 - begin);
}

struct Sensor {
  std::string type;
  std::map<std::string, std::string> elements;
};
using Sensors = std::map<std::string, Sensor>;  // by "temp1"

void read_sensors(const Root& root, const std::string& path, Sensors& out) {
  Result<Folder> folder = Folder::open(root, path);
  if (folder.has_error()) return;
  for (const std::string& name : root.names(path)) {
    const std::optional<SensorFile> file = parse_file(name);
    if (!file || out.size() >= kMaxSensors) continue;
    const std::optional<std::string_view> text = folder->text(name.c_str());
    if (!text) continue;
    // A type without a number counts as number 0.
    Sensor& sensor = out[fmt::format("{}{}", file->type, file->number.empty() ? "0" : file->number)];
    sensor.type = file->type;
    sensor.elements.insert_or_assign(std::string(file->element), std::string(*text));
  }
}

// "platform_coretemp_0": the device's place says more than the number of the chip, which depends on the order of start.
std::string chip_of(const Root& root, const std::string& path, Folder& folder) {
  const std::string device = root.resolve(path + "/device");
  if (!device.empty() && device != path) {
    const std::size_t slash = device.rfind('/');
    const std::string name = clean(std::string_view(device).substr(slash + 1));
    const std::string_view above = std::string_view(device).substr(0, slash);
    const std::string type = clean(above.substr(above.rfind('/') + 1));
    if (!type.empty() && !name.empty()) return type + "_" + name;
    if (!name.empty()) return name;
  }
  if (std::string name = clean(folder.label("name")); !name.empty()) return name;
  const std::string real = root.resolve(path);
  return clean(std::string_view(real).substr(real.rfind('/') + 1));
}

struct Meaning {
  std::string name;
  double scale = 1;
  MetricType type = MetricType::gauge;
};

// The unit follows from the type, that of some elements from themselves.
Meaning meaning_of(std::string_view type, std::string_view element, bool has_plain) {
  Meaning out{fmt::format("node_hwmon_{}", type)};
  // A sensor with a value of its own name keeps _input for the measured one.
  if (element == "input") {
    if (has_plain) out.name += "_input";
  } else if (!element.empty()) {
    out.name += "_" + clean(element);
  }
  if (element == "fault" || element == "alarm") return out;
  if (element == "beep") return {out.name + "_enabled"};
  if (type == "in" || type == "cpu") return {out.name + "_volts", 1e-3};
  if (type == "temp" && element != "type") return {out.name + "_celsius", 1e-3};
  if (type == "curr") return {out.name + "_amps", 1e-3};
  if (type == "energy") return {out.name + "_joule_total", 1e-6, MetricType::counter};
  if (type == "power" && element == "accuracy") return {out.name, 1e-6};
  if (type == "power" && element.starts_with("average_interval")) return {out.name + "_seconds", 1e-3};
  if (type == "power") return {out.name + "_watt", 1e-6};
  if (type == "humidity") return {out.name, 1e-6};
  if (type == "fan" && (element == "input" || element == "min" || element == "max" || element == "target"))
    return {out.name + "_rpm"};
  return out;
}

double scaled(double value, double scale) {
  // Division where the other exporter divides, so that both give the same double.
  return scale == 1e-6 ? value / 1e6 : value * scale;
}

void add_sensor(std::string_view chip, const std::string& name, const Sensor& sensor, SampleBatch& batch) {
  const auto plain = sensor.elements.find("");
  const auto single = [&](const MetricDescriptor& family, double scale) {
    if (plain == sensor.elements.end()) return;
    if (const auto value = value_of(plain->second)) batch.add(family, *value * scale, {chip, name});
  };
  if (sensor.type == "beep_enable") {
    batch.add(kKnown[2], plain != sensor.elements.end() && plain->second == "1" ? 1 : 0, {chip, name});
    return;
  }
  if (sensor.type == "vrm") return single(kKnown[3], 1);
  if (sensor.type == "update_interval") return single(kKnown[4], 1e-3);
  for (const auto& [element, text] : sensor.elements) {
    if (element == "label") {
      batch.add(kKnown[1], 1, {chip, valid_utf8(text), name});
      continue;
    }
    const std::optional<double> value = value_of(text);
    if (!value) continue;
    const Meaning meaning = meaning_of(sensor.type, element, plain != sensor.elements.end());
    if (!is_metric_name(meaning.name)) continue;
    const MetricDescriptor family{meaning.name, unit_of(meaning.name), "Value of a sensor.", meaning.type,
                                  kHwmonLabels};
    batch.add(batch.describe(family), scaled(*value, meaning.scale), {chip, name});
  }
}

}  // namespace

Collector hwmon_collector(const Root& root) {
  const auto collect = [root](SampleBatch& batch) -> Result<> {
    return each_folder(root, "/sys/class/hwmon", [&](const std::string& name, Folder& folder) {
      const std::string path = "/sys/class/hwmon/" + name;
      const std::string chip = chip_of(root, path, folder);
      Sensors sensors;
      read_sensors(root, path, sensors);
      read_sensors(root, path + "/device", sensors);  // where older drivers have them
      if (const std::string called = clean(folder.label("name")); !called.empty())
        batch.add(kKnown[0], 1, {chip, called});
      for (const auto& [sensor, values] : sensors)
        add_sensor(chip, sensor, values, batch);
    });
  };
  return {"hwmon", kHwmonAll, collect, "/sys/class/hwmon", kPatient, true};
}

}  // namespace omnitide::discovery
