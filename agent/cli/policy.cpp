// `policy`: what the running agent enforces, and taking it away.
#include <fmt/format.h>

#include <algorithm>
#include <memory>

#include "agent/base/clock.hpp"
#include "agent/base/text.hpp"
#include "agent/cli/policy_commands.hpp"
#include "ebpf/enforcement/enforcement.hpp"
#include "omnitide/node/v1/local.pb.h"

namespace omnitide::cli {

namespace v1 = node::v1;

namespace {

std::string joined(const google::protobuf::RepeatedPtrField<std::string>& words) {
  std::string out;
  for (const std::string& word : words)
    out += (out.empty() ? "" : " ") + word;
  return out;
}

std::string endpoint_table(const v1::PolicyStatus& status, const Console& console) {
  Table table({{"ENDPOINT"}, {"DEVICE"}, {"", false, true}});
  for (const v1::PolicyEndpoint& endpoint : status.endpoints())
    table.row({endpoint.name(), joined(endpoint.devices()), Cell(endpoint.pending(), Style::warning)});
  for (const v1::PolicyDevice& device : status.devices()) {
    if (device.problem().empty() && device.role() != "closed") continue;
    table.row({device.endpoint(), device.name(),
               Cell(device.problem().empty() ? device.role() : device.problem(), Style::warning)});
  }
  return table.empty() ? "No endpoint on this node.\n" : table.render(console);
}

std::string use_table(const v1::PolicyStatus& status, const Console& console) {
  Table table({{"TABLE"}, {"USED", true}, {"LIMIT", true}, {"", true}});
  for (const v1::PolicyUse& use : status.use()) {
    const double share = use.limit() == 0 ? 0 : static_cast<double>(use.used()) / static_cast<double>(use.limit());
    constexpr double kNearlyFull = 0.8;
    table.row({use.name(), std::to_string(use.used()), std::to_string(use.limit()),
               Cell(fmt::format("{:.0f}%", share * 100), share > kNearlyFull ? Style::warning : Style::plain)});
  }
  return table.render(console);
}

std::string verdict_table(const v1::PolicyStatus& status, const Console& console) {
  Table table({{"DIRECTION"}, {"VERDICT"}, {"PACKETS", true}, {"BYTES", true}});
  for (const v1::PolicyCounter& counter : status.verdicts())
    table.row(
        {counter.direction(), counter.reason(), std::to_string(counter.packets()), std::to_string(counter.bytes())});
  return table.empty() ? "" : "\n" + table.render(console);
}

std::string status_text(const v1::PolicyStatus& status, const Console& console) {
  const double seconds = status.parse_seconds() + status.compile_seconds() + status.publish_seconds();
  std::string out = fmt::format("{} by {}, {} objects, {} changes published, the last in {:.2f} ms\n",
                                status.mode() == "audit" ? "Audits" : "Enforces",
                                status.attached_by().empty() ? "eBPF" : status.attached_by(), status.objects(),
                                status.publications(), seconds * 1000);
  if (!status.live()) out += "Nothing of this start is in force yet.\n";
  if (!status.last_failure().empty())
    out += console.paint(fmt::format("The last policy stays: {}", printable(status.last_failure())), Style::bad) + "\n";
  if (!status.local_delivery().empty())
    out += fmt::format("Egress to the node itself: {}\n", printable(status.local_delivery()));
  for (const std::string& notice : status.notices())
    out += console.paint(printable(notice), Style::warning) + "\n";
  out += "\n" + endpoint_table(status, console) + "\n" + use_table(status, console) + verdict_table(status, console);
  if (status.lost_events() > 0)
    out += fmt::format("{} verdicts were not told: too many at once\n", status.lost_events());
  if (status.faults_size() > 0) out += "\n" + console.paint("Faults:", Style::bad) + "\n";
  for (const v1::PolicyFault& fault : status.faults()) {
    out += fmt::format("{}:{}: {}{}{}: {}{}\n", printable(fault.source()), fault.line(), printable(fault.object()),
                       fault.field().empty() ? "" : ": ", printable(fault.field()), printable(fault.message()),
                       fault.hint().empty() ? "" : " (" + printable(fault.hint()) + ")");
  }
  return out;
}

int show_status(const Session& session) {
  const Result<std::string> answer = session.agent_request("GET", "/v1/policy", "");
  if (answer.has_error()) return session.failed(answer.error());
  v1::PolicyStatus status;
  if (!status.ParseFromString(*answer))
    return session.failed(fail(Code::data_loss, "the agent's answer is no PolicyStatus"));
  const int printed =
      session.format() == Format::table ? session.print(status_text(status, session.console())) : session.print(status);
  return printed != 0 ? printed : status.last_failure().empty() && status.faults_size() == 0 ? 0 : 1;
}

int wait(const Session& session, std::chrono::milliseconds timeout) {
  const Result<std::string> answer =
      session.agent_request("POST", "/v1/policy/wait", "", {{"timeout", std::to_string(timeout.count())}},
                            timeout + std::chrono::seconds(10));
  if (answer.has_error()) return session.failed(answer.error());
  v1::PolicyWaitResponse response;
  if (!response.ParseFromString(*answer))
    return session.failed(fail(Code::data_loss, "the agent's answer is no PolicyWaitResponse"));
  if (session.format() != Format::table) {
    const int printed = session.print(response);
    return printed != 0 ? printed : response.enforced() ? 0 : 1;
  }
  if (response.enforced()) return session.print("Everything on disk is enforced.\n");
  return session.failed(fail(Code::aborted, "not everything on disk is enforced: " + printable(response.reason()))
                            .with_hint("`omnitide-agent policy status` has more"));
}

int detach(const Session& session) {
  const config::Loaded loaded = session.load_config();
  if (!loaded.valid()) return session.failed(loaded.faults);
  v1::Status status;
  if (session.agent_status(status).has_value() && status.has_policy())
    return session.failed(fail(Code::failed_precondition, "an agent that enforces is running, and would attach again")
                              .with_hint("stop it, or set policy.mode to off and restart it, then detach"));
  enforcement::Options options;
  options.pins = loaded.config.policy.pin_dir;
  options.cgroup = loaded.config.policy.cgroup_root;
  const Result<> removed = enforcement::Enforcement::remove(options);
  if (removed.has_error()) return session.failed(removed.error());
  return session.print(fmt::format("Nothing is enforced any more; {} is empty.\n", options.pins));
}

}  // namespace

void add_policy_status(Command& group, Session& session) {
  Command command = group.add("status", "What is enforced on this node, how full the tables are, what is wrong");
  session.add_location(command);
  session.add_format(command);
  command.example("omnitide-agent policy status")
      .footnote("Exits with 1 when an object is wrong or the last change could not be published.")
      .action([&session] { return show_status(session); });
}

void add_policy_wait(Command& group, Session& session) {
  const auto timeout = std::make_shared<std::chrono::milliseconds>(std::chrono::seconds(5));
  Command command = group.add("wait", "Return when everything that is on disk now is enforced");
  session.add_location(command);
  session.add_format(command);
  command.duration("--timeout", *timeout, "How long to wait (5s)")
      .example("omnitide-agent policy wait --timeout 5s && ./smoke-test")
      .footnote("Exits with 1 when the time is over first, or an object is wrong.")
      .action([&session, timeout] { return wait(session, *timeout); });
}

void add_policy_detach(Command& group, Session& session) {
  Command command = group.add("detach", "Take away all that is enforced: programs, tables and pins");
  session.add_location(command);
  command.example("omnitide-agent policy detach").action([&session] { return detach(session); });
}

void add_policy(Command& root, Session& session) {
  Command group = root.add("policy", "Network policy: what is enforced, and why");
  group.example("omnitide-agent policy status");
  add_policy_check(group, session);
  add_policy_explain(group, session);
  add_policy_matrix(group, session);
  add_policy_diff(group, session);
  add_policy_status(group, session);
  add_policy_wait(group, session);
  add_policy_detach(group, session);
}

}  // namespace omnitide::cli
