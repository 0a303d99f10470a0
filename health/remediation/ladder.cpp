#include "health/remediation/ladder.hpp"

namespace omnitide::health {

std::string_view name(ActionKind kind) { return kind == ActionKind::reboot ? "reboot" : "restart-unit"; }

std::string text(const Action& action) {
  std::string out(name(action.kind));
  if (!action.target.empty()) out += " " + action.target;
  return out;
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
