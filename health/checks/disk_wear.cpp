#include "health/checks/disk_wear.hpp"

#include <fmt/format.h>

#include <charconv>
#include <map>
#include <string>
#include <system_error>
#include <utility>

#include "health/checks/checks.hpp"
#include "health/checks/probes.hpp"

namespace omnitide::health {

namespace {

struct Disk {
  std::optional<double> used, spare, threshold, warning, failing, bad_sectors;
};

// Empty: nothing is wrong with it. NVM Express Base Specification 2.0, figure 207, byte 0: spare, temperature,
// reliability, read-only, backup. The temperature is another check's.
std::pair<std::string, std::string> fault_of(const Disk& disk, double most_used) {
  constexpr unsigned kTemperature = 2;
  const unsigned warning = static_cast<unsigned>(disk.warning.value_or(0)) & ~kTemperature;
  if (disk.failing.value_or(0) > 0) return {"DiskFailing", "expects to fail"};
  if (warning != 0) return {"DiskWarns", fmt::format("warns (bits {:#x})", warning)};
  if (disk.spare && disk.threshold && *disk.spare < *disk.threshold)
    return {"DiskSpareLow", fmt::format("has {} of its spare blocks left", percent(*disk.spare * 100))};
  if (disk.used && *disk.used >= most_used)
    return {"DiskWornOut", fmt::format("has used {} of its rated life", percent(*disk.used * 100))};
  return {};
}

}  // namespace

std::optional<DiskValue> parse_disk_value(std::string_view line) {
  constexpr std::string_view kLabel = "{device=\"", kEnd = "\"} ";
  if (line.empty() || line.front() == '#') return std::nullopt;
  DiskValue out;
  if (const std::size_t open = line.find(kLabel); open != std::string_view::npos) {
    const std::size_t name = open + kLabel.size(), close = line.find(kEnd, name);
    if (close == std::string_view::npos) return std::nullopt;
    out.family = line.substr(0, open);
    out.device = line.substr(name, close - name);
    line.remove_prefix(close + kEnd.size());
  } else {
    const std::size_t space = line.find(' ');
    if (space == std::string_view::npos) return std::nullopt;
    out.family = line.substr(0, space);
    line.remove_prefix(space + 1);
  }
  const auto [end, problem] = std::from_chars(line.data(), line.data() + line.size(), out.value);
  if (problem != std::errc() || end != line.data() + line.size() || out.family.empty()) return std::nullopt;
  return out;
}

Finding look_at_disk_wear(const Readings& readings, double most_used_ratio) {
  std::map<std::string, Disk> disks;
  const auto add = [&readings, &disks](std::string_view family, std::optional<double> Disk::*member) {
    readings.each(family, [&](const model::SampleView& sample) {
      disks[std::string(label(sample, "device"))].*member = sample.value;
    });
  };
  add(kDiskUsed, &Disk::used);
  add(kDiskSpare, &Disk::spare);
  add(kDiskSpareThreshold, &Disk::threshold);
  add(kDiskWarning, &Disk::warning);
  add(kDiskFailing, &Disk::failing);
  add(kDiskBadSectors, &Disk::bad_sectors);
  if (disks.empty()) return unknown("no disk was asked: omnitide-agent-smart.timer is not enabled, or there is none");
  for (const auto& [name, disk] : disks) {
    const auto [reason, text] = fault_of(disk, most_used_ratio);
    if (reason.empty()) continue;
    Evidence evidence{{"device", name}};
    if (disk.used) evidence.emplace_back("used", percent(*disk.used * 100));
    if (disk.spare) evidence.emplace_back("spare", percent(*disk.spare * 100));
    if (disk.bad_sectors) evidence.emplace_back("bad_sectors", fmt::format("{:.0f}", *disk.bad_sectors));
    return bad(reason, fmt::format("{} {}", name, text), std::move(evidence));
  }
  return good("DisksWell", fmt::format("{} disks, none worn out", disks.size()));
}

}  // namespace omnitide::health
