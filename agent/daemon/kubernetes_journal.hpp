// What the Kubernetes API said last, on disk: a line for each object or its end, so that an agent that starts while the
// API server is away has the objects that held before.
#pragma once

#include <cstdint>
#include <map>
#include <mutex>
#include <string>

#include "agent/base/error.hpp"
#include "agent/daemon/policy_engine.hpp"

namespace omnitide::daemon {

// By source; an empty text: the object is gone.
using PolicyTexts = std::map<std::string, std::string, std::less<>>;

// Blocks; safe from any thread. Each line has a checksum: one that a kill or a full disk cut short counts as not
// written. A power loss may take the last seconds; what is missing is asked of the server again.
class KubernetesJournal {
 public:
  // `cluster` tells clusters apart: what another one said counts as nothing.
  KubernetesJournal(std::string path, std::string cluster);
  // All objects of the last whole state with what changed since. Without one: none.
  [[nodiscard]] Result<PolicyTexts> load();
  // A whole state, in place of what was there.
  [[nodiscard]] Result<> replace(const PolicyTexts& objects);
  // Changes since the whole state. When the file has become much longer than what it says, it is written anew.
  [[nodiscard]] Result<> append(const PolicyTexts& changes);

 private:
  [[nodiscard]] Result<PolicyTexts> read() const;
  [[nodiscard]] Result<> rewrite(const PolicyTexts& objects);

  std::string path_, header_;
  std::mutex mutex_;
  std::uint64_t bytes_ = 0, least_ = 0;  // of the file; when it was written anew
};

}  // namespace omnitide::daemon
