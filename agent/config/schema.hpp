// Every key of the configuration, one row each. From this table come the checks, the shipped agent.yaml,
// docs/config.md, `config show`, the environment variables and the hints for mistyped keys.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "agent/config/config.hpp"
#include "agent/config/document.hpp"
#include "agent/config/values.hpp"

namespace omnitide::config {

struct Key {
  std::string_view path;          // "discovery.refresh_interval"
  std::string_view type;          // for people: "duration, 10m to 7d"
  std::string_view help;          // one or two sentences
  std::string_view default_text;  // when empty: what a default Config has
  std::string_view example;       // YAML, for the shipped file; empty: the default
  bool reloadable;                // takes effect on SIGHUP
  bool is_map;                    // entries of several files are put together, not replaced
  void (*set)(Config&, const Value&, Problems&);
  Value (*get)(const Config&);
};

// "discovery" and "refresh_interval" of "discovery.refresh_interval".
[[nodiscard]] inline std::string_view section_of(std::string_view path) { return path.substr(0, path.find('.')); }
[[nodiscard]] inline std::string_view leaf_of(std::string_view path) { return path.substr(path.find('.') + 1); }

[[nodiscard]] std::span<const Key> keys();
[[nodiscard]] const Key* find_key(std::string_view path);  // null when there is none
[[nodiscard]] bool is_section(std::string_view path);      // "discovery"
[[nodiscard]] bool is_group(std::string_view path);        // "policy.limits"
[[nodiscard]] std::string_view section_help(std::string_view section);
[[nodiscard]] std::string environment_name(const Key& key);  // "OMNITIDE_DISCOVERY_REFRESH_INTERVAL"
[[nodiscard]] std::string default_text(const Key& key);      // YAML
// "did you mean registration.endpoint?", or empty when nothing is near.
[[nodiscard]] std::string unknown_key_hint(std::string_view path);

// What only several keys together show to be wrong. `Problem::field` is a full path.
void check_together(const Config& config, Problems& problems);

}  // namespace omnitide::config
