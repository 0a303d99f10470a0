// Node labels: Kubernetes' syntax for keys and values, and the order in which their sources win.
#pragma once

#include <map>
#include <string>
#include <string_view>

#include "agent/base/error.hpp"

namespace omnitide::registry {

using Labels = std::map<std::string, std::string, std::less<>>;

inline constexpr std::size_t kMaxLabels = 64;  // of one source

// invalid_argument names the label: key = [prefix/]name, both in Kubernetes' syntax; at most kMaxLabels.
[[nodiscard]] Result<> check_labels(const Labels& labels);

// Lines "key=value\n" in key order: compact in memory, readable in the database. Only for checked labels.
[[nodiscard]] std::string encode_labels(const Labels& labels);
[[nodiscard]] Labels decode_labels(std::string_view text);

// agent < token < registry.
[[nodiscard]] Labels effective_labels(std::string_view agent, std::string_view token, std::string_view registry);

}  // namespace omnitide::registry
