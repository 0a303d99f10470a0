// omnitide-agent: the command line in front, the daemon behind `run`.
#include <unistd.h>

#include <cstdio>

#include "agent/cli/cli.hpp"
#include "agent/daemon/daemon.hpp"
#include "agent/daemon/known_collectors.hpp"
#include "agent/daemon/uninstall.hpp"

int main(int argc, char* argv[]) {
  const omnitide::cli::Callbacks callbacks{.run = omnitide::daemon::run,
                                           .collectors = omnitide::daemon::known_collectors,
                                           .uninstall_node = omnitide::daemon::uninstall_node,
                                           .remove_daemon_set = omnitide::daemon::remove_daemon_set};
  const int code = omnitide::cli::main(argc, argv, callbacks);
  // What is still alive are tables of libraries. Taking them apart serves nobody, and is a part of how long `discover`
  // takes.
  std::fflush(nullptr);
  ::_exit(code);
}
