// What the disks of the machine say of their wear, as text that Prometheus reads: /run/omnitide-maintenance/smart.prom.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "agent/base/clock.hpp"
#include "agent/base/error.hpp"
#include "agent/base/root.hpp"

namespace omnitide::health {

struct DiskHealth {
  std::string name;  // "nvme0", "sda"
  std::optional<double> used_ratio, spare_ratio, spare_threshold_ratio, critical_warning, failing, bad_sectors;
};

struct DiskReport {
  std::vector<DiskHealth> disks;
  std::vector<std::string> problems;  // disks that could not be asked, each a sentence
};

// NVMe controllers by their SMART log (page 2), ATA disks by SG_IO. Needs root.
[[nodiscard]] DiskReport read_disks(const Root& root);
[[nodiscard]] std::string render(const DiskReport& report, WallTime now);

}  // namespace omnitide::health
