// `telemetry tail`: messages as the running agent sends them, with the names that their aliases stand for.
#include <fmt/format.h>

#include <cstdio>
#include <memory>

#include "agent/base/text.hpp"
#include "agent/cli/telemetry_commands.hpp"
#include "agent/codec/json.hpp"
#include "omnitide/node/v1/telemetry_status.pb.h"

namespace omnitide::cli {

namespace v1 = node::v1;
using namespace std::chrono_literals;

namespace {

struct TailOptions {
  std::uint32_t count = 0;
  std::string topic;
};

std::string head(const v1::TelemetryMessage& message, const Console& console) {
  const WallTime time{std::chrono::seconds{message.time().seconds()} +
                      std::chrono::milliseconds{message.time().nanos() / 1'000'000}};
  return fmt::format("{} {}  {} B{}\n", format_rfc3339(time), console.paint(printable(message.topic()), Style::bold),
                     message.bytes(), message.historical() ? "  historical" : "");
}

std::string text_of(const v1::TelemetryMessage& message, const Console& console) {
  std::string out = head(message, console);
  for (const v1::TelemetryValue& value : message.values())
    out += fmt::format("    {} = {}\n", printable(value.name()), printable(value.value(), 200));
  if (!message.text().empty()) out += fmt::format("    {}\n", printable(message.text()));
  return out;
}

Result<v1::TelemetryMessageList> ask(const Session& session, std::uint64_t after) {
  const Result<std::string> answer = session.agent_request("GET", "/v1/telemetry/messages", "",
                                                           {{"after", std::to_string(after)}, {"wait", "10000"}}, 20s);
  if (answer.has_error()) return answer.error();
  v1::TelemetryMessageList list;
  if (!list.ParseFromString(*answer)) return fail(Code::data_loss, "the agent's answer is no TelemetryMessageList");
  return list;
}

int tail(const Session& session, const TailOptions& options) {
  std::uint64_t after = 0;
  std::uint32_t shown = 0;
  while (true) {
    const Result<v1::TelemetryMessageList> list = ask(session, after);
    if (list.has_error()) return session.failed(list.error());
    if (list->lost() > 0 && after > 0) fmt::print(stderr, "{} messages were sent too fast to be shown\n", list->lost());
    for (const v1::TelemetryMessage& message : list->items()) {
      if (message.topic().find(options.topic) == std::string::npos) continue;
      const bool json = session.format() == Format::json;
      const int printed = session.print(json ? codec::to_json(message) + "\n" : text_of(message, session.console()));
      std::fflush(stdout);
      if (printed != 0 || (options.count != 0 && ++shown == options.count)) return printed;
    }
    after = list->next();
  }
}

}  // namespace

void add_telemetry_tail(Command& group, Session& session) {
  const auto options = std::make_shared<TailOptions>();
  Command command = group.add("tail", "Messages as they are sent, with names and values, until Ctrl-C");
  session.add_location(command);
  session.add_format(command, "table|json");
  command.number("-n,--count", options->count, "End after so many messages")
      .option("--topic", options->topic, "TEXT", "Only topics with this text in them")
      .example(
          "omnitide-agent telemetry tail --topic DDATA\nomnitide-agent telemetry tail -n 1 --topic /events -o json")
      .footnote("With -o json one message a line. The agent keeps messages for this only while somebody asks.")
      .action([&session, options] { return tail(session, *options); });
}

}  // namespace omnitide::cli
