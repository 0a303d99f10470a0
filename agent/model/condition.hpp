// A condition of the node, in the form that Kubernetes and node-problem-detector use.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>

namespace omnitide::model {

enum class ConditionStatus : std::uint8_t { unknown, true_, false_ };

struct Condition {
  std::string type;  // "Ready", "MemoryPressure", ...
  ConditionStatus status = ConditionStatus::unknown;
  std::string reason;   // CamelCase word
  std::string message;  // one sentence
  std::chrono::sys_time<std::chrono::milliseconds> since{};
  bool operator==(const Condition&) const = default;
};

}  // namespace omnitide::model
