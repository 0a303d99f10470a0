// Reads the configuration: defaults, agent.yaml, agent.d/*.yaml in lexical order, --config, the environment, and the
// paths given on the command line; later ones win. Every fault is reported, and the valid rest is still there.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "agent/config/config.hpp"
#include "agent/config/document.hpp"

namespace omnitide::config {

struct LoadOptions {
  std::string directory = "/etc/omnitide";  // of agent.yaml and agent.d; both may be absent
  std::string file;                         // --config: read after those, must be there; empty: none
  std::vector<std::pair<std::string, std::string>> environment;  // names with OMNITIDE_; see environment_of()
  std::string state_dir, run_dir;                                // --state-dir and --run-dir; empty: not given
  std::string hostname;                                          // for node.name; empty: the kernel's
};

struct Fault {
  std::string file;  // or the environment variable's name
  unsigned line = 0;
  std::string field, message, hint;
  // "FILE:LINE: FIELD: MESSAGE (HINT)"
  [[nodiscard]] std::string text() const;
};

enum class Layer : std::uint8_t { built_in, file, environment, flag };

struct Origin {
  Layer layer = Layer::built_in;
  std::string name;  // file, variable or flag
  unsigned line = 0;
  [[nodiscard]] std::string text() const;  // "default", "FILE:LINE", "OMNITIDE_X", "--state-dir"
};

// One effective value. Entries of a map have an origin each: "node.labels.site".
struct Setting {
  std::string path;
  Value value;
  Origin origin;
};

struct Loaded {
  Config config;                      // valid when there are no faults; otherwise what could be used
  std::vector<Setting> settings;      // in the order of the schema
  std::vector<Fault> faults;          // at most kMaxFaults
  std::vector<std::string> warnings;  // sentences; not faults
  [[nodiscard]] bool valid() const { return faults.empty(); }
};

inline constexpr std::size_t kMaxFaults = 100;

[[nodiscard]] Loaded load(const LoadOptions& options);

// The variables of `environ` whose names begin with OMNITIDE_.
[[nodiscard]] std::vector<std::pair<std::string, std::string>> environment_of(const char* const* environ);

}  // namespace omnitide::config
