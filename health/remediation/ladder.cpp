#include "health/remediation/ladder.hpp"

#include <algorithm>
#include <array>

namespace omnitide::health {

namespace {

constexpr std::array<std::string_view, kActionKinds> kNames{"restart-unit", "reboot",     "vacuum-journal",
                                                            "clean",        "reset-link", "restart-resolver"};

}  // namespace

std::string_view name(ActionKind kind) { return kNames.at(static_cast<std::size_t>(kind)); }

std::optional<ActionKind> action_kind(std::string_view name) {
  const auto* found = std::ranges::find(kNames, name);
  if (found == kNames.end()) return std::nullopt;
  return static_cast<ActionKind>(found - kNames.begin());
}

std::string text(const Action& action) {
  std::string out(name(action.kind));
  if (!action.target.empty()) out += " " + action.target;
  return out;
}

std::uint32_t Bounds::budget(ActionKind kind) const {
  if (kind == ActionKind::reboot) return reboots;
  return kind == ActionKind::restart_unit ? restarts : repeats;
}

std::chrono::milliseconds Bounds::verification(ActionKind kind) const {
  return kind == ActionKind::reboot || kind == ActionKind::restart_unit ? verify : verify_by_checks;
}

bool Window::contains(WallTime time) const {
  const auto day = std::chrono::floor<std::chrono::days>(time);
  const auto minute = std::chrono::floor<std::chrono::minutes>(time - day);
  const auto today = static_cast<int>(std::chrono::weekday(day).c_encoding());
  const auto is = [this](int which) { return weekday < 0 || weekday == which; };
  if (begin < end) return is(today) && minute >= begin && minute < end;
  return (is(today) && minute >= begin) || (is((today + 6) % 7) && minute < end);
}

}  // namespace omnitide::health
