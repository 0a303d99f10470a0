// `config check`, `config show`, and what packaging and docs are generated from.
#include <fmt/format.h>

#include <cstdio>

#include "agent/cli/commands.hpp"
#include "agent/config/render.hpp"
#include "omnitide/node/v1/local.pb.h"

namespace omnitide::cli {

namespace {

node::v1::ConfigReport report_of(const config::Loaded& loaded) {
  node::v1::ConfigReport out;
  out.set_valid(loaded.valid());
  for (const std::string& file : loaded.config.files)
    out.add_files(file);
  for (const config::Fault& fault : loaded.faults) {
    node::v1::ConfigFault& row = *out.add_faults();
    row.set_file(fault.file);
    row.set_line(fault.line);
    row.set_field(fault.field);
    row.set_message(fault.message);
    row.set_hint(fault.hint);
  }
  return out;
}

int check(const Session& session) {
  const config::Loaded loaded = session.load_config();
  const int verdict = loaded.valid() ? 0 : exit_code(Code::invalid_argument);
  if (session.format() != Format::table) {
    const int printed = session.print(report_of(loaded));
    return printed == 0 ? verdict : printed;
  }
  std::string out;
  for (const config::Fault& fault : loaded.faults)
    out += fault.text() + "\n";
  for (const std::string& warning : loaded.warnings)
    out += fmt::format("note: {}\n", warning);
  const std::string files = loaded.config.files.empty() ? "defaults only, no file was there"
                                                        : fmt::format("{}", fmt::join(loaded.config.files, ", "));
  if (loaded.valid()) {
    out += fmt::format("The configuration is good: {}\n", files);
  } else {
    out +=
        fmt::format("{} {} found: {}\n", loaded.faults.size(), loaded.faults.size() == 1 ? "fault" : "faults", files);
  }
  const int printed = session.print(out);
  return printed == 0 ? verdict : printed;
}

int show(const Session& session) {
  const config::Loaded loaded = session.load_config();
  const int printed =
      session.print(session.format() == Format::json ? config::show_json(loaded) : config::show_yaml(loaded));
  if (!loaded.valid()) return session.failed(loaded.faults);
  return printed;
}

// A rule by which systemd restarts what the configuration names, and logind the node, when the agent's user asks.
int polkit(const Session& session) {
  const config::Loaded loaded = session.load_config();
  if (!loaded.valid()) return session.failed(loaded.faults);
  const config::HealthConfig& health = loaded.config.health;
  std::vector<std::string> units = health.units;
  if (!health.remediation.restart_resolver.empty()) units.push_back(health.remediation.restart_resolver);
  std::string names;
  for (const std::string& unit : units) {
    std::string quoted;  // a unit's name may have backslashes
    for (const char c : unit)
      quoted += c == '\\' ? std::string("\\\\") : std::string(1, c);
    names += fmt::format("{}\"{}\"", names.empty() ? "" : ", ", quoted);
  }
  std::string out = "// Printed by `omnitide-agent config polkit`: what the agent may restart.\n";
  out += fmt::format(
      "polkit.addRule(function(action, subject) {{\n  if (subject.user != \"omnitide\") return;\n  var units = [{}];\n"
      "  if (action.id == \"org.freedesktop.systemd1.manage-units\" && action.lookup(\"verb\") == \"restart\" &&\n"
      "      units.indexOf(action.lookup(\"unit\")) >= 0) return polkit.Result.YES;\n",
      names);
  if (!health.remediation.reboot_for.empty())
    out +=
        "  if (action.id == \"org.freedesktop.login1.reboot\" ||\n"
        "      action.id == \"org.freedesktop.login1.reboot-multiple-sessions\") return polkit.Result.YES;\n";
  return session.print(out + "});\n");
}

}  // namespace

void add_config(Command& root, Session& session) {
  Command group = root.add("config", "Check or show the configuration");
  group.example("omnitide-agent config check");

  Command check_command = group.add("check", "Report every fault, with file, line and what would be right");
  session.add_location(check_command);
  session.add_format(check_command);
  check_command.example("omnitide-agent config check --config site.yaml")
      .footnote("Exits with 2 when there is a fault.")
      .action([&session] { return check(session); });

  Command show_command = group.add("show", "Every effective value, and where it comes from");
  session.add_location(show_command);
  session.add_format(show_command, "yaml|json|table");
  show_command.example("omnitide-agent config show -o json").action([&session] { return show(session); });

  group.add("example", "The commented agent.yaml, as shipped")
      .example("omnitide-agent config example > agent.yaml")
      .action([&session] { return session.print(config::shipped_file()); });
  Command polkit_command =
      group.add("polkit", "The polkit rule by which the agent may restart what the configuration names");
  session.add_location(polkit_command);
  polkit_command.example("omnitide-agent config polkit > /etc/polkit-1/rules.d/60-omnitide-agent.rules")
      .action([&session] { return polkit(session); });
  group.add("docs", "docs/config.md").hidden().action([&session] { return session.print(config::documentation()); });
}

}  // namespace omnitide::cli
