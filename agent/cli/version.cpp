#include "agent/base/version.hpp"

#include <fmt/format.h>

#include "agent/base/clock.hpp"
#include "agent/cli/commands.hpp"
#include "omnitide/node/v1/local.pb.h"

namespace omnitide::cli {

namespace {

int show_version(const Session& session) {
  const std::string built = format_rfc3339(build_time());
  if (session.format() == Format::table) {
    const std::string commit = omnitide::commit().empty() ? "" : fmt::format("commit {}, ", omnitide::commit());
    return session.print(fmt::format("omnitide-agent {} ({}built {})\n", omnitide::version(), commit, built));
  }
  node::v1::Version version;
  version.set_version(std::string(omnitide::version()));
  version.set_commit(std::string(omnitide::commit()));
  version.set_built(built);
  return session.print(version);
}

}  // namespace

void add_version(Command& root, Session& session) {
  Command command = root.add("version", "Version, commit and time of the build");
  session.add_format(command);
  command.example("omnitide-agent version -o json").action([&session] { return show_version(session); });
}

}  // namespace omnitide::cli
