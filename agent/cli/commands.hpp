// One function a command, each in its own file: adds the command to the tree. The session outlives the tree.
#pragma once

#include <string_view>

#include "agent/cli/command.hpp"
#include "agent/cli/session.hpp"

namespace omnitide::cli {

void add_run(Command& root, Session& session);
void add_discover(Command& root, Session& session);
void add_status(Command& root, Session& session);
void add_doctor(Command& root, Session& session);
void add_registry(Command& root, Session& session);
void add_config(Command& root, Session& session);
void add_version(Command& root, Session& session);
void add_support(Command& root, Session& session);
void add_log_level(Command& root, Session& session);
void add_policy(Command& root, Session& session);  // with its sub-commands: policy_commands.hpp
void add_flows(Command& root, Session& session);
void add_metrics(Command& root, Session& session);
void add_health(Command& root, Session& session);  // with its sub-commands
void add_maintenance(Command& root, Session& session);
void add_telemetry(Command& root, Session& session);  // with its sub-commands: telemetry_commands.hpp
void add_top(Command& root, Session& session);
void add_uninstall_node(Command& root, Session& session);
void add_uninstall_daemon_set(Command& root, Session& session);
void add_completion(Command& root, Session& session);
void add_complete(Command& root, Session& session);
void add_manual(Command& root, Session& session);

void add_all(Command& root, Session& session);
// The one command that the line's first word names, else all: making the tree of all takes longer than `discover`'s
// reading of the machine.
void add_called(Command& root, Session& session, std::string_view first_word);

}  // namespace omnitide::cli
