#include "agent/daemon/health_services.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <utility>

namespace omnitide::daemon {

using health::ServiceRestarts;

HealthServices::HealthServices(Root root, const std::vector<std::string>& excluded,
                               std::vector<health::RestartCount> known)
    : root_(std::move(root)) {
  for (const health::RestartedService& service : health::kRestartedServices) {
    if (std::ranges::find(excluded, service.check) != excluded.end()) continue;
    ServiceRestarts& each = services_.emplace_back(service);
    const auto saved = std::ranges::find(known, service.unit, &health::RestartCount::unit);
    if (saved != known.end()) each.restore(std::move(*saved));
  }
}

std::vector<std::string> HealthServices::installed() const {
  // systemd.unit(5): where an administrator, a package or another program puts them.
  constexpr std::array kFolders{"/etc/systemd/system/", "/run/systemd/system/", "/usr/local/lib/systemd/system/",
                                "/usr/lib/systemd/system/", "/lib/systemd/system/"};
  std::vector<std::string> out;
  if (!root_.exists("/run/systemd/system")) return out;  // as sd_booted(3)
  for (const ServiceRestarts& each : services_) {
    const std::string unit(each.service().unit);
    if (std::ranges::any_of(kFolders, [&](const char* folder) { return root_.exists(folder + unit); }))
      out.push_back(unit);
  }
  return out;
}

bool HealthServices::take(const discovery::SystemdUnit& unit, std::chrono::milliseconds now) {
  for (ServiceRestarts& each : services_) {
    if (each.service().unit != unit.name) continue;
    if (unit.restarts) return each.count(*unit.restarts, now);
    if (unit.load_state == "not-found" && each.counted()) {
      each.gone();
      return true;
    }
  }
  return false;
}

std::vector<health::Finding> HealthServices::look(std::chrono::milliseconds now) const {
  std::vector<health::Finding> out;
  for (const ServiceRestarts& each : services_)
    out.push_back(each.look(now));
  return out;
}

bool HealthServices::has(std::string_view check) const {
  return std::ranges::any_of(services_, [check](const auto& each) { return each.service().check == check; });
}

std::string HealthServices::what(std::string_view check) {
  const auto* found = std::ranges::find(health::kRestartedServices, check, &health::RestartedService::check);
  if (found == health::kRestartedServices.end()) return {};
  return fmt::format("How often systemd restarts {}: {} times within {} minutes are too many", found->unit,
                     ServiceRestarts::kMost, ServiceRestarts::kWithin.count());
}

std::vector<health::RestartCount> HealthServices::known() const {
  std::vector<health::RestartCount> out;
  for (const ServiceRestarts& each : services_)
    if (each.counted()) out.push_back(each.known());
  return out;
}

}  // namespace omnitide::daemon
