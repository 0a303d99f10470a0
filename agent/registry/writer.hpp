// Group commit: closures from the loop run on one thread, as many as wait in one transaction, and every caller goes on
// after COMMIT. A closure that fails is rolled back alone.
#pragma once

#include <boost/asio/any_completion_handler.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <future>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "agent/base/error.hpp"
#include "agent/registry/database.hpp"

namespace omnitide::registry {

struct WriterCounters {
  std::uint64_t commits = 0, closures = 0, failed_commits = 0, refused = 0;
  double commit_seconds = 0;  // sum
  std::size_t queued = 0;
};

class Writer {
 public:
  // Runs on the writer's thread inside a transaction. May run in a transaction that fails: it owns its results and has
  // no other effect than on the database.
  using Work = std::function<Result<>(Database&)>;
  // Runs on the loop after the commit, in commit order, also when the caller is gone: mirrors the change in memory.
  using Apply = std::function<void()>;

  // `grouped` false: every closure runs alone and without a transaction; for a connection that reads.
  Writer(boost::asio::io_context& loop, Database database, std::size_t queue_limit, bool grouped = true);
  ~Writer();
  Writer(const Writer&) = delete;
  Writer& operator=(const Writer&) = delete;

  // Name the awaitable before co_await: GCC 12 destroys the captures of a lambda twice that is a temporary of a
  // co_await. resource_exhausted at once when the queue is full; unavailable when the disk is full.
  [[nodiscard]] boost::asio::awaitable<Result<>> run(Work work, Apply apply = {});
  // The same without a transaction around it, with nothing else beside it: for restore.
  [[nodiscard]] boost::asio::awaitable<Result<>> run_alone(Work work, Apply apply = {});
  // For a thread other than the writer's own that can wait: before the loop runs, and at the end.
  [[nodiscard]] Result<> run_blocking(Work work);
  // Does what is queued, then ends the thread. Idempotent; further work is refused.
  void stop();
  [[nodiscard]] WriterCounters counters() const;

 private:
  using Done = boost::asio::any_completion_handler<void(Result<>)>;
  struct Job {
    Work work;
    Apply apply;
    Done done;
    boost::asio::executor_work_guard<boost::asio::io_context::executor_type> guard;  // the loop waits for the answer
    bool alone = false;
    std::shared_ptr<std::promise<Result<>>> waiter{};  // instead of done
    Result<> result{};
  };
  boost::asio::awaitable<Result<>> enqueue(Work work, Apply apply, bool alone);
  void loop_of_thread();
  void commit_together(std::vector<Job>& jobs);
  void hand_back(std::vector<Job> jobs);

  boost::asio::io_context& loop_;
  Database database_;
  const std::size_t limit_;
  const bool grouped_;
  mutable std::mutex mutex_;
  std::condition_variable wake_;
  std::vector<Job> queue_;
  std::size_t pending_ = 0;  // queued or running
  WriterCounters counters_;
  bool stopping_ = false;
  std::thread thread_;
};

}  // namespace omnitide::registry
