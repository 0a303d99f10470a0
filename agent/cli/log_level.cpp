#include <fmt/format.h>

#include <memory>

#include "agent/base/clock.hpp"
#include "agent/base/log.hpp"
#include "agent/cli/commands.hpp"
#include "omnitide/node/v1/local.pb.h"

namespace omnitide::cli {

namespace {

struct LogLevelOptions {
  std::string part, level;
  std::chrono::milliseconds duration = std::chrono::minutes(10);
};

int set_log_level(const Session& session, const LogLevelOptions& options) {
  node::v1::LogLevelRequest request;
  request.set_part(options.part);
  request.set_level(options.level);
  request.set_seconds(static_cast<std::uint32_t>(std::chrono::ceil<std::chrono::seconds>(options.duration).count()));
  const Result<std::string> answer = session.agent_request("POST", "/v1/log-level", request.SerializeAsString());
  if (answer.has_error()) return session.failed(answer.error());
  return session.print(
      options.duration.count() == 0
          ? fmt::format("{} logs at {} until the agent ends or reloads\n", options.part, options.level)
          : fmt::format("{} logs at {} for {}\n", options.part, options.level, format_duration(options.duration)));
}

std::string parts() {
  std::string out;
  for (std::size_t i = 0; i < log::kParts; ++i)
    out += fmt::format("{}{}", i == 0 ? "" : "|", log::name(static_cast<log::Part>(i)));
  return out;
}

}  // namespace

void add_log_level(Command& root, Session& session) {
  const auto options = std::make_shared<LogLevelOptions>();
  Command command = root.add("log-level", "Change what a part of the running agent logs, for a while");
  session.add_location(command);
  command.argument("PART", options->part, parts(), "One of " + parts())
      .argument("LEVEL", options->level, "debug|info|warning|error", "debug, info, warning or error")
      .duration("--for", options->duration, "How long, at most 7d (10m); 0s: until the agent ends or reloads")
      .example("omnitide-agent log-level registration debug --for 10m")
      .action([&session, options] { return set_log_level(session, *options); });
}

}  // namespace omnitide::cli
