// `telemetry spool`: what lies on the disk, stream by stream; with the agent dead from the files themselves.
#include <google/protobuf/timestamp.pb.h>

#include "agent/cli/telemetry_commands.hpp"
#include "agent/codec/time.hpp"
#include "agent/telemetry/spool.hpp"
#include "omnitide/node/v1/telemetry_status.pb.h"

namespace omnitide::cli {

namespace v1 = node::v1;

namespace {

void fill(const telemetry::SpoolStatus& status, v1::TelemetrySpool& out) {
  out.set_disk_bytes(status.disk_bytes);
  out.set_segments(status.segments);
  out.set_problem(status.problem);
  for (std::size_t i = 0; i < telemetry::kStreams; ++i) {
    const telemetry::StreamStatus& stream = status.streams.at(i);
    v1::TelemetryStream& row = *out.add_streams();
    row.set_name(std::string(telemetry::kStreamNames.at(i)));
    row.set_backlog(stream.records);
    row.set_backlog_bytes(stream.bytes);
    row.set_first(stream.first);
    row.set_next(stream.next);
    if (stream.records > 0) codec::set_time(stream.oldest, *row.mutable_oldest());
    for (std::size_t cause = 0; cause < telemetry::kDropCauses; ++cause) {
      if (stream.dropped.at(cause) == 0) continue;
      v1::TelemetryDrop& drop = *row.add_drops();
      drop.set_cause(std::string(telemetry::kDropCauseNames.at(cause)));
      drop.set_records(stream.dropped.at(cause));
    }
  }
}

// From the agent, or, when none answers here, from the folder, which is only read.
Result<v1::TelemetrySpool> find_spool(const Session& session) {
  v1::TelemetryStatus status;
  const Result<std::string> answer = session.agent_request("GET", "/v1/telemetry", "");
  if (answer.has_value() && status.ParseFromString(*answer)) return status.spool();
  if (answer.has_error() && answer.error().code == Code::permission_denied) return answer.error();
  const config::Config config = session.load_config().config;
  v1::TelemetrySpool out;
  out.set_folder(config.paths.state_dir + "/telemetry/spool");
  out.set_limit_bytes(config.telemetry.spool.bytes);
  const Result<telemetry::SpoolStatus> found = telemetry::Spool::inspect(out.folder());
  if (found.has_error()) return found.error();
  fill(*found, out);
  return out;
}

int show_spool(const Session& session) {
  const Result<v1::TelemetrySpool> spool = find_spool(session);
  if (spool.has_error()) return session.failed(spool.error());
  if (session.format() != Format::table) return session.print(*spool);
  return session.print(spool_text(*spool, wall_now(), session.console()));
}

}  // namespace

void add_telemetry_spool(Command& group, Session& session) {
  Command command =
      group.add("spool", "What lies on the disk for a broker, stream by stream; works with the agent dead");
  session.add_location(command);
  session.add_format(command);
  command.example("omnitide-agent telemetry spool\nomnitide-agent telemetry spool --state-dir /mnt/var/lib/omnitide")
      .footnote("Only reads. Drops are counted since the spool was made.")
      .action([&session] { return show_spool(session); });
}

}  // namespace omnitide::cli
