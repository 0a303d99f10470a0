// telemetry_backlog FOLDER MEGABYTES: fills a spool as weeks without a broker would, with events and metrics of an hour
// ago and later, of a thousand bytes each. No agent may run on the folder.
#include <fmt/format.h>

#include <string>

#include "agent/base/text.hpp"
#include "agent/telemetry/spool.hpp"

using namespace omnitide;

int main(int argc, char* argv[]) {
  const auto megabytes = argc == 3 ? parse_number<std::uint64_t>(argv[2]) : std::nullopt;
  if (!megabytes) {
    fmt::print(stderr, "usage: telemetry_backlog FOLDER MEGABYTES\n");
    return 2;
  }
  telemetry::SpoolLimits limits;
  limits.bytes = (*megabytes + 64) << 20U;
  const WallTime now = wall_now();
  auto spool = telemetry::Spool::open(argv[1], limits, now);
  if (spool.has_error()) {
    fmt::print(stderr, "telemetry_backlog: {}\n", spool.error().text());
    return 1;
  }
  std::string payload(1000, 'x');
  const std::uint64_t count = *megabytes * 1000;
  for (std::uint64_t i = 0; i < count; ++i) {
    const WallTime time = now - std::chrono::hours(1) + std::chrono::milliseconds(i);
    const auto stream = i % 2 == 0 ? telemetry::Stream::events : telemetry::Stream::metrics;
    if (const auto taken = (*spool)->append(stream, time, payload, now); taken.has_error()) return 1;
    if (i % 1000 != 999) continue;
    if ((*spool)->write().has_error()) return 1;
  }
  if ((*spool)->write().has_error()) return 1;
  const auto sync = (*spool)->sync();
  return sync && sync().has_error() ? 1 : 0;
}
