// What one check says of one condition of the node, at one time. Plain values.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace omnitide::health {

enum class Verdict : std::uint8_t { unknown, good, bad };

// What was seen, in words: "mountpoint" -> "/var", "available" -> "2.1 %".
using Evidence = std::vector<std::pair<std::string, std::string>>;

struct Finding {
  std::string condition;  // a type as Kubernetes and node-problem-detector name it: "DiskPressure"
  std::string check;      // who says so: "disk-space"
  Verdict verdict = Verdict::unknown;
  std::string reason;   // CamelCase word
  std::string message;  // one sentence without a full stop
  Evidence evidence;
};

}  // namespace omnitide::health
