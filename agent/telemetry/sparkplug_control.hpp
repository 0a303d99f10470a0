// The metrics of an edge node that a host may write to. Their aliases are fixed and below those of AliasTable.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

#include "agent/telemetry/metric_set.hpp"

namespace omnitide::telemetry {

struct ControlMetric {
  std::string_view name, command;  // command: in SparkplugOptions::commands
  DataType type = DataType::boolean;
  std::uint64_t alias = 0;  // 0: none, as the specification wants it for Rebirth
};

inline constexpr std::array<ControlMetric, 6> kControls{{
    {"Node Control/Rebirth", "rebirth", DataType::boolean, 0},
    {"Node Control/Reboot", "reboot", DataType::boolean, 1},
    {"Node Control/Next Server", "next-server", DataType::boolean, 2},
    {"Node Control/Rediscover", "rediscover", DataType::boolean, 3},
    {"Node Control/Interval", "interval", DataType::string, 4},
    {"Node Control/Dead Band", "deadband", DataType::string, 5},
}};

}  // namespace omnitide::telemetry
