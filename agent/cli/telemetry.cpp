// `telemetry status`: the session with the broker, what waits to be sent, what was dropped.
#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "agent/base/text.hpp"
#include "agent/cli/commands.hpp"
#include "agent/cli/telemetry_commands.hpp"
#include "agent/codec/time.hpp"
#include "omnitide/node/v1/telemetry_status.pb.h"

namespace omnitide::cli {

namespace v1 = node::v1;

namespace {

std::string since(const google::protobuf::Timestamp& time, WallTime now) {
  return short_duration(std::max(now - codec::time_of(time), std::chrono::milliseconds{0}));
}

std::string rate(double per_second) {
  if (per_second == 0) return {};
  return per_second < 10 ? fmt::format("{:.2f}", per_second) : fmt::format("{:.0f}", per_second);
}

std::string drops(const v1::TelemetryStream& stream) {
  std::string out;
  for (const v1::TelemetryDrop& drop : stream.drops())
    out += fmt::format("{}{} {}", out.empty() ? "" : ", ", drop.records(), drop.cause());
  return out;
}

std::string connection(const v1::TelemetryStatus& status, WallTime now, const Console& console) {
  const bool connected = status.link() == "connected";
  std::string out = "Broker     " + console.paint(status.link(), connected ? Style::good : Style::warning);
  if (!status.broker().empty()) out += fmt::format(" {} {}", connected ? "to" : "for", printable(status.broker()));
  if (status.has_since()) out += fmt::format(" since {}", since(status.since(), now));
  if (status.connects() > 0) out += fmt::format(", connection {}", status.connects());
  if (status.bytes_out() > 0)
    out += fmt::format(", {} sent, {:.0f} B/s", human_bytes(status.bytes_out()), status.bytes_per_second());
  out += "\n";
  if (!status.problem().empty()) {
    out += "           " + console.paint(printable(status.problem()), Style::bad);
    if (status.has_next_attempt() && codec::time_of(status.next_attempt()) > now)
      out += fmt::format("; next attempt in {}", short_duration(codec::time_of(status.next_attempt()) - now));
    out += "\n";
  }
  return out;
}

std::string sparkplug(const v1::TelemetryStatus& status, const Console& console) {
  if (!status.has_sparkplug()) return "Sparkplug  off\n";
  const v1::TelemetrySparkplug& s = status.sparkplug();
  std::string out = "Sparkplug  " + console.paint(s.phase(), s.phase() == "online" ? Style::good : Style::warning);
  if (s.phase() == "waiting for host") out += " " + printable(s.primary_host());
  out += fmt::format(", bdSeq {}, {} metrics, {} devices, every {}; {} births, {} of them rebirths, {} deaths",
                     s.bd_seq(), s.metrics(), s.devices(),
                     format_duration(std::chrono::milliseconds(static_cast<int>(status.interval_seconds() * 1000))),
                     s.births(), s.rebirths(), s.deaths());
  if (s.refused_commands() > 0) out += fmt::format(", {} commands refused", s.refused_commands());
  if (s.stale_states() > 0) out += fmt::format(", {} old STATE messages", s.stale_states());
  return out + "\n";
}

std::string backlog(const v1::TelemetrySpool& spool, WallTime now) {
  std::uint64_t records = 0, bytes = 0;
  std::optional<WallTime> oldest;
  for (const v1::TelemetryStream& stream : spool.streams()) {
    records += stream.backlog();
    bytes += stream.backlog_bytes();
    if (stream.has_oldest()) oldest = std::min(oldest.value_or(WallTime::max()), codec::time_of(stream.oldest()));
  }
  std::string out = fmt::format("Backlog    {} records, {}", records, human_bytes(bytes));
  if (oldest) out += fmt::format(", the oldest {} old", short_duration(std::max(now - *oldest, WallTime::duration{})));
  return out + fmt::format("; {} of {} on disk\n", human_bytes(spool.disk_bytes()), human_bytes(spool.limit_bytes()));
}

std::string disk_problem(const v1::TelemetrySpool& spool, const Console& console) {
  std::string out;
  if (spool.read_only())
    out += console.paint("The disk takes nothing: records wait in memory, up to a bound.", Style::bad) + "\n";
  if (!spool.problem().empty()) out += console.paint(printable(spool.problem()), Style::warning) + "\n";
  return out;
}

std::string streams(const v1::TelemetrySpool& spool, WallTime now, const Console& console) {
  Table table({{"STREAM"},
               {"BACKLOG", true},
               {"OLDEST", true},
               {"TAKEN IN", true},
               {"CONFIRMED", true},
               {"TAKEN/s", true},
               {"CONF./s", true},
               {"HISTORICAL", true},
               {"DROPPED", false, true}});
  for (const v1::TelemetryStream& stream : spool.streams()) {
    table.row({stream.name(), std::to_string(stream.backlog()),
               stream.has_oldest() ? since(stream.oldest(), now) : std::string(), std::to_string(stream.appended()),
               std::to_string(stream.confirmed()), rate(stream.appended_per_second()),
               rate(stream.confirmed_per_second()),
               stream.historical() == 0 ? std::string() : std::to_string(stream.historical()),
               Cell(drops(stream), Style::bad)});
  }
  return table.render(console);
}

int show_status(const Session& session) {
  const Result<std::string> answer = session.agent_request("GET", "/v1/telemetry", "");
  if (answer.has_error()) return session.failed(answer.error());
  v1::TelemetryStatus status;
  if (!status.ParseFromString(*answer))
    return session.failed(fail(Code::data_loss, "the agent's answer is no TelemetryStatus"));
  const int printed = session.format() == Format::table
                          ? session.print(telemetry_text(status, wall_now(), session.console()))
                          : session.print(status);
  return printed != 0 ? printed : status.link() == "connected" ? 0 : 1;
}

}  // namespace

std::string telemetry_text(const v1::TelemetryStatus& status, WallTime now, const Console& console) {
  return connection(status, now, console) + sparkplug(status, console) +
         fmt::format("Names      group {}, node {}, client {}\n", printable(status.group()), printable(status.node()),
                     printable(status.client_id())) +
         backlog(status.spool(), now) + disk_problem(status.spool(), console) + "\n" +
         streams(status.spool(), now, console);
}

std::string spool_text(const v1::TelemetrySpool& spool, WallTime now, const Console& console) {
  std::string out = fmt::format("{}: {} in {} segments", printable(spool.folder()), human_bytes(spool.disk_bytes()),
                                spool.segments());
  if (spool.limit_bytes() > 0) out += fmt::format(", {} allowed", human_bytes(spool.limit_bytes()));
  out += "\n" + disk_problem(spool, console) + "\n";
  Table table({{"STREAM"},
               {"RECORDS", true},
               {"BYTES", true},
               {"FIRST", true},
               {"NEXT", true},
               {"OLDEST"},
               {"DROPPED", false, true}});
  for (const v1::TelemetryStream& stream : spool.streams()) {
    const bool any = stream.backlog() > 0;
    table.row(
        {stream.name(), std::to_string(stream.backlog()), any ? human_bytes(stream.backlog_bytes()) : "",
         any ? std::to_string(stream.first()) : "", std::to_string(stream.next()),
         any ? fmt::format("{} ({} ago)", format_rfc3339(codec::time_of(stream.oldest())), since(stream.oldest(), now))
             : std::string(),
         Cell(drops(stream), Style::bad)});
  }
  return out + table.render(console);
}

void add_telemetry_status(Command& group, Session& session) {
  Command command = group.add("status", "The connection, the births, what waits to be sent, what was dropped and why");
  session.add_location(command);
  session.add_format(command);
  command.example("omnitide-agent telemetry status\nomnitide-agent telemetry status -o json | jq .spool.streams")
      .footnote("Exits with 1 while there is no connection to a broker.")
      .action([&session] { return show_status(session); });
}

void add_telemetry(Command& root, Session& session) {
  Command group = root.add("telemetry", "What is published over MQTT: session, backlog, messages as they are sent");
  group.example("omnitide-agent telemetry status");
  add_telemetry_status(group, session);
  add_telemetry_tail(group, session);
  add_telemetry_spool(group, session);
}

}  // namespace omnitide::cli
