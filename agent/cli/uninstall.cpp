// `uninstall-node` and `uninstall-daemon-set`: an agent's way out of a node and of a cluster, when the usual one was
// not taken.
#include <unistd.h>

#include <memory>

#include "agent/cli/commands.hpp"

namespace omnitide::cli {

namespace {

int uninstall_node(const Session& session) {
  const config::Loaded loaded = session.load_config();
  if (!loaded.valid()) return session.failed(loaded.faults);
  if (::geteuid() != 0) return session.failed(fail(Code::permission_denied, "a node is cleaned by root"));
  int code = 0;
  for (const Result<std::string>& step : session.callbacks().uninstall_node(loaded.config)) {
    const int said = step.has_value() ? session.print(*step + "\n") : session.failed(step.error());
    if (code == 0) code = said;
  }
  return code;
}

int uninstall_daemon_set(const Session& session, std::chrono::milliseconds timeout) {
  const config::Loaded loaded = session.load_config();
  if (!loaded.valid()) return session.failed(loaded.faults);
  const Result<> removed = session.callbacks().remove_daemon_set(loaded.config, timeout);
  if (removed.has_error()) return session.failed(removed.error());
  return session.print("DaemonSet " + loaded.config.kubernetes.daemon_set + " and its pods are gone\n");
}

}  // namespace

void add_uninstall_node(Command& root, Session& session) {
  Command command = root.add("uninstall-node", "Take away what an agent left on this node and in its cluster");
  session.add_location(command);
  command.example("omnitide-agent uninstall-node")
      .footnote(
          "For a node whose agent did not hear that it was uninstalled; of a cluster by\n"
          "`kubectl omnitide uninstall-node NODE`. The state folder stays.")
      .action([&session] { return uninstall_node(session); });
}

void add_uninstall_daemon_set(Command& root, Session& session) {
  const auto timeout = std::make_shared<std::chrono::milliseconds>(std::chrono::minutes(4));
  Command command = root.add("uninstall-daemon-set", "Delete the agents' DaemonSet and wait for the end of its pods");
  session.add_location(command);
  command.duration("--timeout", *timeout, "How long to wait (4m)")
      .example("omnitide-agent uninstall-daemon-set --timeout 2m")
      .footnote("What Helm's hook does before it deletes the rights with which agents clean their Nodes.")
      .action([&session, timeout] { return uninstall_daemon_set(session, *timeout); });
}

}  // namespace omnitide::cli
