#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <optional>

#include "agent/base/clock.hpp"
#include "agent/base/text.hpp"
#include "agent/cli/commands.hpp"
#include "agent/cli/hardware.hpp"
#include "agent/cli/status_text.hpp"
#include "agent/codec/facts_codec.hpp"
#include "agent/codec/time.hpp"
#include "omnitide/node/v1/local.pb.h"

namespace omnitide::cli {

namespace v1 = node::v1;

namespace {

constexpr int kShownEvents = 6;

std::string word(v1::PartState state) {
  switch (state) {
    case v1::PART_STATE_STARTING: return "starting";
    case v1::PART_STATE_ON: return "on";
    case v1::PART_STATE_DEGRADED: return "degraded";
    case v1::PART_STATE_FAILED: return "failed";
    default: return "off";
  }
}

Style style(v1::PartState state) {
  switch (state) {
    case v1::PART_STATE_ON: return Style::good;
    case v1::PART_STATE_STARTING:
    case v1::PART_STATE_DEGRADED: return Style::warning;
    case v1::PART_STATE_FAILED: return Style::bad;
    default: return Style::dim;
  }
}

std::string head(const v1::Status& status, WallTime now, const Console& console) {
  const auto up = std::max(now - codec::time_of(status.started()), std::chrono::milliseconds{0});
  std::string out = console.paint(printable(status.hostname()), Style::bold);
  if (!status.node_id().empty()) out += "  " + printable(status.node_id());
  out += status.ready() ? "  " + console.paint("ready", Style::good) : "  " + console.paint("not ready", Style::bad);
  out += fmt::format(", up {}, {} resident, version {}\n", short_duration(up), human_bytes(status.resident_bytes()),
                     printable(status.version()));
  if (!status.not_ready_because().empty()) out += "Not ready: " + printable(status.not_ready_because()) + "\n";
  if (status.ready() && status.ready_after_seconds() > 0) {
    out += fmt::format("Ready {:.0f} ms after its start", status.ready_after_seconds() * 1000);
    if (status.certificate_seconds() > 0)
      out += fmt::format(", of which {:.0f} ms for keys and certificates", status.certificate_seconds() * 1000);
    out += "\n";
  }
  return out;
}

Table parts(const v1::Status& status) {
  Table out({{"PART"}, {"STATE"}, {"DETAIL", false, true}});
  for (const v1::PartStatus& part : status.parts()) {
    bool first = true;
    if (!part.reason().empty() || part.urls().empty()) {
      out.row({part.name(), Cell(word(part.state()), style(part.state())), part.reason()});
      first = false;
    }
    for (const std::string& url : part.urls()) {
      out.row(
          {first ? part.name() : std::string{}, first ? Cell(word(part.state()), style(part.state())) : Cell(""), url});
      first = false;
    }
  }
  return out;
}

std::string when(const google::protobuf::Timestamp& time, WallTime now) {
  const auto away = codec::time_of(time) - now;
  return away.count() > 0 ? "in " + short_duration(away) : short_duration(-away) + " ago";
}

std::string registration(const v1::Status& status, WallTime now) {
  if (!status.has_registration()) return {};
  const v1::RegistrationStatus& r = status.registration();
  std::string out = fmt::format("\nRegistration: {}", printable(r.state()));
  if (!r.endpoint().empty()) out += " at " + printable(r.endpoint());
  if (!r.reason().empty()) out += fmt::format(" ({})", printable(r.reason()));
  if (r.has_last_heartbeat()) out += fmt::format(", last heard {}", when(r.last_heartbeat(), now));
  if (r.has_certificate_expires()) out += fmt::format(", certificate ends {}", when(r.certificate_expires(), now));
  if (r.generation() != r.acknowledged_generation()) {
    out +=
        fmt::format(", generation {} waits to be acknowledged (have {})", r.generation(), r.acknowledged_generation());
  }
  return out + "\n";
}

std::string failed_sources(const v1::Status& status) {
  std::string out;
  for (const v1::SourceStatus& source : status.sources()) {
    if (!source.ok() && !source.error().empty())
      out += fmt::format("Source {} is incomplete: {}\n", printable(source.name()), printable(source.error(), 200));
  }
  return out;
}

std::string events(const v1::Status& status, const Console& console) {
  Table table({{""}, {""}, {""}, {"", false, true}}, 2);
  for (int i = std::max(0, status.events_size() - kShownEvents); i < status.events_size(); ++i) {
    const v1::Event& event = status.events(i);
    const std::string time = format_rfc3339(codec::time_of(event.time()));
    const Style level = event.level() == "error"     ? Style::bad
                        : event.level() == "warning" ? Style::warning
                                                     : Style::dim;
    table.row({time.substr(11, 8), Cell(event.level(), level), event.part(), event.message()});
  }
  return table.empty() ? std::string{} : fmt::format("\nLast events (UTC)\n{}", table.render(console));
}

std::string telemetry(const v1::TelemetryStatus& status, WallTime now) {
  std::uint64_t backlog = 0, dropped = 0;
  std::optional<WallTime> oldest;
  for (const v1::TelemetryStream& stream : status.spool().streams()) {
    backlog += stream.backlog();
    for (const v1::TelemetryDrop& drop : stream.drops())
      dropped += drop.records();
    if (stream.has_oldest()) oldest = std::min(oldest.value_or(WallTime::max()), codec::time_of(stream.oldest()));
  }
  std::string out = fmt::format("\nTelemetry: {}", printable(status.link()));
  if (!status.broker().empty())
    out += fmt::format(" {} {}", status.link() == "connected" ? "to" : "for", printable(status.broker()));
  if (status.has_sparkplug()) out += fmt::format(", Sparkplug {}", printable(status.sparkplug().phase()));
  out += fmt::format(", {} records wait", backlog);
  if (oldest) out += fmt::format(", the oldest for {}", short_duration(std::max(now - *oldest, WallTime::duration{})));
  if (dropped > 0) out += fmt::format(", {} dropped: `omnitide-agent telemetry status`", dropped);
  return out + "\n";
}

int status(const Session& session) {
  v1::Status status;
  if (const Result<> got = session.agent_status(status); got.has_error()) return session.failed(got.error());
  if (session.format() != Format::table) return session.print(status);
  v1::Discovery discovery;
  const Result<> facts = session.agent_facts(discovery);
  return session.print(
      status_text(status, facts.has_value() ? &discovery.facts() : nullptr, wall_now(), session.console()));
}

}  // namespace

std::string status_text(const v1::Status& status, const v1::NodeFacts* facts, WallTime now, const Console& console) {
  std::string out = head(status, now, console);
  if (facts != nullptr) {
    model::NodeFacts values;
    codec::from_proto(*facts, values);
    out += "\n" + hardware_summary(values).render(console);
  }
  out += "\n" + parts(status).render(console) + registration(status, now) + failed_sources(status);
  if (status.has_telemetry()) out += telemetry(status.telemetry(), now);
  return out + events(status, console);
}

void add_status(Command& root, Session& session) {
  Command command = root.add("status", "What the running agent does: parts, URLs, registration, last events");
  session.add_location(command);
  session.add_format(command);
  command.example("omnitide-agent status -o json").footnote("Exits with 3 when no agent answers.").action([&session] {
    return status(session);
  });
}

}  // namespace omnitide::cli
