// What the registry wants of this node: documents of policy, kept in STATE_DIR/desired-policy so that the last one
// holds while the registry is away, and through a restart.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "agent/base/error.hpp"

namespace omnitide::registration {

inline constexpr std::size_t kMostDesired = 8U << 20U;  // bytes of all names and texts together

struct DesiredDocument {
  std::string name;  // as the operator named it
  std::string text;  // Kubernetes' objects, YAML or JSON
  bool operator==(const DesiredDocument&) const = default;
};

struct DesiredState {
  std::uint64_t version = 0;  // the registry's number for this content; 0: no documents
  // Of the content, 32 bytes. Empty: the registry has not yet said anything that is known here, which is not the same
  // as wanting nothing; what is in force then stays.
  std::string sha256;
  std::vector<DesiredDocument> documents;  // in the order of their names
};
using DesiredRef = std::shared_ptr<const DesiredState>;  // never null

// How far the node is with it. Heartbeats repeat it to the registry, so that operators see a roll-out.
struct AppliedState {
  std::uint64_t version = 0;  // of the DesiredState that is in force; 0 and no sha256: none yet
  std::string sha256;
  std::uint32_t faults = 0;  // what in it does not hold
  std::string first_fault;   // one line for people
  bool operator==(const AppliedState&) const = default;
};

// As the contract defines it: SHA-256 over, for each document in order, SHA-256(name) SHA-256(text).
[[nodiscard]] std::string content_sha256(const std::vector<DesiredDocument>& documents);

// The file. It begins with a checksum of the rest and is replaced whole or not at all.
class DesiredFile {
 public:
  explicit DesiredFile(const std::string& state_dir) : path_(state_dir + "/desired-policy") {}
  // not_found when there is none yet, data_loss when it is damaged. Needs no registry and no identity: what was last
  // wanted holds also when registration cannot start.
  [[nodiscard]] Result<DesiredState> load() const;
  [[nodiscard]] Result<> store(const DesiredState& state) const;
  [[nodiscard]] const std::string& path() const { return path_; }

 private:
  std::string path_;
};

}  // namespace omnitide::registration
