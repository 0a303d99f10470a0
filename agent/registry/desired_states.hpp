// What each node should have: the documents whose selectors match its labels. Held in memory by set of labels, so that
// a heartbeat costs one look-up and no query.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "agent/registry/records.hpp"
#include "agent/registry/selector.hpp"

namespace omnitide::registry {

inline constexpr std::size_t kMostDocument = 4U << 20U;     // bytes of one text
inline constexpr std::size_t kMostDesired = 8U << 20U;      // bytes of names and texts for one node
inline constexpr std::uint64_t kMostPolicies = 64U << 20U;  // bytes of all texts
inline constexpr std::uint64_t kMostDocuments = 10'000;

// A document as it is served. Immutable: an answer under way keeps the one that it began with.
struct ServedDocument {
  PolicyRecord record;  // without the text
  Selector selector;
  std::string digests;  // SHA-256(name) SHA-256(text)
  std::string wire;     // DesiredState with this document alone: one behind the other they are the whole, since
                        // protobuf merges what is concatenated
};
using DocumentRef = std::shared_ptr<const ServedDocument>;

// A distinct set of documents.
struct DesiredSet {
  std::string sha256;
  std::vector<DocumentRef> documents;  // in the order of their names
  std::size_t bytes = 0;               // of names and texts
  std::uint64_t version = 0;           // 0: not yet numbered by the database, or no documents
  [[nodiscard]] bool stated() const { return version != 0 || documents.empty(); }
};
using SetRef = std::shared_ptr<DesiredSet>;

// Lines "name revision\n".
[[nodiscard]] std::string document_lines(const DesiredSet& set);

class DesiredStates {
 public:
  DesiredStates();
  void reset(std::vector<PolicyRecord> policies, const std::vector<VersionRecord>& versions);
  void put(PolicyRecord policy);
  void erase(std::string_view name);
  void numbered(const std::string& sha256, std::uint64_t version);

  // Never null.
  [[nodiscard]] SetRef of(const NodeRecord& node) const;
  // The bytes that the node would get with `policy` in the place of what bears its name.
  [[nodiscard]] std::size_t bytes_with(const NodeRecord& node, const PolicyRecord& policy,
                                       const Selector& selector) const;
  using Documents = std::map<std::string, DocumentRef, std::less<>>;
  [[nodiscard]] const Documents& documents() const { return documents_; }
  [[nodiscard]] std::uint64_t bytes() const { return bytes_; }  // of all texts

 private:
  void forget_sets();
  [[nodiscard]] SetRef make(const NodeRecord& node) const;

  Documents documents_;
  std::uint64_t bytes_ = 0;
  std::unordered_map<std::string, std::uint64_t> versions_;  // by digest
  SetRef none_;
  mutable std::unordered_map<std::string, SetRef> by_labels_;  // bounded; forgotten with every change of documents
  mutable std::unordered_map<std::string, SetRef> by_digest_;  // one object a content
};

}  // namespace omnitide::registry
