#include <fmt/format.h>

#include <cstdio>
#include <memory>
#include <utility>

#include "agent/cli/commands.hpp"

namespace omnitide::cli {

namespace {

int run(Session& session) {
  const config::LoadOptions options = session.load_options();
  const auto loaded = std::make_shared<config::Loaded>(config::load(options));
  if (!loaded->valid()) return session.failed(loaded->faults);
  session.run_afterwards([&session, options, loaded] { return session.callbacks().run(options, std::move(*loaded)); });
  return 0;
}

}  // namespace

void add_run(Command& root, Session& session) {
  Command command = root.add("run", "Run the agent in the foreground until SIGTERM or SIGINT");
  session.add_location(command);
  command.example("omnitide-agent run --config site.yaml")
      .footnote("SIGHUP reads the configuration again; what needs a restart is logged.")
      .action([&session] { return run(session); });
}

}  // namespace omnitide::cli
