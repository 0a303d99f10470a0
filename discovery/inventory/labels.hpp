// Facts as Kubernetes labels: Node Feature Discovery's names where it has one, omnitide.io/ otherwise (docs/labels.md).
#pragma once

#include <map>
#include <string>
#include <string_view>

#include "agent/model/node_facts.hpp"

namespace omnitide::discovery {

using Labels = std::map<std::string, std::string>;

// Keys and values always have the syntax that Kubernetes demands.
[[nodiscard]] Labels labels(const model::NodeFacts& facts);

// The nearest text that is a label value: at most 63 characters of letters, digits, '-', '_' and '.', the first and the
// last a letter or digit. What does not fit becomes '_'. Empty when nothing is left.
[[nodiscard]] std::string label_value(std::string_view text);

// Node Feature Discovery's name of a flag of /proc/cpuinfo, e.g. "AESNI" for "aes" on x86; empty when it has none or
// leaves it out by default.
[[nodiscard]] std::string nfd_cpu_flag(std::string_view architecture, std::string_view flag);

}  // namespace omnitide::discovery
