// Services of Kubernetes that systemd restarts too often: which of them this node has, and what is known of them.
#pragma once

#include <chrono>
#include <string>
#include <string_view>
#include <vector>

#include "agent/base/root.hpp"
#include "discovery/collectors/systemd_bus.hpp"
#include "health/checks/finding.hpp"
#include "health/checks/service_restarts.hpp"

namespace omnitide::daemon {

class HealthServices {
 public:
  // `excluded`: names of checks that are not made. `known`: of an earlier run of the agent on this boot.
  HealthServices(Root root, const std::vector<std::string>& excluded, std::vector<health::RestartCount> known);

  // Their units, as far as systemd runs here and has a file for them; to be asked again, since one may be installed.
  [[nodiscard]] std::vector<std::string> installed() const;
  // What systemd says of a unit now; others are passed over. `now`: since the boot. Whether there is something to save.
  bool take(const discovery::SystemdUnit& unit, std::chrono::milliseconds now);
  [[nodiscard]] std::vector<health::Finding> look(std::chrono::milliseconds now) const;

  [[nodiscard]] bool has(std::string_view check) const;
  [[nodiscard]] static std::string what(std::string_view check);  // for people; empty: it is none of these
  [[nodiscard]] std::size_t size() const { return services_.size(); }
  [[nodiscard]] std::vector<health::RestartCount> known() const;

 private:
  Root root_;
  std::vector<health::ServiceRestarts> services_;
};

}  // namespace omnitide::daemon
