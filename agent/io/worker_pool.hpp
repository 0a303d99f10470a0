// Threads for what blocks: name look-up, statvfs on a dead mount, SQLite commits. A job that misses its deadline is
// abandoned and its thread replaced, up to a bound; then further jobs are refused until one comes back.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <chrono>
#include <functional>
#include <memory>
#include <string_view>

#include "agent/base/error.hpp"

namespace omnitide::io {

class WorkerPool {
 public:
  struct Limits {
    unsigned threads = 2;
    unsigned stuck = 4;        // abandoned threads that may exist at once
    std::size_t queued = 256;  // jobs that wait; beyond it they are refused
  };
  explicit WorkerPool(Limits limits);
  // Waits for running jobs but not for stuck ones: those threads are left to the end of the process.
  ~WorkerPool();
  WorkerPool(const WorkerPool&) = delete;
  WorkerPool& operator=(const WorkerPool&) = delete;

  // Runs `job` on a worker and resumes the caller on its own executor. deadline_exceeded when it took longer
  // (waiting in the queue included); the job must own all that it touches, since it may outlive the caller.
  // An exception becomes Code::internal.
  [[nodiscard]] boost::asio::awaitable<Result<>> run(std::function<void()> job, std::chrono::milliseconds deadline);
  // The same with a value: T must be movable.
  template <class T>
  [[nodiscard]] boost::asio::awaitable<Result<T>> run_for(std::function<Result<T>()> job,
                                                          std::chrono::milliseconds deadline) {
    auto slot = std::make_shared<Result<T>>(fail(Code::internal, "job did not finish"));
    // Named, not a temporary of the co_await: GCC 12 destroys a lambda's captures twice there.
    std::function<void()> whole = [slot, work = std::move(job)] { *slot = work(); };
    Result<> ran = co_await run(std::move(whole), deadline);
    if (ran.has_error()) co_return std::move(ran).error();
    co_return std::move(*slot);
  }
  [[nodiscard]] unsigned stuck() const;

 private:
  class Impl;
  std::shared_ptr<Impl> impl_;
};

}  // namespace omnitide::io
