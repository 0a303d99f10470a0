// NVMe controllers: /sys/class/nvme for the identity, the SMART / health log by ioctl for Samples.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <map>

#include "agent/base/text.hpp"
#include "discovery/sources/catalogue.hpp"
#include "discovery/sources/nvme.hpp"
#include "discovery/sources/reader.hpp"
#include "discovery/sources/sysfs.hpp"

namespace omnitide::discovery {

namespace {

using model::MetricDescriptor;
using model::MetricType;

constexpr std::size_t kMaxNvmeControllers = 256;
constexpr std::array<std::string_view, 1> kDevice{"device"};
constexpr std::array<std::string_view, 2> kDriveSensor{"device", "sensor"};

struct SmartMetric {
  MetricDescriptor descriptor;
  double NvmeSmartLog::*value;
};

constexpr MetricDescriptor gauge(std::string_view name, std::string_view unit, std::string_view help) {
  return {name, unit, help, MetricType::gauge, kDevice};
}
constexpr MetricDescriptor counter(std::string_view name, std::string_view unit, std::string_view help) {
  return {name, unit, help, MetricType::counter, kDevice};
}

constexpr MetricDescriptor kWarning =
    gauge("omnitide_nvme_critical_warning", "", "Critical warning bits of the controller, 0 when healthy.");
constexpr MetricDescriptor kSensorTemperature{"omnitide_nvme_sensor_celsius", "celsius",
                                              "Temperature of one of the controller's sensors.", MetricType::gauge,
                                              kDriveSensor};
constexpr std::array<SmartMetric, 16> kMetrics{{
    {gauge("omnitide_nvme_temperature_celsius", "celsius", "Composite temperature of the controller."),
     &NvmeSmartLog::temperature_celsius},
    {gauge("omnitide_nvme_available_spare_ratio", "ratio", "Spare capacity that is left."),
     &NvmeSmartLog::available_spare_ratio},
    {gauge("omnitide_nvme_available_spare_threshold_ratio", "ratio", "Spare capacity below which the drive warns."),
     &NvmeSmartLog::spare_threshold_ratio},
    {gauge("omnitide_nvme_used_ratio", "ratio", "Used part of the rated life; may exceed 1."),
     &NvmeSmartLog::used_ratio},
    {counter("omnitide_nvme_read_bytes_total", "bytes", "Bytes that hosts read."), &NvmeSmartLog::read_bytes},
    {counter("omnitide_nvme_written_bytes_total", "bytes", "Bytes that hosts wrote."), &NvmeSmartLog::written_bytes},
    {counter("omnitide_nvme_read_commands_total", "", "Read commands completed."), &NvmeSmartLog::read_commands},
    {counter("omnitide_nvme_write_commands_total", "", "Write commands completed."), &NvmeSmartLog::write_commands},
    {counter("omnitide_nvme_busy_seconds_total", "seconds", "Time busy with commands, by the minute."),
     &NvmeSmartLog::busy_seconds},
    {counter("omnitide_nvme_power_cycles_total", "", "Power cycles."), &NvmeSmartLog::power_cycles},
    {counter("omnitide_nvme_power_on_seconds_total", "seconds", "Time under power, by the hour."),
     &NvmeSmartLog::power_on_seconds},
    {counter("omnitide_nvme_unsafe_shutdowns_total", "", "Losses of power without notice."),
     &NvmeSmartLog::unsafe_shutdowns},
    {counter("omnitide_nvme_media_errors_total", "", "Unrecovered data integrity errors."),
     &NvmeSmartLog::media_errors},
    {counter("omnitide_nvme_error_log_entries_total", "", "Error log entries over the life of the controller."),
     &NvmeSmartLog::error_log_entries},
    {counter("omnitide_nvme_warning_temperature_seconds_total", "seconds", "Time above the warning temperature."),
     &NvmeSmartLog::warning_temperature_seconds},
    {counter("omnitide_nvme_critical_temperature_seconds_total", "seconds", "Time above the critical temperature."),
     &NvmeSmartLog::critical_temperature_seconds},
}};

void add_samples(const std::string& controller, const NvmeSmartLog& log, std::vector<model::Sample>& samples) {
  samples.push_back({&kWarning, {controller}, static_cast<double>(log.critical_warning)});
  for (const SmartMetric& metric : kMetrics)
    samples.push_back({&metric.descriptor, {controller}, log.*metric.value});
  for (std::size_t i = 0; i < log.sensors_celsius.size(); ++i) {
    if (log.sensors_celsius[i])
      samples.push_back({&kSensorTemperature, {controller, fmt::format("temp{}", i + 1)}, *log.sensors_celsius[i]});
  }
}

// "nvme0c1n2" -> "nvme0n2", the namespace that hides the path; other namespaces as they are; empty for other entries.
std::string namespace_name(std::string_view entry) {
  if (!entry.starts_with("nvme")) return {};
  const std::size_t path = entry.find('c', 4), space = entry.find('n', 4);
  if (space == std::string_view::npos) return {};
  const std::string_view digits = entry.substr(4, std::min(path, space) - 4);
  const std::string_view number = entry.substr(space + 1);
  if (!parse_number<std::uint32_t>(digits) || !parse_number<std::uint32_t>(number)) return {};
  return fmt::format("nvme{}n{}", digits, number);
}

model::NvmeIdentity read_identity(Reader& reader, const std::string& controller) {
  const std::string folder = fmt::format("/sys/class/nvme/{}", controller);
  model::NvmeIdentity out;
  out.controller = controller;
  out.model = device_text(reader.attribute(folder + "/model"));
  out.serial = device_text(reader.attribute(folder + "/serial"));
  out.firmware = device_text(reader.attribute(folder + "/firmware_rev"));
  out.transport = device_text(reader.attribute(folder + "/transport"));
  out.nqn = device_text(reader.attribute(folder + "/subsysnqn"));
  if (!reader.root().is_machine() || (!out.model.empty() && !out.serial.empty())) return out;
  const Result<std::string> page = read_nvme_identify(reader.root(), controller);
  if (page.has_error()) return out;
  const auto identity = decode_nvme_identify(*page);
  if (!identity) return out;
  if (out.model.empty()) out.model = identity->model;
  if (out.serial.empty()) out.serial = identity->serial;
  if (out.firmware.empty()) out.firmware = identity->firmware;
  if (out.nqn.empty()) out.nqn = identity->nqn;
  return out;
}

Result<Report> read_nvme(const Root& root) {
  Reader reader(root);
  const Result<std::vector<std::string>> names = root.list("/sys/class/nvme");
  if (names.has_error() && names.error().code != Code::not_found) return names.error();
  const std::vector<std::string> controllers = names.has_value() ? *names : std::vector<std::string>{};
  if (controllers.size() > kMaxNvmeControllers)
    reader.problem(fmt::format("more than {} NVMe controllers, leaving the rest out", kMaxNvmeControllers));
  Report report;
  std::map<std::string, model::NvmeIdentity> by_namespace;
  std::size_t count = 0;
  for (const std::string& controller : controllers) {
    if (!controller.starts_with("nvme") || ++count > kMaxNvmeControllers) continue;
    const model::NvmeIdentity identity = read_identity(reader, controller);
    for (const std::string& entry : reader.names(fmt::format("/sys/class/nvme/{}", controller))) {
      const std::string name = namespace_name(entry);
      if (!name.empty()) by_namespace.try_emplace(name, identity);  // of several paths the first
    }
    if (!root.is_machine()) continue;
    const Result<std::string> page = read_nvme_smart(root, controller);
    if (page.has_error()) {
      reader.problem(Error(page.error()).within(fmt::format("SMART log of {}", controller)).text());
    } else if (const auto log = decode_nvme_smart(*page)) {
      add_samples(controller, *log, report.samples);
    }
  }
  report.problems = std::move(reader).take_problems();
  report.patch = [by_namespace = std::move(by_namespace)](model::NodeFacts& facts) {
    for (model::BlockDevice& device : facts.storage.devices) {
      const auto found = by_namespace.find(device.name);
      if (found != by_namespace.end()) device.nvme = found->second;
    }
  };
  return report;
}

}  // namespace

Source nvme_source() {
  Source source;
  source.name = "nvme";
  source.deadline = std::chrono::milliseconds(3000);
  source.subsystems = {"nvme", "block"};
  source.read = read_nvme;
  return source;
}

}  // namespace omnitide::discovery
