#include "agent/daemon/health_units.hpp"

#include <fcntl.h>
#include <fmt/format.h>

#include <cerrno>

#include "agent/base/clock.hpp"
#include "agent/base/fd.hpp"
#include "agent/daemon/tuple.hpp"

namespace omnitide::daemon {

namespace asio = boost::asio;
using namespace std::chrono_literals;
using discovery::SystemdBus;
using discovery::SystemdUnit;

namespace {

constexpr std::chrono::milliseconds kPatience = 10s;    // for systemd's answers
constexpr std::chrono::milliseconds kAnotherTry = 15s;  // when the bus is not there

using Units = UnitWatch::Units;

// A signal may arrive between two answers: asked until nothing has.
Result<Units> ask(SystemdBus& bus, const std::vector<std::string>& names) {
  constexpr int kRounds = 5;
  Units out;
  for (int i = 0; i < kRounds; ++i) {
    if (const Result<std::size_t> taken = bus.process(); taken.has_error()) return taken.error();
    out.clear();
    for (const std::string& name : names) {
      Result<SystemdUnit> unit = bus.unit(name);
      if (unit.has_error()) return std::move(unit).error();
      out.push_back(std::move(*unit));
    }
    const Result<std::size_t> more = bus.process();
    if (more.has_error()) return more.error();
    if (*more == 0) break;
  }
  return out;
}

struct Opened {
  std::shared_ptr<SystemdBus> bus;
  UniqueFd fd;  // a copy: the connection owns its own
};

Result<Opened> open_and_watch(const std::vector<std::string>& names) {
  Result<SystemdBus> bus = SystemdBus::open();
  if (bus.has_error()) return std::move(bus).error();
  if (Result<> watched = bus->watch(names); watched.has_error()) return std::move(watched).error();
  const Result<int> descriptor = bus->descriptor();
  if (descriptor.has_error()) return descriptor.error();
  UniqueFd copy(::fcntl(*descriptor, F_DUPFD_CLOEXEC, 0));
  if (!copy) return fail_errno(errno, "cannot copy a descriptor");
  return Opened{std::make_shared<SystemdBus>(std::move(*bus)), std::move(copy)};
}

}  // namespace

std::string unit_check(const std::string& unit) { return "unit:" + unit; }

health::Finding unit_finding(const SystemdUnit& unit) {
  health::Finding out{std::string(kUnitCondition),
                      unit_check(unit.name),
                      health::Verdict::good,
                      "UnitRuns",
                      fmt::format("{} is {}", unit.name, unit.active_state),
                      {}};
  if (unit.load_state == "not-found") {
    out.verdict = health::Verdict::bad;
    out.reason = "UnitNotFound";
    out.message = fmt::format("there is no unit {}", unit.name);
  } else if (unit.active_state == "failed") {
    out.verdict = health::Verdict::bad;
    out.reason = kUnitFailed;
    out.message = fmt::format("{} has failed", unit.name);
  } else if (unit.active_state == "inactive") {
    out.reason = "UnitStopped";
  } else if (unit.active_state.empty()) {
    out.verdict = health::Verdict::unknown;
    out.reason = "NotMeasured";
    out.message = fmt::format("systemd does not say how {} is", unit.name);
  }
  if (out.verdict == health::Verdict::bad) out.evidence = {{"unit", unit.name}, {"state", unit.active_state}};
  return out;
}

UnitWatch::UnitWatch(asio::io_context& context, io::WorkerPool& pool, std::vector<std::string> units,
                     std::function<void(const Units&)> on_units, std::function<void(std::string)> on_problem)
    : context_(context),
      pool_(pool),
      units_(std::move(units)),
      on_units_(std::move(on_units)),
      on_problem_(std::move(on_problem)),
      again_(context) {}

void UnitWatch::stop() {
  stopping_ = true;
  again_.cancel();
  boost::system::error_code ignored;
  if (descriptor_) descriptor_->cancel(ignored);
}

void UnitWatch::watch_others(std::vector<std::string> units) {
  units_ = std::move(units);
  others_ = true;
  again_.cancel();
  boost::system::error_code ignored;
  if (descriptor_) descriptor_->cancel(ignored);
}

asio::awaitable<void> UnitWatch::run() {
  while (!stopping_) {
    others_ = false;
    if (units_.empty()) {
      again_.expires_at(SteadyTime::max());
      co_await again_.async_wait(kTuple);
      continue;
    }
    const Result<> ended = co_await watch();
    descriptor_.reset();
    if (stopping_) co_return;
    if (others_) continue;
    on_problem_(ended.has_error() ? ended.error().text() : "the system bus was closed");
    again_.expires_after(kAnotherTry);
    co_await again_.async_wait(kTuple);
  }
}

asio::awaitable<Result<>> UnitWatch::watch() {
  std::function<Result<Opened>()> open = [names = units_] { return open_and_watch(names); };
  Result<Opened> opened = co_await pool_.run_for<Opened>(open, kPatience);
  if (opened.has_error()) co_return std::move(opened).error();
  descriptor_ = std::make_shared<asio::posix::stream_descriptor>(context_, opened->fd.release());
  bool told = false;
  while (!stopping_) {
    std::function<Result<Units>()> look = [bus = opened->bus, names = units_] { return ask(*bus, names); };
    const Result<Units> units = co_await pool_.run_for<Units>(look, kPatience);
    if (units.has_error()) co_return units.error();
    if (stopping_ || others_) break;
    if (!std::exchange(told, true)) on_problem_({});
    on_units_(*units);
    if (stopping_ || others_) break;
    const auto [error] = co_await descriptor_->async_wait(asio::posix::stream_descriptor::wait_read, kTuple);
    if (error && !stopping_ && !others_) co_return fail(Code::unavailable, "the system bus cannot be waited for");
  }
  co_return Result<>();
}

asio::awaitable<Result<>> queue_unit_job(io::WorkerPool& pool, UnitJob what, std::string unit) {
  std::function<Result<>()> job = [what, unit = std::move(unit)]() -> Result<> {
    Result<SystemdBus> bus = SystemdBus::open();
    if (bus.has_error()) return std::move(bus).error();
    return what == UnitJob::start ? bus->start(unit) : bus->restart(unit);
  };
  co_return co_await pool.run_for<void>(job, kPatience);
}

}  // namespace omnitide::daemon
