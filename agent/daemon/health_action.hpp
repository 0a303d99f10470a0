// Does what was decided, by those who may: systemd, logind, the kernel.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <string_view>

#include "agent/base/error.hpp"
#include "agent/io/worker_pool.hpp"
#include "health/remediation/ladder.hpp"

namespace omnitide::daemon {

// Units of the package that do as root what the agent may not: fixed, without arguments (packaging/).
inline constexpr std::string_view kVacuumUnit = "omnitide-agent-vacuum.service",
                                  kCleanUnit = "omnitide-agent-clean.service";

// Begins the action; whether it helped is for the checks to say. An error: it was refused.
[[nodiscard]] boost::asio::awaitable<Result<>> do_action(io::WorkerPool& pool, health::Action action);

}  // namespace omnitide::daemon
