// What is generated from the schema and from a loaded configuration.
#pragma once

#include <string>

#include "agent/config/load.hpp"

namespace omnitide::config {

// A value on one line: 10m, "text", [a, b], {a: b}. Text that could be read as something else stands in quotes.
[[nodiscard]] std::string flow_yaml(const Value& value);

// /etc/omnitide/agent.yaml as shipped: comments only.
[[nodiscard]] std::string shipped_file();
// docs/config.md.
[[nodiscard]] std::string documentation();

// The effective configuration with the origin of each value. The YAML form is itself a valid configuration file.
[[nodiscard]] std::string show_yaml(const Loaded& loaded);
[[nodiscard]] std::string show_json(const Loaded& loaded);  // {"items": [{"key", "value", "origin"}], "files": [...]}

}  // namespace omnitide::config
