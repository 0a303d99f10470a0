// A runtime's network configuration list (CNI specification, section 1), and our plugin's entry in it. Everything else
// in the text stays as its owner wrote it. Pure.
#pragma once

#include <array>
#include <chrono>
#include <string>
#include <string_view>
#include <vector>

#include "agent/base/error.hpp"

namespace omnitide::cni {

inline constexpr std::string_view kPluginType = "omnitide-cni";
// Versions of the specification that the plugin speaks.
inline constexpr std::array<std::string_view, 4> kVersions{"0.3.1", "0.4.0", "1.0.0", "1.1.0"};
[[nodiscard]] bool speaks(std::string_view version);

// What the plugin is told. Paths are the node's.
struct Settings {
  std::string socket;  // where the agent listens
  std::string pins;    // the folder of the agent's pins, in a bpffs
  bool absent_closed = true;
  std::chrono::seconds timeout{5};
};
[[nodiscard]] std::string entry_of(const Settings& settings);  // JSON, on one line

// The list with `entry` as its last plugin, or in place of ours if it has one. Fails with a sentence when nothing may
// be chained to it: it is no list, has no plugin, or has a version that ours does not speak.
[[nodiscard]] Result<std::string> chain(std::string_view list, std::string_view entry);
// The list without ours, byte by byte as it was before chain(). Fails when none would be left.
[[nodiscard]] Result<std::string> unchain(std::string_view list);

// The types of a list's plugins in their order; of a single plugin's configuration its own. Empty: it is neither.
[[nodiscard]] std::vector<std::string> plugin_types(std::string_view text);

}  // namespace omnitide::cni
