#include "agent/metrics/round.hpp"

#include <exception>

namespace omnitide::metrics {

using Clock = std::chrono::steady_clock;

void run_task(Task& task) {
  Slot& slot = *task.slot;
  if (slot.busy.exchange(true)) {
    task.outcome.problem = "it has not come back from the collection before";
    return;
  }
  const Clock::time_point begin = Clock::now();
  slot.since.store(begin.time_since_epoch().count());
  const std::size_t before = task.batch->size();
  try {
    const Result<> collected = slot.collector.collect(*task.batch);
    task.outcome.success = collected.has_value();
    if (collected.has_error()) task.outcome.problem = collected.error().text();
  } catch (const std::exception& problem) {
    task.outcome.problem = problem.what();
  }
  const Clock::duration took = Clock::now() - begin;
  task.outcome.seconds = std::chrono::duration<double>(took).count();
  if (task.outcome.success && took > slot.collector.deadline) {
    task.outcome.success = false;
    task.outcome.problem = "it took too long";
  }
  if (!task.outcome.success) task.batch->shrink(before);
  slot.busy.store(false);
}

void Round::run(std::chrono::milliseconds slice) {
  started_.store(true, std::memory_order_release);
  const Clock::time_point begin = Clock::now();
  for (std::size_t i = 0; i < tasks.size() && !abandoned_.load(); ++i) {
    run_task(tasks[i]);
    finished_.store(i + 1, std::memory_order_release);
    if (Clock::now() - begin > slice) return;
  }
}

}  // namespace omnitide::metrics
