// Units of systemd.
#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "discovery/collectors/collectors.hpp"
#include "discovery/collectors/families.hpp"
#include "discovery/collectors/filter.hpp"
#include "discovery/collectors/scan.hpp"
#include "discovery/collectors/systemd_bus.hpp"

namespace omnitide::discovery {

namespace {

using model::SampleBatch;

constexpr std::array<std::string_view, 3> kUnitLabels{"name", "state", "type"};
constexpr std::array<std::string_view, 1> kSystemdUnitsByState{"state"};
constexpr std::array<std::string_view, 1> kByVersion{"version"};
constexpr std::array kSystemdUnitsFamilies{
    gauge("node_systemd_unit_state", "1 for the state that a unit is in.", kUnitLabels),
    gauge("node_systemd_units", "Units by their state.", kSystemdUnitsByState),
    gauge("node_systemd_version", "Version of systemd.", kByVersion),
    gauge("node_systemd_system_running", "1 when the whole system runs and nothing has failed."),
    gauge("node_systemd_timer_last_trigger_seconds", "When a timer went off last, in seconds since 1970.", kByName),
    counter("node_systemd_socket_accepted_connections_total", "Connections that a socket took.", kByName),
    gauge("node_systemd_socket_current_connections", "Connections that a socket has.", kByName),
    gauge("node_systemd_socket_refused_connections_total", "Connections that a socket refused.", kByName),
    counter("node_systemd_service_restart_total", "Times that systemd started a service again.", kByName),
    gauge("node_systemd_unit_start_time_seconds", "When a unit became active, in seconds since 1970.", kByName),
    gauge("node_systemd_unit_tasks_current", "Tasks of a service.", kByName),
    gauge("node_systemd_unit_tasks_max", "Tasks that a service may have.", kByName)};
constexpr auto kSystemdUnitsAll = pointers(kSystemdUnitsFamilies);
constexpr std::array<std::string_view, 5> kSystemdUnitsStates{"activating", "active", "deactivating", "failed",
                                                              "inactive"};

// Patterns of units stand for the whole name.
std::string whole(const std::string& pattern) { return pattern.empty() ? pattern : fmt::format("^({})$", pattern); }

struct SystemdUnitsState {
  Filter units;
  bool restarts, starts, tasks;
  std::optional<SystemdBus> bus;

  Result<> collect(SampleBatch& batch) {
    if (!bus) {
      Result<SystemdBus> opened = SystemdBus::open();
      if (opened.has_error()) return std::move(opened).error();
      bus = std::move(*opened);
    }
    const Result<> added = ask(batch);
    if (added.has_error()) bus.reset();  // the bus may have been started anew
    return added;
  }

  Result<> ask(SampleBatch& batch) {
    std::vector<SystemdUnit> chosen;
    std::map<std::string, double> summary;
    for (const std::string_view state : kSystemdUnitsStates)
      summary.emplace(state, 0);
    const Result<> listed = bus->each_unit([&](const SystemdUnit& unit) {
      ++summary[unit.active_state];
      if (unit.load_state == "loaded" && units.accepts(unit.name)) chosen.push_back(unit);
    });
    if (listed.has_error()) return listed;
    for (const auto& [state, count] : summary)
      batch.add(kSystemdUnitsFamilies[1], count, {state});
    add_manager(batch);
    for (const SystemdUnit& unit : chosen)
      add_unit(unit, batch);
    return {};
  }

  void add_manager(SampleBatch& batch) {
    const std::string version = bus->text(SystemdBus::kManagerPath, "Manager", "Version").value_or("");
    // "252.22-1~deb12u1" -> 252.22
    const std::size_t begin = std::min(version.find_first_of("0123456789"), version.size());
    const std::size_t end = version.find_first_not_of("0123456789.", begin);
    const auto number = value_of(std::string_view(version).substr(begin, end - begin));
    batch.add(kSystemdUnitsFamilies[2], number.value_or(0), {version});
    const auto state = bus->text(SystemdBus::kManagerPath, "Manager", "SystemState");
    batch.add(kSystemdUnitsFamilies[3], state == "running" ? 1 : 0);
  }

  void add_unit(const SystemdUnit& unit, SampleBatch& batch) {
    const bool service = unit.name.ends_with(".service");
    const std::string type = service ? bus->text(unit.path, "Service", "Type").value_or("") : "";
    for (const std::string_view state : kSystemdUnitsStates)
      batch.add(kSystemdUnitsFamilies[0], state == unit.active_state ? 1 : 0, {unit.name, state, type});
    const auto add = [&](std::size_t family, const char* interface, const char* name, double divisor) {
      const auto value = bus->number(unit.path, interface, name);
      // All bits set: no limit, or not counted.
      if (value && *value != UINT64_MAX)
        batch.add(kSystemdUnitsFamilies.at(family), static_cast<double>(*value) / divisor, {unit.name});
    };
    if (unit.name.ends_with(".timer")) add(4, "Timer", "LastTriggerUSec", 1e6);
    if (unit.name.ends_with(".socket")) {
      add(5, "Socket", "NAccepted", 1);
      add(6, "Socket", "NConnections", 1);
      add(7, "Socket", "NRefused", 1);
    }
    if (service && restarts) add(8, "Service", "NRestarts", 1);
    if (starts) {
      if (unit.active_state == "active")
        add(9, "Unit", "ActiveEnterTimestamp", 1e6);
      else
        batch.add(kSystemdUnitsFamilies[9], 0, {unit.name});
    }
    if (service && tasks) {
      add(10, "Service", "TasksCurrent", 1);
      add(11, "Service", "TasksMax", 1);
    }
  }
};

}  // namespace

Collector systemd_collector(const Root&, const Settings& settings) {
  const auto state = std::make_shared<SystemdUnitsState>(SystemdUnitsState{
      Filter(whole(settings.value("systemd.unit_include")), whole(settings.value("systemd.unit_exclude"))),
      settings.flag("systemd.enable_restarts_metrics"), settings.flag("systemd.enable_start_time_metrics"),
      settings.flag("systemd.enable_task_metrics"), std::nullopt});
  return {"systemd", kSystemdUnitsAll, [state](SampleBatch& batch) { return state->collect(batch); },
          "D-Bus",   kPatient,         true};
}

}  // namespace omnitide::discovery
