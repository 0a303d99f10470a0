// What every reader of a kernel surface looks like. A reader is pure in its root: it reads files under it (and, when
// the root is the machine itself, makes the system calls its page in docs/facts.md names), keeps no state, and may run
// on any thread.
#pragma once

#include <chrono>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "agent/base/error.hpp"
#include "agent/base/root.hpp"
#include "agent/model/node_facts.hpp"
#include "agent/model/sample.hpp"

namespace omnitide::discovery {

// Writes the fields that the source owns, and no others. Owns what it captured; may be applied many times.
using Patch = std::function<void(model::NodeFacts&)>;

struct Report {
  Patch patch;
  std::vector<model::Sample> samples;
  // What could not be read although it is there (EIO, EACCES, malformed, too long): the report is partial, and facts
  // that an earlier report had are kept. A file that is absent is no problem.
  std::vector<std::string> problems;
};

struct Source {
  std::string_view name;                            // "cpu", "block", ...: static storage
  std::chrono::milliseconds deadline{1000};         // a read that takes longer is reported as failed
  std::vector<std::string_view> subsystems{};       // uevent subsystems whose events ask for a new read
  bool background = false;                          // slow to read the first time: readiness does not wait for it
  bool on_rtnetlink = false;                        // link, address or carrier changes ask for a new read
  bool on_mounts = false;                           // a change of /proc/self/mountinfo asks for a new read
  std::function<Result<Report>(const Root&)> read;  // an error: nothing could be read at all
};

}  // namespace omnitide::discovery
