// `health`: what is wrong with the node, what was done about it, what comes next.
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <memory>

#include "agent/base/text.hpp"
#include "agent/cli/commands.hpp"
#include "agent/cli/health_text.hpp"
#include "omnitide/node/v1/health.pb.h"

namespace omnitide::cli {

namespace v1 = node::v1;

namespace {

template <class Message>
Result<Message> ask(const Session& session, const std::string& method, const std::string& path, std::string body = {},
                    std::chrono::milliseconds timeout = std::chrono::seconds(5)) {
  const Result<std::string> answer = session.agent_request(method, path, std::move(body), {}, timeout);
  if (answer.has_error()) return answer.error();
  Message out;
  if (!out.ParseFromString(*answer)) return fail(Code::data_loss, "the agent's answer is no " + out.GetTypeName());
  return out;
}

bool any_true(const v1::HealthStatus& status) {
  return std::ranges::any_of(status.conditions(), [](const v1::Condition& condition) {
    return condition.status() == v1::CONDITION_STATUS_TRUE;
  });
}

int show(const Session& session, const v1::HealthStatus& status) {
  const int printed = session.format() != Format::table
                          ? session.print(status)
                          : session.print(health_text(status, wall_now(), session.console()));
  return printed == 0 && any_true(status) ? 1 : printed;
}

int show_health(const Session& session) {
  const Result<v1::HealthStatus> status = ask<v1::HealthStatus>(session, "GET", "/v1/health");
  return status.has_error() ? session.failed(status.error()) : show(session, *status);
}

int show_history(const Session& session) {
  const Result<v1::HealthHistory> history = ask<v1::HealthHistory>(session, "GET", "/v1/health/history");
  if (history.has_error()) return session.failed(history.error());
  if (session.format() != Format::table) return session.print(*history);
  return session.print(health_history_text(*history, session.console()));
}

int explain(const Session& session, const std::string& condition) {
  const Result<v1::HealthStatus> status = ask<v1::HealthStatus>(session, "GET", "/v1/health");
  if (status.has_error()) return session.failed(status.error());
  const Result<v1::HealthHistory> history = ask<v1::HealthHistory>(session, "GET", "/v1/health/history");
  if (history.has_error()) return session.failed(history.error());
  const Result<std::string> text = health_explanation(condition, *status, *history, wall_now(), session.console());
  return text.has_error() ? session.failed(text.error()) : session.print(*text);
}

int pause(const Session& session, std::chrono::milliseconds duration) {
  v1::HealthPauseRequest request;
  request.set_seconds(static_cast<std::uint32_t>(std::chrono::ceil<std::chrono::seconds>(duration).count()));
  const Result<std::string> answer = session.agent_request("POST", "/v1/health/pause", request.SerializeAsString());
  if (answer.has_error()) return session.failed(answer.error());
  return session.print(duration.count() == 0 ? std::string("Nothing is mended until `omnitide-agent health resume`\n")
                                             : fmt::format("Nothing is mended for {}\n", format_duration(duration)));
}

int resume(const Session& session) {
  const Result<std::string> answer = session.agent_request("POST", "/v1/health/resume", {});
  if (answer.has_error()) return session.failed(answer.error());
  return session.print("What may be mended is mended again\n");
}

int run_check(const Session& session, const std::string& check) {
  v1::HealthRunRequest request;
  request.set_check(check);
  // A collection ends after five seconds; one check of the operator's may take five minutes.
  const std::chrono::seconds patience{check.empty() ? 15 : 360};
  const Result<v1::HealthStatus> status =
      ask<v1::HealthStatus>(session, "POST", "/v1/health/run", request.SerializeAsString(), patience);
  return status.has_error() ? session.failed(status.error()) : show(session, *status);
}

}  // namespace

void add_health(Command& root, Session& session) {
  Command group = root.add("health", "What is wrong with the node, what was done about it, and what comes next");
  session.add_location(group);
  session.add_format(group);
  group.example("omnitide-agent health\nomnitide-agent health explain DiskPressure")
      .footnote("Exits with 1 while a condition is true.")
      .action([&session] { return show_health(session); });

  Command history = group.add("history", "Changes of conditions, events and remedies, the last 200");
  session.add_location(history);
  session.add_format(history);
  history
      .example(
          "omnitide-agent health history\nomnitide-agent health history -o json | jq '.items[] | select(.kind == "
          "\"remedy\")'")
      .action([&session] { return show_history(session); });

  const auto name = std::make_shared<std::string>();
  Command explained = group.add("explain", "What was seen, what was tried, what is next and when, and what you can do");
  session.add_location(explained);
  explained.argument("CONDITION", *name, "", "As DiskPressure")
      .example("omnitide-agent health explain SystemdUnitFailed")
      .action([&session, name] { return explain(session, *name); });

  const auto duration = std::make_shared<std::chrono::milliseconds>(0);
  Command paused = group.add("pause", "Mend nothing for a while; checks go on");
  session.add_location(paused);
  paused.duration("--for", *duration, "How long; without it until `health resume`")
      .example("omnitide-agent health pause --for 2h")
      .action([&session, duration] { return pause(session, *duration); });

  Command resumed = group.add("resume", "Mend again; what was given up is tried once more, within the budgets");
  session.add_location(resumed);
  resumed.example("omnitide-agent health resume").action([&session] { return resume(session); });

  const auto check = std::make_shared<std::string>();
  Command run = group.add("run", "Make a check now, or all of them");
  session.add_location(run);
  session.add_format(run);
  run.optional_argument("CHECK", *check, "As disk-space; without it all")
      .example("omnitide-agent health run disk-space")
      .action([&session, check] { return run_check(session, *check); });
}

}  // namespace omnitide::cli
