// The conditions of the node as its checks left them. A verdict settles after so many rounds in a row; what has settled
// keeps its `since` until it changes, also across restarts (saved by the daemon). Pure.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "agent/base/clock.hpp"
#include "agent/model/condition.hpp"
#include "health/checks/finding.hpp"

namespace omnitide::health {

// Rounds in a row until a verdict is believed.
struct Hysteresis {
  unsigned bad = 1, good = 1;
  unsigned unknown = 0;  // 0: what was believed stays, however long nothing is learnt
};

// One check's view of one condition.
struct ConditionEntry {
  Finding settled;   // what is believed
  WallTime since{};  // when its verdict became that
  WallTime seen{};   // when the check last spoke
  Verdict leaning = Verdict::unknown;
  unsigned streak = 0;  // rounds that `leaning` has lasted
};

struct ConditionChange {
  Finding finding;  // as it is now
  Verdict before = Verdict::unknown;
  WallTime since{};  // of the verdict before; the epoch when there was none
};

class ConditionStore {
 public:
  static constexpr std::size_t kMostEntries = 256;

  // A change: the verdict that is believed, or the reason of a bad one, is another now. Beyond kMostEntries new pairs
  // of condition and check are ignored.
  std::optional<ConditionChange> apply(Finding finding, Hysteresis hysteresis, WallTime now);

  // Of all checks of a condition the bad ones count first, of these the oldest; then the good ones.
  [[nodiscard]] std::vector<model::Condition> conditions() const;
  [[nodiscard]] const std::vector<ConditionEntry>& entries() const { return entries_; }
  [[nodiscard]] const ConditionEntry* find(std::string_view condition, std::string_view check) const;

  // What was saved by an earlier run. Entries that are there already stay.
  void restore(std::vector<ConditionEntry> entries);
  // What a check said that is gone.
  void forget(std::string_view condition, std::string_view check);

 private:
  std::vector<ConditionEntry> entries_;  // in the order in which they were first heard of
};

}  // namespace omnitide::health
