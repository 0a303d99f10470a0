// Journal and log files as findings and events, by rule files of node-problem-detector's plugins journald and filelog.
// On the loop; what may block is read on a worker.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/steady_timer.hpp>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "agent/base/clock.hpp"
#include "agent/base/token_bucket.hpp"
#include "agent/daemon/log_feed.hpp"
#include "agent/daemon/log_teller.hpp"
#include "agent/io/worker_pool.hpp"
#include "health/checks/log_rules.hpp"

namespace omnitide::daemon {

class HealthLogs {
 public:
  struct Status {
    std::string log;  // "journal", "/var/log/docker.log"
    bool reading = false;
    std::string problem;
    std::uint64_t lines = 0, hits = 0;
    std::size_t rules = 0;
  };
  // Where each log was read up to, by Status::log.
  using Positions = std::map<std::string, std::string>;

  // `rules` of the plugin kmsg are left to others. `lines_per_second` of each log.
  HealthLogs(boost::asio::io_context& context, io::WorkerPool& pool, const std::vector<health::LogRules>& rules,
             std::uint32_t lines_per_second, LogTeller::Told told);

  [[nodiscard]] bool empty() const { return followed_.empty(); }
  // One coroutine for each log, each until stop().
  [[nodiscard]] std::vector<boost::asio::awaitable<void>> run(const Positions& positions);
  void stop();

  [[nodiscard]] std::vector<health::Finding> defaults() const;
  [[nodiscard]] std::vector<Status> status() const;
  [[nodiscard]] Positions positions() const;

 private:
  struct Source {  // one rule file
    health::LogOrigin origin;
    std::unique_ptr<health::LogMatcher> matcher;
  };
  struct Followed {  // one log
    Followed(boost::asio::io_context& context, std::uint32_t rate) : tokens(rate), pause(context) {}
    Status status;
    health::LogPlugin plugin = health::LogPlugin::journald;
    std::string path, position;
    std::chrono::milliseconds look_back{0};
    std::vector<Source> sources;
    TokenBucket tokens;
    boost::asio::steady_timer pause;
    std::shared_ptr<boost::asio::posix::stream_descriptor> descriptor;
    bool fresh = true;  // no position was known: lines of before the look back are old
  };
  [[nodiscard]] Followed& followed(const health::LogOrigin& origin);
  [[nodiscard]] boost::asio::awaitable<void> follow(Followed& log);
  [[nodiscard]] boost::asio::awaitable<Result<>> read(Followed& log);
  [[nodiscard]] bool is_old(const Followed& log, const Source& source, WallTime time) const;
  void take(Followed& log, const LogFeed::Line& line, bool interrupted);
  void tell_problem(Followed& log, std::string problem);

  boost::asio::io_context& context_;
  io::WorkerPool& pool_;
  std::uint32_t rate_;
  LogTeller teller_;
  std::vector<std::unique_ptr<Followed>> followed_;
  WallTime started_;
  bool stopping_ = false;
};

}  // namespace omnitide::daemon
