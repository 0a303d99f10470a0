#include "agent/metrics/collection.hpp"

#include <algorithm>
#include <array>
#include <atomic>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <deque>
#include <map>

#include "agent/base/log.hpp"
#include "agent/metrics/round.hpp"

namespace omnitide::metrics {

namespace asio = boost::asio;
using Clock = std::chrono::steady_clock;
using model::Collector;
using model::MetricDescriptor;
using model::SampleBatch;

namespace {

constexpr std::array<std::string_view, 1> kByCollector{"collector"};
constexpr MetricDescriptor kDuration{"node_scrape_collector_duration_seconds", "seconds",
                                     "How long a collector took for this scrape.", model::MetricType::gauge,
                                     kByCollector};
constexpr MetricDescriptor kSuccess{"node_scrape_collector_success", "", "1 when a collector gave its values.",
                                    model::MetricType::gauge, kByCollector};

constexpr std::size_t kMaxKept = 32;  // batches whose memory is kept for the next collection

struct Collectors {
  explicit Collectors(std::vector<Collector> all) : list(std::move(all)) {
    for (const Collector& each : list)
      slots.emplace_back(each);
  }
  const std::vector<Collector> list;
  std::deque<Slot> slots;
};

// Batches that nobody reads any more are filled again.
class BatchPool {
 public:
  std::shared_ptr<SampleBatch> take() {
    for (const std::shared_ptr<SampleBatch>& batch : kept_) {
      if (batch.use_count() != 1) continue;
      std::atomic_thread_fence(std::memory_order_acquire);  // the last reader was perhaps another thread
      batch->clear();
      return batch;
    }
    auto made = std::make_shared<SampleBatch>();
    if (kept_.size() < kMaxKept) kept_.push_back(made);
    return made;
  }

 private:
  std::vector<std::shared_ptr<SampleBatch>> kept_;
};

// A collection under way, and who waits for it.
struct Flight {
  std::vector<std::string> only;
  std::shared_ptr<const Collection> result;
  std::vector<std::shared_ptr<asio::steady_timer>> waiters;
};

}  // namespace

void Collection::add(std::shared_ptr<const SampleBatch> batch) {
  if (batch->empty()) return;
  views_.push_back(batch.get());
  owned_.push_back(std::move(batch));
}

class CollectionEngine::Impl : public std::enable_shared_from_this<Impl> {
 public:
  Impl(asio::any_io_executor executor, io::WorkerPool& pool, std::vector<Collector> collectors, Local local,
       CollectionLimits limits)
      : executor_(std::move(executor)),
        pool_(pool),
        collectors_(std::make_shared<Collectors>(std::move(collectors))),
        local_(std::move(local)),
        limits_(limits) {}

  asio::awaitable<std::shared_ptr<const Collection>> collect(std::vector<std::string> only) {
    const auto self = shared_from_this();
    std::ranges::sort(only);
    // Another choice of collectors has to wait: none is asked twice at once.
    while (flight_ && flight_->only != only)
      co_await wait(*flight_);
    std::shared_ptr<Flight> flight = flight_;
    if (!flight) {
      flight = flight_ = std::make_shared<Flight>();
      flight->only = std::move(only);
      // On its own, so that it goes on when who began it goes away.
      asio::co_spawn(executor_, fly(self, flight), asio::detached);
    }
    if (!flight->result) co_await wait(*flight);
    co_return flight->result;
  }

  [[nodiscard]] std::span<const Collector> list() const { return collectors_->list; }
  [[nodiscard]] std::uint64_t count() const { return count_; }

 private:
  asio::awaitable<void> wait(Flight& flight) {
    const auto timer = std::make_shared<asio::steady_timer>(executor_, Clock::time_point::max());
    flight.waiters.push_back(timer);
    co_await timer->async_wait(asio::as_tuple(asio::use_awaitable));
  }

  static asio::awaitable<void> fly(std::shared_ptr<Impl> self, std::shared_ptr<Flight> flight) {
    std::shared_ptr<Collection> made = std::make_shared<Collection>();
    made->collectors_ = self->collectors_;
    std::vector<Slot*> chosen;
    for (Slot& slot : self->collectors_->slots) {
      if (flight->only.empty() || std::ranges::binary_search(flight->only, slot.collector.name))
        chosen.push_back(&slot);
    }
    try {
      co_await self->gather(chosen, *made);
    } catch (const std::exception& problem) {
      // Memory ran out, for example: what was gathered so far is given.
      log::error(log::Part::agent, "a collection of metrics ended early", {{"reason", problem.what()}});
    }
    ++self->count_;
    flight->result = std::move(made);
    self->flight_.reset();
    for (const auto& waiter : flight->waiters)
      waiter->cancel();
  }

  // The tasks of the next job: those that never block share a batch, since it costs nothing to take one's values back.
  std::vector<Task> tasks_for(std::span<Slot* const> slots) {
    std::vector<Task> out;
    std::shared_ptr<SampleBatch> common;
    for (Slot* slot : slots) {
      std::shared_ptr<SampleBatch> batch;
      if (slot->collector.blocks) {
        batch = batches_.take();
      } else {
        if (!common) common = batches_.take();
        batch = common;
      }
      out.push_back({slot, batch, {}});
    }
    return out;
  }

  asio::awaitable<void> gather(std::vector<Slot*> slots, Collection& out) {
    const Clock::time_point begin = Clock::now();
    const std::shared_ptr<SampleBatch> meta = batches_.take();
    std::chrono::milliseconds longest{0};
    for (const Slot* slot : slots)
      longest = std::max(longest, slot->collector.deadline);
    while (!slots.empty() && Clock::now() - begin < limits_.whole) {
      const auto round = std::make_shared<Round>(tasks_for(slots), collectors_);
      const std::chrono::milliseconds slice = limits_.slice;
      std::function<void()> job = [round, slice] { round->run(slice); };
      const Result<> ran = co_await pool_.run(std::move(job), slice + longest);
      if (ran.has_error()) round->abandon();
      const std::size_t finished = round->finished();
      const bool hangs = ran.has_error() && round->started() && finished < round->tasks.size();
      take(*round, finished, hangs, *meta, out);
      slots.erase(slots.begin(), slots.begin() + static_cast<std::ptrdiff_t>(finished + (hangs ? 1 : 0)));
      if (ran.has_error() && !hangs) break;  // no worker was free
    }
    for (const Slot* slot : slots)
      report(*slot, {0, false, "no worker was free for it"}, *meta);
    if (local_) local_(*meta);
    out.add(meta);
  }

  // What a job brought. When it hangs in a collector that shares its batch, the batch is the hanging thread's.
  void take(const Round& round, std::size_t finished, bool hangs, SampleBatch& meta, Collection& out) {
    const SampleBatch* lost = nullptr;
    if (hangs) {
      const Task& task = round.tasks[finished];
      lost = task.batch.get();
      const Clock::time_point since{Clock::duration{task.slot->since.load()}};
      report(*task.slot, {std::chrono::duration<double>(Clock::now() - since).count(), false, "it hangs"}, meta);
    }
    const SampleBatch* last = nullptr;
    for (std::size_t i = 0; i < finished; ++i) {
      const Task& task = round.tasks[i];
      if (task.batch.get() == lost) {
        report(*task.slot, {task.outcome.seconds, false, "a collector that shares its memory hangs"}, meta);
        continue;
      }
      report(*task.slot, task.outcome, meta);
      if (task.batch.get() != last) out.add(task.batch);
      last = task.batch.get();
    }
  }

  // Failures are said once, and again when they have changed.
  void report(const Slot& slot, const Outcome& outcome, SampleBatch& meta) {
    meta.add(kDuration, outcome.seconds, {slot.collector.name});
    meta.add(kSuccess, outcome.success ? 1 : 0, {slot.collector.name});
    std::string& said = said_[slot.collector.name];
    if (outcome.problem == said) return;
    said = outcome.problem;
    if (!said.empty())
      log::debug(log::Part::agent, "a collector of metrics has no values",
                 {{"collector", std::string(slot.collector.name)}, {"reason", said}});
  }

  asio::any_io_executor executor_;
  io::WorkerPool& pool_;
  std::shared_ptr<Collectors> collectors_;
  Local local_;
  CollectionLimits limits_;
  BatchPool batches_;
  std::shared_ptr<Flight> flight_;
  std::map<std::string_view, std::string> said_;
  std::uint64_t count_ = 0;
};

CollectionEngine::CollectionEngine(asio::any_io_executor executor, io::WorkerPool& pool,
                                   std::vector<Collector> collectors, Local local, CollectionLimits limits)
    : impl_(std::make_shared<Impl>(std::move(executor), pool, std::move(collectors), std::move(local), limits)) {}
CollectionEngine::~CollectionEngine() = default;

asio::awaitable<std::shared_ptr<const Collection>> CollectionEngine::collect(std::vector<std::string> only) {
  return impl_->collect(std::move(only));
}

std::span<const Collector> CollectionEngine::collectors() const { return impl_->list(); }
std::uint64_t CollectionEngine::collections() const { return impl_->count(); }

std::span<const MetricDescriptor* const> CollectionEngine::own_descriptors() {
  static constexpr std::array kOwn{&kDuration, &kSuccess};
  return kOwn;
}

}  // namespace omnitide::metrics
