// What may be done about a condition, and within which bounds. Plain values.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "agent/base/clock.hpp"

namespace omnitide::health {

enum class ActionKind : std::uint8_t { restart_unit, reboot, vacuum_journal, clean, reset_link, restart_resolver };
inline constexpr std::size_t kActionKinds = 6;

[[nodiscard]] std::string_view name(ActionKind kind);  // "restart-unit", "vacuum-journal", ...
[[nodiscard]] std::optional<ActionKind> action_kind(std::string_view name);

struct Action {
  ActionKind kind = ActionKind::restart_unit;
  std::string target;  // the unit or the link; empty for what is of the node as a whole
  bool operator==(const Action&) const = default;
};

[[nodiscard]] std::string text(const Action& action);  // "restart-unit kubelet.service"

// The steps for one subject of one condition, from the mildest on.
struct Ladder {
  std::string condition;  // "SystemdUnitFailed"
  std::string subject;    // "kubelet.service"; empty: the condition as a whole
  std::vector<Action> steps;
};

// A part of the day, or of one day of the week, in UTC. An end before the beginning is on the next day.
struct Window {
  int weekday = -1;  // 0 is Sunday; -1: each day
  std::chrono::minutes begin{0}, end{0};
  [[nodiscard]] bool contains(WallTime time) const;
};

struct Bounds {
  bool enabled = true, dry_run = false;
  std::uint32_t restarts = 5;                // of one unit in a day
  std::uint32_t repeats = 3;                 // of one action of any other kind in a day
  std::uint32_t actions = 10;                // of all kinds in a day
  std::uint32_t reboots = 0;                 // in a day: 0 or 1; more are never made while no control plane allows them
  std::chrono::milliseconds hold{30'000};    // a fault must last so long before the first step
  std::chrono::milliseconds verify{60'000};  // a step has so long to show that it helped
  // The same of steps that only a round of checks can judge: all but restarts of units, and of the node.
  std::chrono::milliseconds verify_by_checks{300'000};
  std::chrono::milliseconds cooldown{60'000};  // between two actions of the node
  std::chrono::milliseconds backoff{60'000};   // before the second action on a subject, then twice that each time
  std::chrono::milliseconds backoff_cap{3'600'000};
  std::chrono::milliseconds relapse{3'600'000};  // a fault that is back within this is the same fault
  std::vector<Window> windows;                   // when a reboot may be; none: at any time

  [[nodiscard]] std::uint32_t budget(ActionKind kind) const;  // in a day, of one target
  [[nodiscard]] std::chrono::milliseconds verification(ActionKind kind) const;
};

}  // namespace omnitide::health
