// Whether the node is to take no new work while it is sick. Decided here like every remedy, within the same guards;
// others carry it out, if the fleet lets them. Pure, with the decider's running time.
#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <vector>

#include "health/remediation/decider.hpp"

namespace omnitide::health {

struct QuarantineBounds {
  std::vector<std::string> conditions;  // for which; empty: never
  bool enabled = true, dry_run = false;
  std::uint32_t repeats = 3;                  // in a day
  std::chrono::milliseconds hold{30'000};     // a condition must last so long before
  std::chrono::milliseconds mended{300'000};  // and all of them must be gone so long after
};

// What must survive. Written to disk before anything is begun.
struct QuarantineState {
  std::string condition;  // that it is wanted for; empty: it is not wanted
  bool done = false;      // the node was cordoned for it, once: whoever undoes that has the last word
  std::deque<std::chrono::milliseconds> ledger;  // running time of each beginning in the last day
};

struct QuarantineWorld {
  std::chrono::milliseconds running{0};
  std::vector<std::string> present;  // conditions that are true
  bool blocked = false;              // remediation is paused or locked: what is, stays
};

class Quarantine {
 public:
  explicit Quarantine(QuarantineBounds bounds, QuarantineState saved = {});

  // What is news; saved() is what is wanted from here on. The action of a decision is the default one.
  [[nodiscard]] std::vector<Decision> decide(const QuarantineWorld& world);
  void cordoned(bool done) { state_.done = done; }

  [[nodiscard]] const QuarantineState& saved() const { return state_; }

 private:
  [[nodiscard]] std::string sickness(const QuarantineWorld& world) const;  // the first of them; empty: none
  [[nodiscard]] std::optional<Decision> begin(const std::string& condition, const QuarantineWorld& world);
  [[nodiscard]] std::optional<Decision> end(const QuarantineWorld& world);
  [[nodiscard]] std::optional<Decision> tell(Outcome outcome, const std::string& condition, std::string reason);

  QuarantineBounds bounds_;
  QuarantineState state_;
  std::optional<std::chrono::milliseconds> since_;  // sick and not cordoned, or well and cordoned
  std::string told_;
};

}  // namespace omnitide::health
