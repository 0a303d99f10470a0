// The sub-commands of `policy`, one file each.
#pragma once

#include "agent/cli/commands.hpp"

namespace omnitide::cli {

// Of files, without an agent.
void add_policy_check(Command& group, Session& session);
void add_policy_explain(Command& group, Session& session);
void add_policy_matrix(Command& group, Session& session);
void add_policy_diff(Command& group, Session& session);

// Of the running agent.
void add_policy_status(Command& group, Session& session);
void add_policy_wait(Command& group, Session& session);
void add_policy_detach(Command& group, Session& session);

}  // namespace omnitide::cli
