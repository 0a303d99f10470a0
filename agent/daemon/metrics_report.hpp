// A collection as the message of metrics.proto.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>

#include "agent/model/sample_batch.hpp"

namespace omnitide::node::v1 {
class MetricFamily;
class MetricFamilyList;
}  // namespace omnitide::node::v1

namespace omnitide::daemon {

enum class MetricDetail : std::uint8_t { full, brief };  // brief: without help texts

// Of the samples that `wanted` takes, of all when it is empty. Families that have none are left out.
void fill(std::span<const model::SampleBatch* const> batches, node::v1::MetricFamilyList& out,
          MetricDetail detail = MetricDetail::full, const std::function<bool(const model::SampleView&)>& wanted = {});

// The same, one family after the other, so that only one takes memory at a time; `take` may empty it. Gives how many
// samples were refused.
std::size_t each_family(std::span<const model::SampleBatch* const> batches, MetricDetail detail,
                        const std::function<bool(const model::SampleView&)>& wanted,
                        const std::function<void(node::v1::MetricFamily&)>& take);

}  // namespace omnitide::daemon
