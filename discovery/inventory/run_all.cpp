#include "discovery/inventory/run_all.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <condition_variable>
#include <cstddef>
#include <exception>
#include <memory>
#include <mutex>
#include <optional>
#include <system_error>
#include <thread>
#include <utility>

namespace omnitide::discovery {

namespace {

using Clock = std::chrono::steady_clock;

struct Slot {
  std::optional<Clock::time_point> started;
  std::optional<Result<Report>> outcome;
  Clock::duration duration{};
  bool abandoned = false;
};

// Shared with the threads, which may outlive the call.
struct Work {
  Work(Root tree, std::vector<Source> list) : root(std::move(tree)), sources(std::move(list)), slots(sources.size()) {}
  const Root root;
  const std::vector<Source> sources;
  std::mutex mutex;
  std::condition_variable finished;
  std::vector<Slot> slots;  // under the mutex, and so is `next`
  std::size_t next = 0;
};

// A source that throws has met a broken environment: it fails alone.
Result<Report> read_fenced(const Source& source, const Root& root) {
  try {
    return source.read(root);
  } catch (const std::exception& problem) {
    return fail(Code::internal, fmt::format("{} failed: {}", source.name, problem.what()));
  }
}

bool all_done(const Work& work) {
  return std::all_of(work.slots.begin(), work.slots.end(), [](const Slot& slot) { return slot.outcome.has_value(); });
}

void read_sources(const std::shared_ptr<Work>& work) {
  std::unique_lock lock(work->mutex);
  while (work->next < work->slots.size()) {
    const std::size_t index = work->next++;
    const Clock::time_point start = Clock::now();
    work->slots[index].started = start;
    lock.unlock();
    Result<Report> outcome = read_fenced(work->sources[index], work->root);
    lock.lock();
    Slot& slot = work->slots[index];
    if (slot.abandoned) return;  // another thread took this one's place
    slot.duration = Clock::now() - start;
    slot.outcome = std::move(outcome);
    if (all_done(*work)) work->finished.notify_one();  // not each time: the waiting thread would only take a core
  }
}

// False when the system gives no more threads.
bool start_reader(const std::shared_ptr<Work>& work) {
  try {
    std::thread([work] { read_sources(work); }).detach();
    return true;
  } catch (const std::system_error&) {
    return false;
  }
}

Error too_late(const Source& source, Clock::duration limit) {
  const auto millis = std::chrono::duration_cast<std::chrono::milliseconds>(limit);
  return fail(Code::deadline_exceeded,
              fmt::format("{} did not answer within {}", source.name, format_duration(millis)));
}

// Marks what is late; the next moment at which something may be late, or nothing when all are done.
std::optional<Clock::time_point> check(Work& work, Clock::time_point now, Clock::time_point end, std::size_t& stuck) {
  std::optional<Clock::time_point> next;
  for (std::size_t i = 0; i < work.slots.size(); ++i) {
    Slot& slot = work.slots[i];
    if (slot.outcome) continue;
    const Source& source = work.sources[i];
    const Clock::time_point due = slot.started ? std::min(end, *slot.started + source.deadline) : end;
    if (now < due) {
      next = next ? std::min(*next, due) : due;
      continue;
    }
    slot.duration = slot.started ? now - *slot.started : Clock::duration{};
    slot.outcome = slot.started ? too_late(source, due - *slot.started)
                                : fail(Code::deadline_exceeded, fmt::format("{}: no time was left", source.name));
    if (slot.started) {
      slot.abandoned = true;
      ++stuck;
    }
  }
  if (now >= end) work.next = work.slots.size();
  return next;
}

}  // namespace

Inventory run_all(const Root& root, std::vector<Source> sources, RunOptions options) {
  Inventory inventory(sources);
  const auto work = std::make_shared<Work>(root, std::move(sources));
  const Clock::time_point end = Clock::now() + options.total;
  std::size_t running = 0;
  while (running < std::max(options.threads, 1U) && start_reader(work))
    ++running;
  if (running == 0) read_sources(work);
  std::unique_lock lock(work->mutex);
  std::size_t stuck = 0;
  while (const auto next = check(*work, Clock::now(), end, stuck)) {
    for (; stuck > 0 && work->next < work->slots.size(); --stuck) {
      lock.unlock();
      if (!start_reader(work)) read_sources(work);
      lock.lock();
    }
    // A reader that begins the next source does not notify: look before its deadline can have passed for long.
    work->finished.wait_until(lock, std::min(*next, Clock::now() + std::chrono::milliseconds(20)));
  }
  const WallTime now = wall_now();
  for (std::size_t i = 0; i < work->slots.size(); ++i)
    inventory.accept(i, std::move(*work->slots[i].outcome), work->slots[i].duration, now);
  return inventory;
}

}  // namespace omnitide::discovery
