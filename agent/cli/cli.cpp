#include "agent/cli/cli.hpp"

#include <fmt/format.h>

#include <cstdio>
#include <exception>

#include "agent/base/text.hpp"
#include "agent/base/version.hpp"
#include "agent/cli/commands.hpp"

namespace omnitide::cli {

namespace {

constexpr const char* kExitCodes =
    "Exit codes: 0 good, 1 a problem was found, 2 usage or configuration, 3 the agent is\n"
    "not reachable or already running, 4 not permitted. See also COMMAND --help.";

}  // namespace

void add_all(Command& root, Session& session) {
  add_run(root, session);
  add_status(root, session);
  add_discover(root, session);
  add_doctor(root, session);
  add_registry(root, session);
  add_config(root, session);
  add_policy(root, session);
  add_flows(root, session);
  add_metrics(root, session);
  add_top(root, session);
  add_log_level(root, session);
  add_support(root, session);
  add_version(root, session);
  add_completion(root, session);
  root.example(
          "omnitide-agent discover        what hardware this is\nomnitide-agent status          what the running "
          "agent does")
      .footnote(kExitCodes);
}

namespace {

int run_command(Session& session, int argc, const char* const* argv) {
  CommandTree tree("omnitide-agent", "Node agent: discovery, registration, network policy and metrics in one process",
                   fmt::format("omnitide-agent {}", version()));
  Command root = tree.root();
  add_all(root, session);
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
