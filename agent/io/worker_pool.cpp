#include "agent/io/worker_pool.hpp"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <condition_variable>
#include <deque>
#include <exception>
#include <mutex>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

namespace omnitide::io {

namespace asio = boost::asio;

namespace {

// One job and its waiter. The worker sets `finished` under the pool's mutex and wakes the waiter through its executor.
struct Job {
  std::function<void()> work;
  std::string problem;  // what an exception said
  bool started = false, finished = false, abandoned = false;
  std::shared_ptr<asio::steady_timer> waiter;
};

}  // namespace

class WorkerPool::Impl : public std::enable_shared_from_this<WorkerPool::Impl> {
 public:
  explicit Impl(Limits limits) : limits_(limits) {}

  bool submit(std::shared_ptr<Job> job) {
    const std::lock_guard lock(mutex_);
    if (queue_.size() >= limits_.queued || (threads_ == 0 && stuck_ >= limits_.stuck)) return false;
    queue_.push_back(std::move(job));
    if (idle_ < queue_.size() && threads_ < limits_.threads) start_thread();
    if (threads_ == 0) {
      queue_.pop_back();
      return false;
    }
    wake_.notify_one();
    return true;
  }

  // True when the job has finished; otherwise it is given up, and its thread counts as stuck when it had one.
  bool finish_or_abandon(const std::shared_ptr<Job>& job) {
    const std::lock_guard lock(mutex_);
    if (job->finished) return true;
    job->abandoned = true;
    job->waiter.reset();  // its context may be gone when the thread comes back
    if (!job->started) std::erase(queue_, job);
    if (job->started) {
      ++stuck_;
      --threads_;
      if (!queue_.empty() && stuck_ < limits_.stuck) start_thread();
    }
    return false;
  }

  void stop() {
    std::unique_lock lock(mutex_);
    stopping_ = true;
    queue_.clear();
    wake_.notify_all();
    stopped_.wait(lock, [this] { return threads_ == 0; });
  }

  unsigned stuck() const {
    const std::lock_guard lock(mutex_);
    return stuck_;
  }

 private:
  void start_thread() {
    // A thread that cannot be made (a limit of processes) is no thread: its jobs wait for another or for their
    // deadline.
    try {
      std::thread([self = shared_from_this()] { self->work(); }).detach();
      ++threads_;
    } catch (const std::system_error&) {
    }
  }

  void work() {
    std::unique_lock lock(mutex_);
    while (true) {
      ++idle_;
      wake_.wait(lock, [this] { return stopping_ || !queue_.empty(); });
      --idle_;
      if (queue_.empty()) break;
      const std::shared_ptr<Job> job = std::move(queue_.front());
      queue_.pop_front();
      if (job->abandoned) continue;
      job->started = true;
      lock.unlock();
      run(*job);
      lock.lock();
      job->finished = true;
      if (job->abandoned) {  // this thread was replaced while it hung
        --stuck_;
        return;
      }
      const auto waiter = job->waiter;
      asio::post(waiter->get_executor(), [waiter] { waiter->cancel(); });
    }
    --threads_;
    stopped_.notify_all();
  }

  static void run(Job& job) {
    try {
      job.work();
    } catch (const std::exception& problem) {
      job.problem = problem.what();
    }
    job.work = nullptr;
  }

  Limits limits_;
  mutable std::mutex mutex_;
  std::condition_variable wake_, stopped_;
  std::deque<std::shared_ptr<Job>> queue_;
  unsigned threads_ = 0, stuck_ = 0;
  std::size_t idle_ = 0;
  bool stopping_ = false;
};

WorkerPool::WorkerPool(Limits limits) : impl_(std::make_shared<Impl>(limits)) {}
WorkerPool::~WorkerPool() { impl_->stop(); }
unsigned WorkerPool::stuck() const { return impl_->stuck(); }

asio::awaitable<Result<>> WorkerPool::run(std::function<void()> work, std::chrono::milliseconds deadline) {
  const auto executor = co_await asio::this_coro::executor;
  const auto job = std::make_shared<Job>();
  const auto impl = impl_;
  job->work = std::move(work);
  job->waiter = std::make_shared<asio::steady_timer>(executor, deadline);
  if (!impl->submit(job)) co_return fail(Code::resource_exhausted, "all workers are stuck or busy");
  // The worker wakes the waiter by a posted cancel; a wait that begins later still sees the post, since this coroutine
  // and the post run on one executor.
  co_await job->waiter->async_wait(asio::as_tuple(asio::use_awaitable));
  if (!impl->finish_or_abandon(job)) co_return fail(Code::deadline_exceeded, "took too long and was given up");
  if (!job->problem.empty()) co_return fail(Code::internal, job->problem);
  co_return Result<>{};
}

}  // namespace omnitide::io
