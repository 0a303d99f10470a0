// Units of systemd: watched by the signals of D-Bus, asked on a worker.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/steady_timer.hpp>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "agent/io/worker_pool.hpp"
#include "discovery/collectors/systemd_bus.hpp"
#include "health/checks/finding.hpp"

namespace omnitide::daemon {

inline constexpr std::string_view kUnitCondition = "SystemdUnitFailed", kUnitFailed = "UnitFailed";
[[nodiscard]] std::string unit_check(const std::string& unit);  // "unit:nginx.service"

// What a unit's state means. One that somebody stopped is no fault; one that does not exist is, but none to mend.
[[nodiscard]] health::Finding unit_finding(const discovery::SystemdUnit& unit);

// Asks systemd to start or restart a unit, on a connection of its own; the job is queued when it is done.
enum class UnitJob : std::uint8_t { start, restart };
[[nodiscard]] boost::asio::awaitable<Result<>> queue_unit_job(io::WorkerPool& pool, UnitJob what, std::string unit);

class UnitWatch {
 public:
  using Units = std::vector<discovery::SystemdUnit>;
  // `on_units` is called on the loop with what is so of all units: at the start, and after each change.
  // `on_problem`: why they are not watched now; empty once they are. While there are no units, nobody is asked.
  UnitWatch(boost::asio::io_context& context, io::WorkerPool& pool, std::vector<std::string> units,
            std::function<void(const Units&)> on_units, std::function<void(std::string)> on_problem);

  [[nodiscard]] boost::asio::awaitable<void> run();
  // From now on these.
  void watch_others(std::vector<std::string> units);
  void stop();

 private:
  [[nodiscard]] boost::asio::awaitable<Result<>> watch();

  boost::asio::io_context& context_;
  io::WorkerPool& pool_;
  std::vector<std::string> units_;
  std::function<void(const Units&)> on_units_;
  std::function<void(std::string)> on_problem_;
  std::shared_ptr<boost::asio::posix::stream_descriptor> descriptor_;
  boost::asio::steady_timer again_;
  bool stopping_ = false, others_ = false;
};

}  // namespace omnitide::daemon
