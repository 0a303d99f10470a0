#include "agent/cli/doctor.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <iterator>

#include "agent/base/text.hpp"
#include "agent/cli/commands.hpp"
#include "discovery/inventory/ebpf_source.hpp"
#include "discovery/inventory/run_all.hpp"
#include "discovery/sources/catalogue.hpp"
#include "omnitide/node/v1/local.pb.h"

namespace omnitide::cli {

namespace v1 = node::v1;

namespace {

constexpr std::array<std::string_view, 3> kWords{"ok", "warning", "problem"};
constexpr std::array<Style, 3> kStyles{Style::good, Style::warning, Style::bad};

void append(Checks& to, Checks more) { std::ranges::move(more, std::back_inserter(to)); }

Check part_check(const v1::PartStatus& part) {
  const std::string name = "part " + part.name();
  switch (part.state()) {
    case v1::PART_STATE_FAILED:
      return {name, Outcome::problem, "failed: " + part.reason(), "omnitide-agent status; the log has more"};
    case v1::PART_STATE_DEGRADED:
      return {name, Outcome::warning, "degraded: " + part.reason(), "omnitide-agent status"};
    case v1::PART_STATE_OFF: return {name, Outcome::ok, "off: " + part.reason(), ""};
    default: return {name, Outcome::ok, part.reason().empty() ? "on" : part.reason(), ""};
  }
}

int doctor(const Session& session) {
  const Checks checks = check_all(session);
  const bool bad = std::ranges::any_of(checks, [](const Check& check) { return check.outcome == Outcome::problem; });
  int printed = 0;
  if (session.format() == Format::table) {
    printed = session.print(doctor_text(checks, session.console()));
  } else {
    v1::DoctorReport report;
    fill(checks, report);
    printed = session.print(report);
  }
  return printed != 0 ? printed : bad ? 1 : 0;
}

}  // namespace

Checks check_agent(const Session& session, const config::Config& config) {
  v1::Status status;
  if (const Result<> got = session.agent_status(status); got.has_error()) {
    const bool denied = got.error().code == Code::permission_denied;
    Checks out{{"agent", Outcome::warning, got.error().message,
                denied ? "run it with sudo, or as a member of the socket's group" : "systemctl start omnitide-agent"}};
    if (!denied) append(out, check_ports(config));
    return out;
  }
  Checks out;
  if (status.ready()) {
    out.push_back({"agent", Outcome::ok, "runs and is ready, version " + status.version(), ""});
  } else {
    out.push_back(
        {"agent", Outcome::problem, "runs but is not ready: " + status.not_ready_because(), "omnitide-agent status"});
  }
  for (const v1::PartStatus& part : status.parts())
    out.push_back(part_check(part));
  return out;
}

Checks check_discovery(const config::Config& config) {
  const Result<Root> root = Root::machine(config.paths.host_root);
  if (root.has_error()) return {{"discovery", Outcome::problem, root.error().message, ""}};
  std::vector<discovery::Source> sources = discovery::all_sources();
  sources.push_back(discovery::ebpf_source(config.paths.run_dir + "/ebpf-probe", false));
  discovery::Inventory inventory = discovery::run_all(*root, std::move(sources));
  Checks out;
  std::size_t good = 0;
  for (const discovery::SourceStatus& source : inventory.status()) {
    const std::string problem = source.error.empty() ? join(source.problems, "; ") : source.error;
    if (problem.empty()) ++good;
    if (problem.empty()) continue;
    out.push_back({fmt::format("source {}", source.name), Outcome::warning, printable(problem, 300),
                   ::geteuid() == 0 ? "facts of this source may be missing" : "root may read more"});
  }
  out.insert(out.begin(), {"discovery", Outcome::ok, fmt::format("{} sources read without trouble", good), ""});
  std::vector<std::string> missing;
  const std::vector<model::EbpfFeature>& features = inventory.facts().system.ebpf;
  for (const model::EbpfFeature& feature : features) {
    if (!feature.works) missing.push_back(fmt::format("{} ({})", feature.name, feature.reason));
  }
  if (missing.empty()) {
    out.push_back({"eBPF", Outcome::ok, fmt::format("{} of {} features work", features.size(), features.size()), ""});
  } else {
    out.push_back({"eBPF", Outcome::warning,
                   fmt::format("{} of {} features work; not: {}", features.size() - missing.size(), features.size(),
                               join(missing, ", ")),
                   "parts that need these switch themselves off; another kernel or more capabilities may help"});
  }
  return out;
}

Checks check_all(const Session& session) {
  const config::Loaded loaded = session.load_config();
  Checks out;
  if (const Result<Root> root = Root::machine(loaded.config.paths.host_root); root.has_value())
    append(out, check_machine(*root, MachineState::read()));
  append(out, check_discovery(loaded.config));
  append(out, check_configuration(loaded));
  append(out, check_telemetry(loaded.config));
  append(out, check_agent(session, loaded.config));
  return out;
}

void fill(const Checks& checks, v1::DoctorReport& out) {
  for (const Check& check : checks) {
    v1::DoctorCheck& row = *out.add_items();
    row.set_name(check.name);
    row.set_outcome(static_cast<v1::CheckOutcome>(check.outcome));
    row.set_finding(printable(check.finding));
    row.set_advice(check.advice);
  }
}

std::string doctor_text(const Checks& checks, const Console& console) {
  Table table({{""}, {"CHECK"}, {"FINDING", false, true}});
  std::array<std::size_t, 3> counts{};
  for (const Check& check : checks) {
    const auto outcome = static_cast<std::size_t>(check.outcome);
    ++counts.at(outcome);
    table.row({Cell(std::string(kWords.at(outcome)), kStyles.at(outcome)), check.name, check.finding});
    if (!check.advice.empty()) table.row({"", "", "-> " + check.advice});
  }
  return fmt::format("{}\n{} ok, {} {}, {} {}\n", table.render(console), counts[0], counts[1],
                     counts[1] == 1 ? "warning" : "warnings", counts[2], counts[2] == 1 ? "problem" : "problems");
}

void add_doctor(Command& root, Session& session) {
  Command command = root.add("doctor", "What works on this machine, what is missing, and what to do");
  session.add_location(command);
  session.add_format(command);
  command.example("sudo omnitide-agent doctor")
      .footnote("Exits with 1 when a problem is found; warnings are none. Changes nothing.")
      .action([&session] { return doctor(session); });
}

}  // namespace omnitide::cli
