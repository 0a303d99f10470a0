// The sub-commands of `telemetry`, one file each, and what they share. Inside of the room.
#pragma once

#include <string>

#include "agent/base/clock.hpp"
#include "agent/cli/command.hpp"
#include "agent/cli/session.hpp"
#include "agent/cli/table.hpp"

namespace omnitide::node::v1 {
class TelemetrySpool;
class TelemetryStatus;
}  // namespace omnitide::node::v1

namespace omnitide::cli {

void add_telemetry_status(Command& group, Session& session);
void add_telemetry_tail(Command& group, Session& session);
void add_telemetry_spool(Command& group, Session& session);

[[nodiscard]] std::string telemetry_text(const node::v1::TelemetryStatus& status, WallTime now, const Console& console);
[[nodiscard]] std::string spool_text(const node::v1::TelemetrySpool& spool, WallTime now, const Console& console);

}  // namespace omnitide::cli
