// One job of a collection: some collectors, one after the other. Inside of the room.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "agent/model/collector.hpp"

namespace omnitide::metrics {

// A collector and whether somebody asks it. Outlives the engine while a thread hangs in it.
struct Slot {
  explicit Slot(const model::Collector& what) : collector(what) {}
  const model::Collector& collector;
  std::atomic<bool> busy{false};
  std::atomic<std::int64_t> since{0};  // when it was asked, steady clock, while busy
};

struct Outcome {
  double seconds = 0;
  bool success = false;
  std::string problem;
};

struct Task {
  Slot* slot = nullptr;
  std::shared_ptr<model::SampleBatch> batch;  // of all that never block, or its own
  Outcome outcome;
};

// Run by a worker, watched by the engine. What the worker finished is the engine's; the rest is the worker's.
class Round {
 public:
  Round(std::vector<Task> work, std::shared_ptr<const void> keep) : tasks(std::move(work)), keep_(std::move(keep)) {}

  void run(std::chrono::milliseconds slice);  // on the worker
  void abandon() { abandoned_.store(true); }
  [[nodiscard]] std::size_t finished() const { return finished_.load(std::memory_order_acquire); }
  [[nodiscard]] bool started() const { return started_.load(std::memory_order_acquire); }

  std::vector<Task> tasks;

 private:
  std::shared_ptr<const void> keep_;  // owner of the slots
  std::atomic<std::size_t> finished_{0};
  std::atomic<bool> abandoned_{false}, started_{false};
};

// One collector into the end of its batch; what a failed one added is taken back.
void run_task(Task& task);

}  // namespace omnitide::metrics
