// A collection as the message of metrics.proto.
#pragma once

#include <cstdint>
#include <functional>
#include <span>

#include "agent/model/sample_batch.hpp"

namespace omnitide::node::v1 {
class MetricFamilyList;
}

namespace omnitide::daemon {

enum class MetricDetail : std::uint8_t { full, brief };  // brief: without help texts

// Of the samples that `wanted` takes, of all when it is empty. Families that have none are left out.
void fill(std::span<const model::SampleBatch* const> batches, node::v1::MetricFamilyList& out,
          MetricDetail detail = MetricDetail::full, const std::function<bool(const model::SampleView&)>& wanted = {});

}  // namespace omnitide::daemon
