// Whether a part of the agent runs, and why not. A part that cannot work here switches itself off with one reason.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace omnitide::model {

enum class PartState : std::uint8_t { off, starting, on, degraded, failed };

struct PartStatus {
  std::string name;  // "discovery", "registration", "http", ...
  PartState state = PartState::off;
  std::string reason;             // why it is off, degraded or failed; for "on" a short fact worth knowing
  std::vector<std::string> urls;  // what it listens on or talks to, with paths
};

}  // namespace omnitide::model
