// The collectors that node_exporter has too, under its names. Each gives the same families, types, labels and values;
// what differs by release follows 1.5.0. Sources and families: docs/metrics.md.
#pragma once

#include <memory>
#include <vector>

#include "agent/base/root.hpp"
#include "agent/model/collector.hpp"
#include "agent/model/collector_settings.hpp"

namespace omnitide::discovery {

// Those that are switched on, in the order in which they are best run: those that never wait first.
[[nodiscard]] std::vector<model::Collector> node_collectors(const Root& root, const model::CollectorSettings& settings);

}  // namespace omnitide::discovery
