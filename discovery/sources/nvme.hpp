// The two pages of an NVMe controller that discovery asks for. Pure decoding; NVM Express Base Specification 2.0,
// figure 275 (Identify Controller) and figure 207 (SMART / Health Information log page).
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "agent/base/error.hpp"
#include "agent/base/root.hpp"

namespace omnitide::discovery {

inline constexpr std::size_t kNvmeIdentifyBytes = 4096, kNvmeSmartBytes = 512;

struct NvmeController {
  std::string model, serial, firmware, nqn;
};

struct NvmeSmartLog {
  std::uint8_t critical_warning = 0;  // bits, 0 is healthy
  double temperature_celsius = 0;
  double available_spare_ratio = 0, spare_threshold_ratio = 0;
  double used_ratio = 0;  // of the rated life; may exceed 1
  // 128-bit counters of the page; a double holds them to 15 digits.
  double read_bytes = 0, written_bytes = 0, read_commands = 0, write_commands = 0;
  double busy_seconds = 0, power_cycles = 0, power_on_seconds = 0;
  double unsafe_shutdowns = 0, media_errors = 0, error_log_entries = 0;
  double warning_temperature_seconds = 0, critical_temperature_seconds = 0;
  // Sensors 1 to 8, those that the controller has.
  std::array<std::optional<double>, 8> sensors_celsius{};
};

// nullopt when the page is too short.
[[nodiscard]] std::optional<NvmeController> decode_nvme_identify(std::string_view page);
[[nodiscard]] std::optional<NvmeSmartLog> decode_nvme_smart(std::string_view page);

// Asks the controller of the machine's own tree, e.g. "nvme0"; needs CAP_SYS_ADMIN. Waits at most half a second.
[[nodiscard]] Result<std::string> read_nvme_identify(const Root& root, const std::string& controller);
[[nodiscard]] Result<std::string> read_nvme_smart(const Root& root, const std::string& controller);

}  // namespace omnitide::discovery
