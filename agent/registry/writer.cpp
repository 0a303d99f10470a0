#include "agent/registry/writer.hpp"

#include <pthread.h>

#include <boost/asio/async_result.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <chrono>
#include <exception>
#include <memory>
#include <utility>

namespace omnitide::registry {

namespace asio = boost::asio;

namespace {

Result<> guarded(const Writer::Work& work, Database& database) {
  try {
    return work(database);
  } catch (const std::exception& problem) {
    return fail(Code::internal, problem.what());
  }
}

}  // namespace

Writer::Writer(asio::io_context& loop, Database database, std::size_t queue_limit, bool grouped)
    : loop_(loop), database_(std::move(database)), limit_(queue_limit), grouped_(grouped), thread_([this] {
        pthread_setname_np(pthread_self(), grouped_ ? "registry-write" : "registry-read");
        loop_of_thread();
      }) {}

Writer::~Writer() { stop(); }

void Writer::stop() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_one();
  if (thread_.joinable()) thread_.join();
}

WriterCounters Writer::counters() const {
  const std::lock_guard lock(mutex_);
  WriterCounters out = counters_;
  out.queued = pending_;
  return out;
}

asio::awaitable<Result<>> Writer::run(Work work, Apply apply) {
  return enqueue(std::move(work), std::move(apply), false);
}

asio::awaitable<Result<>> Writer::run_alone(Work work, Apply apply) {
  return enqueue(std::move(work), std::move(apply), true);
}

asio::awaitable<Result<>> Writer::enqueue(Work work, Apply apply, bool alone) {
  {
    const std::lock_guard lock(mutex_);
    if (stopping_) co_return fail(Code::unavailable, "the registry is stopping");
    if (pending_ >= limit_) {
      ++counters_.refused;
      co_return fail(Code::resource_exhausted, "the registry has too many changes waiting")
          .with_hint("try again after the time in Retry-After");
    }
    ++pending_;
  }
  auto initiate = [this, alone](auto handler, Work job, Apply after) {
    {
      const std::lock_guard lock(mutex_);
      queue_.push_back(
          Job{std::move(job), std::move(after), Done(std::move(handler)), asio::make_work_guard(loop_), alone});
    }
    wake_.notify_one();
  };
  co_return co_await asio::async_initiate<const asio::use_awaitable_t<>, void(Result<>)>(
      std::move(initiate), asio::use_awaitable, std::move(work), std::move(apply));
}

Result<> Writer::run_blocking(Work work) {
  auto waiter = std::make_shared<std::promise<Result<>>>();
  std::future<Result<>> answer = waiter->get_future();
  {
    const std::lock_guard lock(mutex_);
    if (stopping_) return fail(Code::unavailable, "the registry is stopping");
    ++pending_;
    queue_.push_back(Job{std::move(work), {}, {}, asio::make_work_guard(loop_), false, std::move(waiter)});
  }
  wake_.notify_one();
  return answer.get();
}

void Writer::loop_of_thread() {
  while (true) {
    std::vector<Job> jobs;
    {
      std::unique_lock lock(mutex_);
      wake_.wait(lock, [this] { return stopping_ || !queue_.empty(); });
      if (queue_.empty()) return;
      jobs.swap(queue_);
    }
    // A job that wants to be alone splits the batch; the order stays.
    for (std::size_t at = 0; at < jobs.size();) {
      std::vector<Job> batch;
      do {
        batch.push_back(std::move(jobs[at++]));
      } while (at < jobs.size() && grouped_ && !batch.back().alone && !jobs[at].alone);
      if (batch.front().alone || !grouped_) {
        batch.front().result = guarded(batch.front().work, database_);
      } else {
        commit_together(batch);
      }
      hand_back(std::move(batch));
    }
  }
}

void Writer::commit_together(std::vector<Job>& jobs) {
  const auto begin = std::chrono::steady_clock::now();
  Result<> whole = database_.execute("BEGIN IMMEDIATE");
  for (Job& job : jobs) {
    if (whole.has_error()) break;
    whole = database_.execute("SAVEPOINT closure");
    if (whole.has_error()) break;
    job.result = guarded(job.work, database_);
    if (!database_.in_transaction()) {  // SQLite gave the whole transaction up: nothing of it is there
      whole = job.result.has_error() ? job.result : Result<>(fail(Code::unavailable, "the transaction was given up"));
      break;
    }
    if (job.result.has_error()) whole = database_.execute("ROLLBACK TO closure");
    if (whole.has_value()) whole = database_.execute("RELEASE closure");
  }
  if (whole.has_value()) whole = database_.execute("COMMIT");
  if (whole.has_error()) {
    if (database_.in_transaction()) (void)database_.execute("ROLLBACK");
    for (Job& job : jobs) {
      if (job.result.has_value()) job.result = whole;
    }
  }
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begin;
  const std::lock_guard lock(mutex_);
  ++counters_.commits;
  if (whole.has_error()) ++counters_.failed_commits;
  counters_.closures += jobs.size();
  counters_.commit_seconds += took.count();
}

void Writer::hand_back(std::vector<Job> jobs) {
  {
    const std::lock_guard lock(mutex_);
    pending_ -= jobs.size();
  }
  auto shared = std::make_shared<std::vector<Job>>(std::move(jobs));
  for (Job& job : *shared) {
    if (job.waiter) job.waiter->set_value(job.result);
  }
  asio::post(loop_, [shared] {
    for (Job& job : *shared) {
      if (job.waiter) continue;
      if (job.result.has_value() && job.apply) job.apply();
      job.apply = {};
      job.work = {};
      std::move(job.done)(std::move(job.result));
    }
  });
}

}  // namespace omnitide::registry
