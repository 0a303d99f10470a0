// A collection as the message of metrics.proto.
#pragma once

#include <span>

#include "agent/model/sample_batch.hpp"

namespace omnitide::node::v1 {
class MetricFamilyList;
}

namespace omnitide::daemon {

void fill(std::span<const model::SampleBatch* const> batches, node::v1::MetricFamilyList& out);

}  // namespace omnitide::daemon
