// Space, inodes, and filesystems that became read-only or have errors.
#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <memory>
#include <set>

#include "agent/base/text.hpp"
#include "health/checks/checks.hpp"
#include "health/checks/forecast.hpp"
#include "health/checks/probes.hpp"

namespace omnitide::health {

namespace {

using namespace std::chrono_literals;

// The filesystem with the smallest part left, of those that were read and can be written.
struct Scarce {
  std::string mountpoint;
  double percent_left = 101, left = 0;
};

Scarce scarcest(const Readings& readings, std::string_view left_family, std::string_view whole_family) {
  Scarce out;
  readings.each(left_family, [&](const model::SampleView& left) {
    const std::string_view mountpoint = label(left, "mountpoint");
    const auto whole = readings.value(whole_family, "mountpoint", mountpoint);
    const auto readonly = readings.value("node_filesystem_readonly", "mountpoint", mountpoint);
    if (!whole || *whole <= 0 || readonly.value_or(0) != 0) return;
    const double part = left.value / *whole * 100;
    if (part < out.percent_left) out = {std::string(mountpoint), part, left.value};
  });
  return out;
}

struct Space {
  Thresholds thresholds;
  std::map<std::string, Forecast, std::less<>> forecasts;
  static constexpr std::size_t kMostForecasts = 64;

  // The filesystem that will be full first, if one will soon.
  std::optional<std::pair<std::string, std::chrono::seconds>> filling(const Readings& readings) {
    std::optional<std::pair<std::string, std::chrono::seconds>> out;
    std::set<std::string, std::less<>> seen;
    readings.each("node_filesystem_avail_bytes", [&](const model::SampleView& left) {
      const std::string_view mountpoint = label(left, "mountpoint");
      seen.emplace(mountpoint);
      auto each = forecasts.find(mountpoint);
      if (each == forecasts.end()) {
        if (forecasts.size() >= kMostForecasts) return;
        each = forecasts.emplace(mountpoint, Forecast()).first;
      }
      each->second.add(left.value, readings.time());
      const auto lasts = each->second.lasts();
      if (lasts && *lasts < thresholds.disk_lasts && (!out || *lasts < out->second))
        out.emplace(std::string(mountpoint), *lasts);
    });
    std::erase_if(forecasts, [&seen](const auto& each) { return !seen.contains(each.first); });
    return out;
  }

  Finding look(const Readings& readings) {
    const Scarce scarce = scarcest(readings, "node_filesystem_avail_bytes", "node_filesystem_size_bytes");
    const auto fills = filling(readings);
    if (scarce.mountpoint.empty()) return unknown("no filesystem was read");
    const std::string left = percent(scarce.percent_left);
    if (scarce.percent_left < thresholds.disk_percent)
      return bad("DiskSpaceLow", fmt::format("{} has {} of its space left", scarce.mountpoint, left),
                 {{"mountpoint", scarce.mountpoint},
                  {"available", human_bytes(static_cast<unsigned long long>(scarce.left))},
                  {"part", left}});
    if (fills)
      return bad("DiskWillBeFull",
                 fmt::format("{} will be full in {} if it goes on like this", fills->first,
                             format_duration(std::chrono::floor<std::chrono::minutes>(fills->second))),
                 {{"mountpoint", fills->first}, {"seconds", std::to_string(fills->second.count())}});
    return good("DiskHasSpace", fmt::format("the fullest, {}, has {} left", scarce.mountpoint, left));
  }
};

Finding look_at_inodes(const Readings& readings, double least) {
  const Scarce scarce = scarcest(readings, "node_filesystem_files_free", "node_filesystem_files");
  if (scarce.mountpoint.empty()) return unknown("no filesystem was read");
  const std::string left = percent(scarce.percent_left);
  if (scarce.percent_left < least)
    return bad("DiskInodesLow", fmt::format("{} has {} of its inodes left", scarce.mountpoint, left),
               {{"mountpoint", scarce.mountpoint}, {"part", left}});
  return good("DiskHasInodes", fmt::format("the fullest, {}, has {} left", scarce.mountpoint, left));
}

// One that is mounted read-only from the start is meant to be; one that turns so while it is watched is not.
struct Readonly {
  std::set<std::string, std::less<>> writable;  // seen so

  Finding look(const Readings& readings) {
    std::string turned;
    std::size_t read = 0;
    readings.each("node_filesystem_readonly", [&](const model::SampleView& sample) {
      ++read;
      const std::string_view mountpoint = label(sample, "mountpoint");
      if (sample.value == 0) {
        if (writable.size() < 4096) writable.emplace(mountpoint);
      } else if (writable.contains(mountpoint) && turned.empty()) {
        turned = mountpoint;
      }
    });
    if (read == 0) return unknown("no filesystem was read");
    if (!turned.empty())
      return bad("FilesystemIsReadOnly", fmt::format("{} has become read-only", turned), {{"mountpoint", turned}});
    return good("FilesystemIsNotReadOnly", "no filesystem has become read-only");
  }
};

Finding look_at_errors(const Readings& readings) {
  std::string device;
  double errors = 0;
  readings.each(kFilesystemErrors, [&](const model::SampleView& sample) {
    if (sample.value <= errors) return;
    errors = sample.value;
    device = label(sample, "device");
  });
  if (device.empty()) return good("FilesystemHasNoErrors", "no filesystem has recorded errors");
  return bad("FilesystemHasErrors",
             fmt::format("the filesystem on {} has recorded {:.0f} errors; fsck clears them", device, errors),
             {{"device", device}, {"errors", fmt::format("{:.0f}", errors)}});
}

}  // namespace

std::vector<Check> filesystem_checks(const Thresholds& thresholds, const std::vector<std::string>& suspects) {
  const auto space = std::make_shared<Space>(Space{thresholds, {}});
  const auto readonly = std::make_shared<Readonly>(Readonly{{suspects.begin(), suspects.end()}});
  return {
      Check{"disk-space",
            "DiskPressure",
            "Free space of filesystems, and when it will be used up",
            15s,
            {2, 2},
            {"filesystem"},
            [space](const Readings& readings) { return space->look(readings); }},
      Check{"disk-inodes",
            "DiskPressure",
            "Free inodes of filesystems",
            15s,
            {2, 2},
            {"filesystem"},
            [least = thresholds.inode_percent](const Readings& readings) { return look_at_inodes(readings, least); }},
      Check{"readonly",
            "ReadonlyFilesystem",
            "Filesystems that became read-only",
            15s,
            {1, 2},
            {"filesystem"},
            [readonly](const Readings& readings) { return readonly->look(readings); }},
      Check{"filesystem-errors",
            "FilesystemErrors",
            "Errors that ext4 has recorded on its devices",
            60s,
            {1, 1},
            {std::string(kFilesystemErrorsProbe)},
            look_at_errors}};
}

}  // namespace omnitide::health
