// A connection that stays open while policy changes.
#pragma once

#include <chrono>
#include <string>

#include "tests/harness/traffic_probe.hpp"

namespace omnitide::test {

class Flow {
 public:
  // TCP or UDP. Throws when nobody answers.
  explicit Flow(const Probe& to);

  // Whether what is sent now comes back. TCP sends again what was lost, so a flow that was cut may live again.
  [[nodiscard]] bool alive(std::chrono::milliseconds patience = std::chrono::milliseconds(900));
  // Whether nothing comes back in the time that a packet may take.
  [[nodiscard]] bool cut() { return !alive(std::chrono::milliseconds(150)); }

 private:
  UniqueFd fd_;
  unsigned count_ = 0;
  std::string unread_;
};

}  // namespace omnitide::test
