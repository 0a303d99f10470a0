// Asks the collectors. One collection at a time, shared by all who ask meanwhile; each collector with its own deadline.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <chrono>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "agent/io/worker_pool.hpp"
#include "agent/model/collector.hpp"

namespace omnitide::metrics {

// What one collection found. Never changed once it is given away; it may be read on any thread.
class Collection {
 public:
  [[nodiscard]] std::span<const model::SampleBatch* const> batches() const { return views_; }

 private:
  friend class CollectionEngine;
  void add(std::shared_ptr<const model::SampleBatch> batch);

  std::vector<std::shared_ptr<const model::SampleBatch>> owned_;
  std::vector<const model::SampleBatch*> views_;
  std::shared_ptr<const void> collectors_;  // descriptors made at run time live with them
};

struct CollectionLimits {
  // A worker stops taking further collectors after this and comes back for the rest.
  std::chrono::milliseconds slice{300};
  // A collection ends after this; collectors that were not asked by then have failed.
  std::chrono::milliseconds whole{5000};
};

// Used on one executor; collect() may be called many times at once.
//
// All collectors run one after the other in one job of the pool, since a change of threads costs more than most of
// them. One that hangs costs that job: its thread is written off until it comes back, the collectors after it go on in
// a new job, and it is not asked again before it has come back.
class CollectionEngine {
 public:
  // Adds what the owner of the executor itself knows, at the end of a collection, on the executor.
  using Local = std::function<void(model::SampleBatch&)>;

  CollectionEngine(boost::asio::any_io_executor executor, io::WorkerPool& pool,
                   std::vector<model::Collector> collectors, Local local = {}, CollectionLimits limits = {});
  ~CollectionEngine();
  CollectionEngine(const CollectionEngine&) = delete;
  CollectionEngine& operator=(const CollectionEngine&) = delete;

  // The values of the collectors named, of all when none is named. Never null. Who asks for the same while a collection
  // is under way gets that one; the engine must outlive the call.
  [[nodiscard]] boost::asio::awaitable<std::shared_ptr<const Collection>> collect(std::vector<std::string> only = {});

  [[nodiscard]] std::span<const model::Collector> collectors() const;
  [[nodiscard]] std::uint64_t collections() const;  // how many were made

 private:
  class Impl;
  std::shared_ptr<Impl> impl_;
};

}  // namespace omnitide::metrics
