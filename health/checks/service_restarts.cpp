#include "health/checks/service_restarts.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "health/checks/checks.hpp"

namespace omnitide::health {

using std::chrono::milliseconds;

bool ServiceRestarts::count(std::uint64_t counter, milliseconds now) {
  const std::uint64_t before = counted_ ? known_.counter : counter;
  const std::uint64_t fresh = counter >= before ? counter - before : counter;
  const bool news = !counted_ || counter != known_.counter;
  const milliseconds since = counted_ ? std::min(known_.seen, now) : now;
  // The latest ones are enough, however many there were.
  const auto told = static_cast<std::int64_t>(std::min<std::uint64_t>(fresh, kRemembered));
  for (std::int64_t i = 1; i <= told; ++i)
    known_.times.push_back(now -
                           (now - since) * (told - i) / static_cast<std::int64_t>(std::max<std::uint64_t>(fresh, 1)));
  while (known_.times.size() > kRemembered)
    known_.times.pop_front();
  known_.unit = service_.unit;
  known_.counter = counter;
  known_.seen = now;
  counted_ = true;
  return news;
}

void ServiceRestarts::gone() {
  known_ = {};
  counted_ = false;
}

Finding ServiceRestarts::look(milliseconds now) const {
  const std::string name(service_.unit), reason(service_.condition);
  Finding out = unknown(fmt::format("there is no {} here, or systemd cannot be asked", name));
  if (counted_) {
    const auto restarts = static_cast<std::size_t>(std::ranges::count_if(
        known_.times, [now](milliseconds time) { return time >= kBoot && now - time < kWithin; }));
    const std::string said =
        fmt::format("systemd restarted {} {} times within {} minutes", name, restarts, kWithin.count());
    out = restarts >= kMost ? bad(reason, said, {{"unit", name}, {"restarts", std::to_string(restarts)}})
                            : good("No" + reason, said);
  }
  out.condition = service_.condition;
  out.check = service_.check;
  return out;
}

}  // namespace omnitide::health
