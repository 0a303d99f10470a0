#include "agent/cli/cli.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <exception>
#include <string_view>

#include "agent/base/text.hpp"
#include "agent/base/version.hpp"
#include "agent/cli/commands.hpp"

namespace omnitide::cli {

namespace {

constexpr const char* kExitCodes =
    "Exit codes: 0 good, 1 a problem was found, 2 usage or configuration, 3 the agent is\n"
    "not reachable or already running, 4 not permitted. See also COMMAND --help.";

struct Entry {
  std::string_view name;
  void (*add)(Command& root, Session& session);
};
// In the order of the help.
constexpr std::array kCommands{
    Entry{"run", add_run},
    Entry{"status", add_status},
    Entry{"discover", add_discover},
    Entry{"doctor", add_doctor},
    Entry{"registry", add_registry},
    Entry{"config", add_config},
    Entry{"policy", add_policy},
    Entry{"flows", add_flows},
    Entry{"metrics", add_metrics},
    Entry{"health", add_health},
    Entry{"maintenance", add_maintenance},
    Entry{"top", add_top},
    Entry{"telemetry", add_telemetry},
    Entry{"log-level", add_log_level},
    Entry{"support", add_support},
    Entry{"uninstall-node", add_uninstall_node},
    Entry{"uninstall-daemon-set", add_uninstall_daemon_set},
    Entry{"version", add_version},
    Entry{"completion", add_completion},
    Entry{"complete", add_complete},
    Entry{"manual", add_manual},
};

}  // namespace

void add_all(Command& root, Session& session) {
  for (const Entry& entry : kCommands)
    entry.add(root, session);
  root.example(
          "omnitide-agent discover        what hardware this is\nomnitide-agent status          what the running "
          "agent does")
      .footnote(kExitCodes);
}

void add_called(Command& root, Session& session, std::string_view first_word) {
  const auto entry = std::ranges::find(kCommands, first_word, &Entry::name);
  // These two tell of the whole tree; whoever names no command wants to hear of all.
  if (entry == kCommands.end() || entry->add == add_complete || entry->add == add_manual) return add_all(root, session);
  entry->add(root, session);
}

namespace {

int run_command(Session& session, int argc, const char* const* argv) {
  CommandTree tree("omnitide-agent",
                   "Node agent: discovery, registration, network policy, metrics, telemetry and health in one process",
                   fmt::format("omnitide-agent {}", version()));
  Command root = tree.root();
  add_called(root, session, argc > 1 ? argv[1] : "");
  const CommandTree::Parsed parsed = tree.parse(argc, argv);
  if (parsed.action) return parsed.action();
  if (!parsed.out.empty()) return session.print(parsed.out);
  fmt::print(stderr, "omnitide-agent: {}\n", parsed.error);
  if (!parsed.hint.empty()) fmt::print(stderr, "hint: {}\n", parsed.hint);
  return parsed.exit_code;
}

}  // namespace

int main(int argc, const char* const* argv, const Callbacks& callbacks) {
  try {
    Session session(callbacks);
    const int code = run_command(session, argc, argv);
    return session.afterwards() ? session.afterwards()() : code;
  } catch (const std::exception& problem) {
    fmt::print(stderr, "omnitide-agent: {}\n", printable(problem.what()));
    return exit_code(Code::internal);
  }
}

}  // namespace omnitide::cli
