#include "agent/cli/manual.hpp"

#include <fmt/format.h>

#include "agent/base/text.hpp"
#include "agent/base/version.hpp"
#include "agent/cli/commands.hpp"

namespace omnitide::cli {

namespace {

// man(7): a backslash, a dash and a dot or quote at the start of a line have meanings of their own.
std::string roff(std::string_view text) {
  std::string out;
  bool starts = true;
  for (const char c : text) {
    if (starts && (c == '.' || c == '\'')) out += "\\&";
    starts = c == '\n';
    if (c == '\\') {
      out += "\\e";
    } else if (c == '-') {
      out += "\\-";
    } else {
      out += c;
    }
  }
  return out;
}

std::string bold(std::string_view text) { return "\\fB" + roff(text) + "\\fR"; }
std::string italic(std::string_view text) { return "\\fI" + roff(text) + "\\fR"; }

std::string option_text(const Command::OptionView& view) {
  std::string head;
  if (view.names.empty()) {
    head = italic(view.argument);
  } else {
    for (const std::string& name : view.names)
      head += (head.empty() ? "" : ", ") + bold(name);
    if (!view.type.empty()) head += " " + italic(view.type);
  }
  return fmt::format(".TP\n{}\n{}\n", head, roff(view.help));
}

// Examples keep their lines.
std::string footer_text(const Command& command) {
  const std::string footer = command.footer();
  return footer.empty() ? "" : fmt::format(".PP\n.nf\n{}\n.fi\n", roff(footer));
}

std::string command_text(const Command& command, const std::string& path) {
  const std::string name = path.empty() ? command.name() : path + " " + command.name();
  std::string out = fmt::format(".SS {}\n{}.\n", roff(name), roff(command.help()));
  for (const Command::OptionView& view : command.views())
    out += option_text(view);
  out += footer_text(command);
  for (const Command& child : command.children())
    out += command_text(child, name);
  return out;
}

constexpr std::string_view kFiles = R"(.SH FILES
.TP
.I /etc/omnitide/agent.yaml
Configuration: comments only as shipped. The defaults are compiled in.
.TP
.I /etc/omnitide/agent.d/*.yaml
Configuration of the operator, read in lexical order; the later file wins.
.TP
.I /etc/omnitide/policy.d
Network policies, followed as they change.
.TP
.I /var/lib/omnitide
Identity, certificates, the last accepted state.
.TP
.I /run/omnitide/agent.sock
The local interface. Its group reads; changes need root.
.TP
.I /sys/fs/bpf/omnitide
Programs and tables of network policy: they go on holding without the agent.
)";

}  // namespace

std::string manual_page(const Command& root, std::string_view version, WallTime date) {
  std::string out = fmt::format(
      ".\\\" Made by: omnitide-agent manual\n.TH OMNITIDE\\-AGENT 8 {} \"omnitide\\-agent {}\" \"System "
      "Administration\"\n"
      ".SH NAME\nomnitide\\-agent \\- {}\n.SH SYNOPSIS\n.B omnitide\\-agent\n.RI [ OPTIONS ] \" COMMAND \" [ OPTIONS "
      "]\n",
      format_rfc3339(date).substr(0, 10), roff(version), roff(root.help()));
  out +=
      ".SH DESCRIPTION\nOne process on each node that discovers its hardware, registers it with a control plane, "
      "enforces "
      "network policy\nand collects metrics with eBPF.\n";
  for (const Command::OptionView& view : root.views())
    out += option_text(view);
  out += ".SH COMMANDS\n";
  for (const Command& child : root.children())
    out += command_text(child, "");
  out += kFiles;
  return out + ".SH EXIT STATUS\n" + footer_text(root);
}

void add_manual(Command& root, Session& session) {
  Command command = root.add("manual", "The manual page of this program, for man");
  command.example("omnitide-agent manual | man -l -").action([&session, root] {
    return session.print(manual_page(root, version(), build_time()));
  });
}

}  // namespace omnitide::cli
