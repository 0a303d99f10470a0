// What the Kubernetes API said last, on disk: a line for each object or its end, so that an agent that starts while the
// API server is away has the objects that held before.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "agent/base/error.hpp"
#include "agent/daemon/policy_engine.hpp"

namespace omnitide::daemon {

// Blocks; one caller at a time. A line that a kill cut short counts as not written; a power loss may take the last
// seconds. What is not there any more is asked of the server again.
class KubernetesJournal {
 public:
  explicit KubernetesJournal(std::string path);
  // All objects that held, each once, and the file is written anew with just them. Without a file: none.
  [[nodiscard]] Result<std::vector<PolicyText>> load();
  // At the end of the file; when that has become much longer than what it says, it is written anew.
  [[nodiscard]] Result<> append(const std::vector<PolicyText>& changes);

 private:
  [[nodiscard]] Result<std::vector<PolicyText>> read() const;
  [[nodiscard]] Result<> rewrite(const std::vector<PolicyText>& objects);

  std::string path_;
  std::uint64_t bytes_ = 0, least_ = 0;  // of the file; when it was written anew
  bool torn_ = false;                    // the last line may have no end
};

}  // namespace omnitide::daemon
