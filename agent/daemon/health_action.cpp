#include "agent/daemon/health_action.hpp"

#include <chrono>
#include <functional>
#include <string>
#include <utility>

#include "agent/daemon/health_units.hpp"
#include "agent/daemon/link_reset.hpp"
#include "agent/daemon/reboot.hpp"

namespace omnitide::daemon {

namespace asio = boost::asio;
using health::ActionKind;

namespace {

constexpr std::chrono::milliseconds kActionPatience = std::chrono::seconds(10);

}  // namespace

asio::awaitable<Result<>> do_action(io::WorkerPool& pool, health::Action action) {
  // Named, not temporaries of a co_await: GCC 12 destroys a lambda's captures twice there.
  std::function<Result<>()> reset = [device = action.target] { return reset_link(device); };
  std::function<Result<>()> reboot = reboot_by_logind;
  switch (action.kind) {
    case ActionKind::restart_unit:
    case ActionKind::restart_resolver:
      co_return co_await queue_unit_job(pool, UnitJob::restart, std::move(action.target));
    case ActionKind::vacuum_journal: co_return co_await queue_unit_job(pool, UnitJob::start, std::string(kVacuumUnit));
    case ActionKind::clean: co_return co_await queue_unit_job(pool, UnitJob::start, std::string(kCleanUnit));
    case ActionKind::reset_link: co_return co_await pool.run_for<void>(reset, kActionPatience);
    case ActionKind::reboot: co_return co_await pool.run_for<void>(reboot, kActionPatience);
  }
  co_return Result<>();
}

}  // namespace omnitide::daemon
