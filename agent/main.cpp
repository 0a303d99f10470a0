// omnitide-agent: the command line in front, the daemon behind `run`.
#include "agent/cli/cli.hpp"
#include "agent/daemon/daemon.hpp"
#include "agent/daemon/known_collectors.hpp"

int main(int argc, char* argv[]) {
  const omnitide::cli::Callbacks callbacks{.run = omnitide::daemon::run,
                                           .collectors = omnitide::daemon::known_collectors};
  return omnitide::cli::main(argc, argv, callbacks);
}
