// A service that systemd starts again and again: counted by systemd's own NRestarts, judged by the bounds that
// node-problem-detector's rules for systemd have. Pure: it is given the counter and the time since the boot.
#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <string>
#include <string_view>

#include "health/checks/finding.hpp"

namespace omnitide::health {

struct RestartedService {
  std::string_view unit, check, condition;
};
inline constexpr std::array<RestartedService, 2> kRestartedServices{
    {{"kubelet.service", "kubelet-restarts", "FrequentKubeletRestart"},
     {"containerd.service", "containerd-restarts", "FrequentContainerdRestart"}}};

// What is known of one service on this boot; all times are since the boot.
struct RestartCount {
  std::string unit;
  std::uint64_t counter = 0;                    // NRestarts when it was seen last
  std::chrono::milliseconds seen{0};            // when that was
  std::deque<std::chrono::milliseconds> times;  // of restarts, the oldest first; bounded
};

class ServiceRestarts {
 public:
  // A node-problem-detector counts five starts in twenty minutes, of which the first five after the boot do not count.
  static constexpr std::size_t kMost = 5, kRemembered = 64;
  static constexpr std::chrono::minutes kWithin{20}, kBoot{5};

  explicit ServiceRestarts(RestartedService service) : service_(service) {}

  // What an earlier run of the agent saw on this boot.
  void restore(RestartCount known) { known_ = std::move(known), counted_ = true; }
  // The counter as it is now; one that is smaller than before began anew. The first one is where counting begins. Of
  // restarts that were not seen one by one only the number is known: they are spread over the time since the last look.
  // Returns whether anything is new.
  bool count(std::uint64_t counter, std::chrono::milliseconds now);
  // There is no such service.
  void gone();
  [[nodiscard]] Finding look(std::chrono::milliseconds now) const;

  [[nodiscard]] const RestartedService& service() const { return service_; }
  [[nodiscard]] bool counted() const { return counted_; }
  [[nodiscard]] const RestartCount& known() const { return known_; }

 private:
  RestartedService service_;
  RestartCount known_;
  bool counted_ = false;
};

}  // namespace omnitide::health
