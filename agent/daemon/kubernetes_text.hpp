// Objects of the Kubernetes API as text for the parser of policy, so that a watch, a file and the registry mean the
// same.
#pragma once

#include <string>

#include "agent/kubernetes/objects.hpp"

namespace omnitide::daemon {

[[nodiscard]] std::string uid_text(const kubernetes::Uid& uid);  // 32 hexadecimal digits

// JSON of the fields that policy reads, on one line.
[[nodiscard]] std::string policy_text(const kubernetes::Namespace& object);
[[nodiscard]] std::string policy_text(const kubernetes::Pod& object);
[[nodiscard]] std::string policy_text(const kubernetes::Node& object);
[[nodiscard]] std::string policy_text(const kubernetes::NetworkPolicy& object);
[[nodiscard]] std::string policy_text(const kubernetes::CustomObject& object);

}  // namespace omnitide::daemon
