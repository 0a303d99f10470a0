// omnitide-agent: the command line in front, the daemon behind `run`.
#include "agent/cli/cli.hpp"
#include "agent/daemon/daemon.hpp"

int main(int argc, char* argv[]) {
  const omnitide::cli::Callbacks callbacks{.run = omnitide::daemon::run};
  return omnitide::cli::main(argc, argv, callbacks);
}
