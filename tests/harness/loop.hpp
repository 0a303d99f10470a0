// A loop with its workers, run by the test as far as it needs, and never without end.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <chrono>
#include <exception>
#include <functional>
#include <optional>
#include <stdexcept>
#include <utility>

#include "agent/io/worker_pool.hpp"

namespace omnitide::test {

class Loop {
 public:
  boost::asio::io_context context{1};
  io::WorkerPool pool{io::WorkerPool::Limits{}};

  // False: not in time.
  bool until(const std::function<bool()>& ready, std::chrono::milliseconds longest = std::chrono::seconds(10)) {
    const auto deadline = std::chrono::steady_clock::now() + longest;
    while (!ready()) {
      if (std::chrono::steady_clock::now() >= deadline) return false;
      context.restart();
      context.run_for(std::chrono::milliseconds(2));
    }
    return true;
  }
  void run_for(std::chrono::milliseconds time) {
    (void)until([] { return false; }, time);
  }
  // Runs it to its end; throws when it takes longer.
  template <class T>
  T run(boost::asio::awaitable<T> task, std::chrono::milliseconds longest = std::chrono::seconds(30)) {
    auto done = std::make_shared<std::optional<T>>();
    boost::asio::co_spawn(context, std::move(task), [done](std::exception_ptr problem, T value) {
      if (problem) std::rethrow_exception(problem);
      *done = std::move(value);
    });
    if (!until([&done] { return done->has_value(); }, longest)) throw std::runtime_error("not done in time");
    return std::move(**done);
  }
  void run(boost::asio::awaitable<void> task, std::chrono::milliseconds longest = std::chrono::seconds(30)) {
    auto done = std::make_shared<bool>(false);
    boost::asio::co_spawn(context, std::move(task), [done](std::exception_ptr problem) {
      if (problem) std::rethrow_exception(problem);
      *done = true;
    });
    if (!until([&done] { return *done; }, longest)) throw std::runtime_error("not done in time");
  }
};

}  // namespace omnitide::test
