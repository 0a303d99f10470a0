// The registry's rows as values. Times are wall clock; digests are raw bytes; labels in the form of labels.hpp.
#pragma once

#include <cstdint>
#include <string>

#include "agent/base/clock.hpp"

namespace omnitide::registry {

// Numbers as in NodeState of the wire contract; stored.
enum class State : std::uint8_t { unspecified = 0, pending = 1, approved = 2, quarantined = 3, banned = 4 };

// What a node last said of its desired state.
struct AppliedRecord {
  std::uint64_t held_version = 0, applied_version = 0;
  std::string held_sha256, applied_sha256, first_fault;
  std::uint32_t faults = 0;
  bool said = false;  // false: nothing yet
  bool operator==(const AppliedRecord&) const = default;
};

// A row of nodes, and at the same time what the registry keeps in memory for each node.
struct NodeRecord {
  std::string node_id, hostname, boot_id, start_id, agent_version, state_reason, token_id, replaces;
  std::string agent_labels, token_labels, registry_labels;
  std::string facts_sha256, conditions_sha256;  // empty until they came
  std::string certificate_serial;               // of the newest that was issued
  std::string offered_ca;                       // newest CA that went with that certificate
  WallTime joined{}, last_seen{}, certificate_expires{};
  std::uint64_t generation = 0, labels_version = 1, resource_version = 0;
  // When the present incarnation was accepted: steady nanoseconds, valid within the run of the registry named beside.
  std::int64_t accepted_run = 0, accepted_steady = 0;
  State state = State::unspecified;
  bool certificate_used = false;   // the node spoke with it: it has the CAs that came along
  AppliedRecord applied;           // in a table of its own
  bool applied_unflushed = false;  // memory only
  bool unflushed = false;          // memory only: last_seen, certificate_used or applied is newer than on disk
};

enum class Approve : std::uint8_t { automatic = 1, manual = 2 };

struct TokenRecord {
  std::string token_id, secret_sha256, labels, comment;
  Approve approve = Approve::automatic;
  std::uint32_t uses = 1, used = 0;
  WallTime expires{}, created{};
  bool revoked = false;
};

struct OperatorRecord {
  std::string serial, name;
  WallTime issued{}, expires{};
  bool revoked = false;
};

struct AuthorityRecord {
  std::string fingerprint;  // SHA-256 of the public key info, hex
  std::string state;        // "active", "next", "retired"
  WallTime not_after{};
  std::string certificate;  // DER
};

// One revision of a document of policy.
struct PolicyRecord {
  std::uint64_t revision = 0;  // of all documents together
  std::string name, selector, text, sha256, changed_by;
  std::uint64_t bytes = 0;  // of the text, also where the text was not loaded
  std::uint32_t objects = 0;
  WallTime changed{};
  bool deleted = false;
};

// A distinct set of documents that some node should have had.
struct VersionRecord {
  std::uint64_t version = 0;
  std::string sha256, documents;  // lines "name revision\n"
  WallTime created{};
};

}  // namespace omnitide::registry
