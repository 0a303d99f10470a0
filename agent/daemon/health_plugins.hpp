// Custom plugin monitors of node-problem-detector, as they are: files of plugin "custom", whose rules are programs.
#pragma once

#include <chrono>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "agent/base/error.hpp"
#include "agent/daemon/health_probe.hpp"
#include "health/checks/finding.hpp"

namespace omnitide::daemon {

inline constexpr std::size_t kMostPluginRules = 64;  // of all files together

struct PluginRule {
  bool permanent = false;
  std::string condition, reason;       // condition: empty when it is temporary
  std::vector<std::string> arguments;  // [0] is the program; a relative path begins at /
  std::chrono::milliseconds timeout{};
};

struct PluginFile {
  std::string source;
  std::chrono::milliseconds interval{30'000}, timeout{5'000};
  std::size_t longest = 80, concurrency = 3;
  bool message_updates = false;           // another message of a fault is news
  std::vector<health::Finding> defaults;  // good ones: condition, reason, message
  std::vector<PluginRule> rules;
};

// Nothing: the file is of another plugin. What is not understood is refused with the place of the fault.
[[nodiscard]] Result<std::optional<PluginFile>> parse_plugin_file(std::string_view json);
// Refused as well when others than root may write the file.
[[nodiscard]] Result<std::optional<PluginFile>> load_plugin_file(const std::string& path);

// "1h30m", "1.5s", "100ms": Go's time.ParseDuration, without a sign; nothing when it is none.
[[nodiscard]] std::optional<std::chrono::milliseconds> parse_go_duration(std::string_view text);

// A rule's name is "SOURCE:REASON", with a number behind it when there are several.
[[nodiscard]] std::vector<Probe> plugin_probes(const PluginFile& file, std::size_t group);

}  // namespace omnitide::daemon
