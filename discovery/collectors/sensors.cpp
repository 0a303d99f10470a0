// Heat, power, supplies and watchdogs: thermal zones, RAPL, power supplies, hardware watchdogs.
#include <fmt/format.h>

#include <map>

#include "discovery/collectors/collectors.hpp"
#include "discovery/collectors/families.hpp"
#include "discovery/collectors/filter.hpp"
#include "discovery/collectors/learned.hpp"
#include "discovery/collectors/scan.hpp"
#include "discovery/collectors/sysfs_class.hpp"

namespace omnitide::discovery {

namespace {

using model::MetricDescriptor;
using model::SampleBatch;

constexpr std::array<std::string_view, 2> kSensorsByZone{"type", "zone"};
constexpr std::array<std::string_view, 2> kByCooler{"name", "type"};
constexpr std::array kThermal{
    gauge("node_thermal_zone_temp", "Temperature of a thermal zone, in degrees Celsius.", kSensorsByZone),
    gauge("node_cooling_device_cur_state", "How much a cooling device cools.", kByCooler),
    gauge("node_cooling_device_max_state", "How much a cooling device can cool.", kByCooler)};
constexpr auto kThermalAll = pointers(kThermal);

constexpr std::array<std::string_view, 6> kWatchdogLabels{"identity", "name",  "options", "pretimeout_governor",
                                                          "state",    "status"};
constexpr std::array kWatchdog{
    gauge("node_watchdog_bootstatus", "Why the node was booted, as the watchdog's flags.", kByName),
    gauge("node_watchdog_fw_version", "Version of the watchdog's firmware.", kByName),
    gauge("node_watchdog_nowayout", "1 when a watchdog cannot be stopped once it runs.", kByName),
    gauge("node_watchdog_timeleft_seconds", "Time until a watchdog resets the node.", kByName),
    gauge("node_watchdog_timeout_seconds", "Time that a watchdog waits.", kByName),
    gauge("node_watchdog_pretimeout_seconds", "How long before its end a watchdog warns.", kByName),
    gauge("node_watchdog_access_cs0", "1 when the node was started from its first memory (access_cs0).", kByName),
    gauge("node_watchdog_info", "What a watchdog says of itself; the value is 1.", kWatchdogLabels)};
constexpr auto kWatchdogAll = pointers(kWatchdog);
constexpr std::array<const char*, 7> kWatchdogFiles{"bootstatus", "fw_version", "nowayout",  "timeleft",
                                                    "timeout",    "pretimeout", "access_cs0"};

constexpr std::array<std::string_view, 1> kBySupply{"power_supply"};
// Names of the families behind node_power_supply_, files and scales: Documentation/ABI/testing/sysfs-class-power.
struct Supply {
  std::string_view name;
  const char* file;
  double divisor;
};
constexpr double kMicro = 1e6, kTenth = 10;
constexpr std::array kSupply{Supply{"authentic", "authentic", 1},
                             Supply{"calibrate", "calibrate", 1},
                             Supply{"capacity", "capacity", 1},
                             Supply{"capacity_alert_max", "capacity_alert_max", 1},
                             Supply{"capacity_alert_min", "capacity_alert_min", 1},
                             Supply{"cyclecount", "cycle_count", 1},
                             Supply{"online", "online", 1},
                             Supply{"present", "present", 1},
                             Supply{"time_to_empty_seconds", "time_to_empty_now", 1},
                             Supply{"time_to_full_seconds", "time_to_full_now", 1},
                             Supply{"current_boot", "current_boot", kMicro},
                             Supply{"current_max", "current_max", kMicro},
                             Supply{"current_ampere", "current_now", kMicro},
                             Supply{"energy_empty", "energy_empty", kMicro},
                             Supply{"energy_empty_design", "energy_empty_design", kMicro},
                             Supply{"energy_full", "energy_full", kMicro},
                             Supply{"energy_full_design", "energy_full_design", kMicro},
                             Supply{"energy_watthour", "energy_now", kMicro},
                             Supply{"voltage_boot", "voltage_boot", kMicro},
                             Supply{"voltage_max", "voltage_max", kMicro},
                             Supply{"voltage_max_design", "voltage_max_design", kMicro},
                             Supply{"voltage_min", "voltage_min", kMicro},
                             Supply{"voltage_min_design", "voltage_min_design", kMicro},
                             Supply{"voltage_volt", "voltage_now", kMicro},
                             Supply{"voltage_ocv", "voltage_ocv", kMicro},
                             Supply{"charge_control_limit", "charge_control_limit", kMicro},
                             Supply{"charge_control_limit_max", "charge_control_limit_max", kMicro},
                             Supply{"charge_counter", "charge_counter", kMicro},
                             Supply{"charge_empty", "charge_empty", kMicro},
                             Supply{"charge_empty_design", "charge_empty_design", kMicro},
                             Supply{"charge_full", "charge_full", kMicro},
                             Supply{"charge_full_design", "charge_full_design", kMicro},
                             Supply{"charge_ampere", "charge_now", kMicro},
                             Supply{"charge_term_current", "charge_term_current", kMicro},
                             Supply{"constant_charge_current", "constant_charge_current", kMicro},
                             Supply{"constant_charge_current_max", "constant_charge_current_max", kMicro},
                             Supply{"constant_charge_voltage", "constant_charge_voltage", kMicro},
                             Supply{"constant_charge_voltage_max", "constant_charge_voltage_max", kMicro},
                             Supply{"precharge_current", "precharge_current", kMicro},
                             Supply{"input_current_limit", "input_current_limit", kMicro},
                             Supply{"power_watt", "power_now", kMicro},
                             Supply{"temp_celsius", "temp", kTenth},
                             Supply{"temp_alert_max_celsius", "temp_alert_max", kTenth},
                             Supply{"temp_alert_min_celsius", "temp_alert_min", kTenth},
                             Supply{"temp_ambient_celsius", "temp_ambient", kTenth},
                             Supply{"temp_ambient_max_celsius", "temp_ambient_max", kTenth},
                             Supply{"temp_ambient_min_celsius", "temp_ambient_min", kTenth},
                             Supply{"temp_max_celsius", "temp_max", kTenth},
                             Supply{"temp_min_celsius", "temp_min", kTenth}};
// The labels of node_power_supply_info, sorted, and their files; those without a value are left out.
constexpr std::array<std::pair<std::string_view, const char*>, 11> kSupplyInfo{{{"capacity_level", "capacity_level"},
                                                                                {"charge_type", "charge_type"},
                                                                                {"health", "health"},
                                                                                {"manufacturer", "manufacturer"},
                                                                                {"model_name", "model_name"},
                                                                                {"scope", "scope"},
                                                                                {"serial_number", "serial_number"},
                                                                                {"status", "status"},
                                                                                {"technology", "technology"},
                                                                                {"type", "type"},
                                                                                {"usb_type", "usb_type"}}};
// Names and help texts in static storage, for the descriptors.
struct SupplyTexts {
  std::array<std::array<char, 64>, kSupply.size()> names{};
  std::array<std::size_t, kSupply.size()> sizes{};
};
constexpr SupplyTexts kSupplyTexts = [] {
  SupplyTexts out;
  constexpr std::string_view kPrefix = "node_power_supply_";
  for (std::size_t i = 0; i < kSupply.size(); ++i) {
    for (const std::string_view part : {kPrefix, kSupply[i].name})
      for (const char c : part)
        out.names[i][out.sizes[i]++] = c;
  }
  return out;
}();
constexpr auto kSupplyFamilies = [] {
  std::array<MetricDescriptor, kSupply.size()> out{};
  for (std::size_t i = 0; i < out.size(); ++i)
    out[i] = gauge(std::string_view(kSupplyTexts.names[i].data(), kSupplyTexts.sizes[i]),
                   "Attribute of a power supply or battery, in whole units.", kBySupply);
  return out;
}();
constexpr auto kSupplyAll = pointers(kSupplyFamilies);

void add_supply(const std::string& name, Folder& folder, SampleBatch& batch) {
  for (std::size_t i = 0; i < kSupply.size(); ++i)
    if (const auto value = folder.number(kSupply.at(i).file))
      batch.add(kSupplyFamilies.at(i), *value / kSupply.at(i).divisor, {name});
  std::vector<std::string> texts;
  std::vector<std::string_view> labels;
  for (const auto& [label, file] : kSupplyInfo) {
    if (std::string text = folder.label(file); !text.empty()) {
      labels.push_back(label);
      texts.push_back(std::move(text));
    }
  }
  labels.push_back("power_supply");
  texts.push_back(name);
  const std::vector<std::string_view> values(texts.begin(), texts.end());
  const MetricDescriptor& info =
      batch.describe(gauge("node_power_supply_info", "What a power supply says of itself; the value is 1.", labels));
  batch.add(info, 1, values);
}

constexpr std::array<std::string_view, 2> kByPath{"index", "path"};
constexpr std::array<std::string_view, 3> kByRaplZone{"index", "path", "rapl_zone"};
constexpr std::array kRapl{counter("node_rapl_joules_total", "Energy that a RAPL zone used.", kByRaplZone)};
constexpr auto kRaplAll = pointers(kRapl);

// "package-0" -> name "package", index "0"; "core" -> "core", "0".
std::pair<std::string, std::string> zone_name(const std::string& name) {
  const std::size_t hyphen = name.rfind('-');
  if (hyphen != std::string::npos && parse_number<std::uint32_t>(std::string_view(name).substr(hyphen + 1)))
    return {name.substr(0, hyphen), name.substr(hyphen + 1)};
  return {name, {}};
}

std::string clean(std::string_view text) {
  std::string out(text);
  for (char& c : out)
    if ((c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && c != '_') c = '_';
  return out;
}

}  // namespace

Collector thermal_zone_collector(const Root& root) {
  const auto collect = [root](SampleBatch& batch) -> Result<> {
    const std::string path = "/sys/class/thermal";
    return each_folder(root, path, [&batch](const std::string& name, Folder& folder) {
      if (name.starts_with("thermal_zone")) {
        const std::string type = folder.label("type");
        const std::string_view zone = std::string_view(name).substr(12);
        if (const auto value = folder.number("temp")) batch.add(kThermal[0], *value / 1000, {type, zone});
      } else if (name.starts_with("cooling_device")) {
        const std::string type = folder.label("type");
        const std::string_view number = std::string_view(name).substr(14);
        if (const auto value = folder.number("cur_state")) batch.add(kThermal[1], *value, {number, type});
        if (const auto value = folder.number("max_state")) batch.add(kThermal[2], *value, {number, type});
      }
    });
  };
  return {"thermal_zone", kThermalAll, collect, "/sys/class/thermal", kPatient, true};
}

Collector watchdog_collector(const Root& root) {
  const auto collect = [root](SampleBatch& batch) -> Result<> {
    return each_folder(root, "/sys/class/watchdog", [&batch](const std::string& name, Folder& folder) {
      for (std::size_t i = 0; i < kWatchdogFiles.size(); ++i)
        if (const auto value = folder.number(kWatchdogFiles.at(i))) batch.add(kWatchdog.at(i), *value, {name});
      const std::string identity = folder.label("identity"), options = folder.label("options"),
                        governor = folder.label("pretimeout_governor"), state = folder.label("state"),
                        status = folder.label("status");
      batch.add(kWatchdog[7], 1, {identity, name, options, governor, state, status});
    });
  };
  return {"watchdog", kWatchdogAll, collect, "/sys/class/watchdog", kQuick};
}

Collector powersupplyclass_collector(const Root& root, const Settings& settings) {
  const auto supplies = std::make_shared<Filter>("", settings.value("powersupply.ignored_supplies"));
  const auto collect = [root, supplies](SampleBatch& batch) -> Result<> {
    return each_folder(root, "/sys/class/power_supply", [&](const std::string& name, Folder& folder) {
      if (supplies->accepts(name)) add_supply(name, folder, batch);
    });
  };
  return {"powersupplyclass", kSupplyAll, collect, "/sys/class/power_supply", kPatient, true};
}

Collector rapl_collector(const Root& root, const Settings& settings) {
  const bool zone_label = settings.flag("rapl.enable_zone_label");
  const auto collect = [root, zone_label](SampleBatch& batch) -> Result<> {
    std::map<std::string, unsigned> seen;
    const std::string path = "/sys/class/powercap";
    bool denied = false;
    const Result<> listed = each_folder(root, path, [&](const std::string& folder_name, Folder& folder) {
      const std::string said = folder.label("name");
      if (said.empty() || !folder.text("max_energy_range_uj")) return;  // the control type itself
      auto [name, index] = zone_name(said);
      // Zones below a package carry no number: they are counted.
      if (index.empty()) index = std::to_string(seen[name]++);
      const auto energy = folder.number("energy_uj");
      if (!energy) denied = true;
      if (!energy) return;
      const std::string at = fmt::format("{}/{}", path, folder_name);
      if (zone_label) {
        batch.add(kRapl[0], *energy / 1e6, {index, at, name});
        return;
      }
      const std::string family = fmt::format("node_rapl_{}_joules_total", clean(name));
      batch.add(batch.describe(counter(family, "Energy that a RAPL zone used.", kByPath)), *energy / 1e6, {index, at});
    });
    if (listed.has_value() && denied) return fail(Code::permission_denied, "energy_uj may not be read");
    return listed;
  };
  return {"rapl", kRaplAll, collect, "/sys/class/powercap", kQuick};
}

}  // namespace omnitide::discovery
