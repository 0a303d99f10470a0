// What every source of metrics looks like to the engine that asks it.
#pragma once

#include <chrono>
#include <functional>
#include <span>
#include <string_view>

#include "agent/base/error.hpp"
#include "agent/model/sample_batch.hpp"

namespace omnitide::model {

// One source of metrics. It may be asked on any thread, but never twice at the same time. It owns what it keeps open
// between two collections.
struct Collector {
  std::string_view name;  // node_exporter's name where it has one ("netdev"), else "ebpf.tcp"; static storage
  // All families that it can give and whose names are known beforehand: for docs/metrics.md and `metrics`.
  std::span<const MetricDescriptor* const> descriptors;
  // An error: node_scrape_collector_success is 0, and what was added so far is dropped. Descriptors that the collector
  // makes at run time live as long as this function.
  std::function<Result<>(SampleBatch&)> collect;
  std::string_view source;  // where the values come from: "/proc/net/dev", "tp_btf/sched_switch"
  std::chrono::milliseconds deadline{};
  // It may wait for a device, a server or another program: its batch is its own, so that one that hangs takes no
  // other's values with it.
  bool blocks = false;
};

}  // namespace omnitide::model
