// Network policy's state as the messages of local.proto, and as Samples.
#pragma once

#include <vector>

#include "agent/daemon/policy_part.hpp"
#include "agent/model/sample_batch.hpp"

namespace omnitide::node::v1 {
class FlowList;
class PolicyFault;
class PolicyStatus;
}  // namespace omnitide::node::v1

namespace omnitide::daemon {

void fill(const PolicyReport& report, node::v1::PolicyStatus& out);
void fill(const policy::Fault& fault, node::v1::PolicyFault& out);
void fill(const PolicyPart::Flows& flows, const std::string& node_name, node::v1::FlowList& out);
[[nodiscard]] std::vector<const model::MetricDescriptor*> policy_descriptors();
void add_policy_samples(const PolicyReport& report, model::SampleBatch& out);

}  // namespace omnitide::daemon
