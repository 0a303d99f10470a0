// A check that takes its time: a command, a request, a look at a file. Each runs beside the others, has its own
// deadline, and ends as a finding or, where it is of events, as an event.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>
#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "agent/config/health_config.hpp"
#include "agent/io/worker_pool.hpp"
#include "health/checks/condition_store.hpp"
#include "health/checks/finding.hpp"

namespace omnitide::daemon {

// What one look needs, and how it is ended early. Lives as long as the look.
class ProbeRun {
 public:
  ProbeRun(boost::asio::io_context& context, io::WorkerPool& workers, std::chrono::milliseconds timeout);

  [[nodiscard]] boost::asio::io_context& context() const { return context_; }
  [[nodiscard]] io::WorkerPool& workers() const { return workers_; }
  [[nodiscard]] std::chrono::milliseconds left() const;  // until the deadline, at least a millisecond
  void on_stop(std::function<void()> stop);              // replaces the one before
  void stop();

 private:
  boost::asio::io_context& context_;
  io::WorkerPool& workers_;
  std::chrono::steady_clock::time_point deadline_;
  std::function<void()> stop_;
};

struct Probe {
  std::string name, condition;  // condition: empty when it is of events
  std::string source;           // of events
  std::string what;             // for people, without a full stop
  std::chrono::milliseconds interval, timeout;
  health::Hysteresis hysteresis;
  bool words_are_news = false;  // another message of a fault is told like another reason
  std::size_t group = 0;        // those of one group share a bound of how many run at once
  // The verdict, reason, message and evidence; whose they are is put in by the caller.
  std::function<boost::asio::awaitable<health::Finding>(std::shared_ptr<ProbeRun>)> look;
};

inline constexpr std::size_t kCommandsAtOnce = 16;

// Those of health.checks. Group 0 is of those that run no program, 1 of commands.
[[nodiscard]] std::vector<Probe> configured_probes(const config::HealthConfig& config);

// What each kind looks at; the finding has no condition and check yet.
using Look = std::function<boost::asio::awaitable<health::Finding>(std::shared_ptr<ProbeRun>)>;
[[nodiscard]] Look http_look(const config::HealthCheckConfig& check);
[[nodiscard]] Look tcp_look(const config::HealthCheckConfig& check);
[[nodiscard]] Look grpc_look(const config::HealthCheckConfig& check);
[[nodiscard]] Look file_look(const config::HealthCheckConfig& check);
// Exit status 0 is good. `others_unknown`: 1 is bad and everything else unknown, as node-problem-detector has it; else
// everything but 0 is bad. `longest`: bytes of the message.
struct CommandLook {
  std::vector<std::string> arguments;
  std::size_t longest = 256;
  bool others_unknown = false;
};
[[nodiscard]] Look command_look(CommandLook command);

}  // namespace omnitide::daemon
