// What the checks need and no collector of metrics measures: collectors of the same form, under a root.
#pragma once

#include <string_view>
#include <vector>

#include "agent/base/root.hpp"
#include "agent/model/collector.hpp"

namespace omnitide::health {

inline constexpr std::string_view kFilesystemErrorsProbe = "health.filesystem_errors", kTasksProbe = "health.tasks",
                                  kRoutesProbe = "health.routes", kDiskWearProbe = "health.disk_wear";
// Of the report of omnitide-agent-smart.service.
inline constexpr std::string_view kDiskUsed = "omnitide_disk_used_ratio", kDiskSpare = "omnitide_disk_spare_ratio",
                                  kDiskSpareThreshold = "omnitide_disk_spare_threshold_ratio",
                                  kDiskWarning = "omnitide_disk_critical_warning",
                                  kDiskFailing = "omnitide_disk_failing", kDiskBadSectors = "omnitide_disk_bad_sectors";
// Families of the probes, and of what the daemon adds itself.
inline constexpr std::string_view kFilesystemErrors = "omnitide_health_filesystem_errors",
                                  kTasks = "omnitide_health_tasks", kTasksLimit = "omnitide_health_tasks_limit",
                                  kDefaultRoutes = "omnitide_health_default_routes",
                                  kNameServers = "omnitide_health_name_servers",
                                  kCertificateSeconds = "omnitide_health_certificate_seconds",
                                  kCertificateLifetime = "omnitide_health_certificate_lifetime_seconds",
                                  kCertificateRenewal = "omnitide_health_certificate_renewal_seconds",
                                  kRegistrySilence = "omnitide_health_registry_silence_seconds",
                                  kLoopLag = "omnitide_health_loop_lag_seconds",
                                  kAgentBytes = "omnitide_health_agent_bytes";

[[nodiscard]] std::vector<model::Collector> probes(const Root& root);
// Descriptor of a family that the daemon adds: kCertificateSeconds, kCertificateLifetime and kCertificateRenewal (label
// "certificate"), kRegistrySilence, kLoopLag, kAgentBytes.
[[nodiscard]] const model::MetricDescriptor& daemon_family(std::string_view name);

}  // namespace omnitide::health
