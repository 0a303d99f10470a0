// Where the offline commands of `policy` get their objects from.
#pragma once

#include <string>

#include "agent/base/error.hpp"
#include "agent/cli/session.hpp"
#include "agent/policy/directory.hpp"

namespace omnitide::cli {

// What a directory, a file, or "-" for standard input says. Fails when it cannot be read at all.
[[nodiscard]] Result<policy::Loaded> load_policy(const std::string& path);

// The same for questions about policy. An empty path: what the agent of this session goes by, its policy.directory and
// the documents of its registry. Faults are told on standard error, since answers without the wrong objects may
// mislead.
[[nodiscard]] Result<policy::Loaded> load_policy(const Session& session, const std::string& path);

// The option --objects, as all these commands have it.
void add_objects_option(Command& command, std::string& path);

}  // namespace omnitide::cli
