#include "agent/registry/desired_states.hpp"

#include <fmt/format.h>

#include "agent/io/crypto.hpp"
#include "agent/registry/labels.hpp"
#include "omnitide/node/v1/registration.pb.h"

namespace omnitide::registry {

namespace {

constexpr std::size_t kMostLabelSets = 65'536, kMostVersions = 65'536;

// What was stored was checked before; a selector that this program does not know selects nothing.
DocumentRef served(PolicyRecord record) {
  auto out = std::make_shared<ServedDocument>();
  Result<Selector> selector = Selector::parse(record.selector);
  out->selector = selector.has_value() ? std::move(*selector) : Selector::nothing();
  out->digests = io::sha256(record.name) + record.sha256;
  node::v1::DesiredState wire;
  node::v1::DesiredDocument& document = *wire.add_documents();
  document.set_name(record.name);
  document.set_text(std::move(record.text));
  record.text.clear();
  out->wire = wire.SerializeAsString();
  out->record = std::move(record);
  return out;
}

Labels own_labels(const NodeRecord& node) {
  return effective_labels(node.agent_labels, node.token_labels, node.registry_labels);
}

// Encoded labels have neither this byte nor two ways to be written.
std::string key_of(const NodeRecord& node) {
  std::string out;
  out.reserve(node.agent_labels.size() + node.token_labels.size() + node.registry_labels.size() + 2);
  out.append(node.agent_labels).append(1, '\0').append(node.token_labels).append(1, '\0');
  return out.append(node.registry_labels);
}

std::size_t weight(const PolicyRecord& record) { return record.name.size() + record.bytes; }

}  // namespace

std::string document_lines(const DesiredSet& set) {
  std::string out;
  for (const DocumentRef& document : set.documents)
    out += fmt::format("{} {}\n", document->record.name, document->record.revision);
  return out;
}

DesiredStates::DesiredStates() : none_(std::make_shared<DesiredSet>()) { none_->sha256 = io::sha256(""); }

void DesiredStates::reset(std::vector<PolicyRecord> policies, const std::vector<VersionRecord>& versions) {
  forget_sets();
  documents_.clear();
  bytes_ = 0;
  versions_.clear();
  for (const VersionRecord& version : versions)
    versions_.emplace(version.sha256, version.version);
  for (PolicyRecord& policy : policies)
    put(std::move(policy));
}

void DesiredStates::put(PolicyRecord policy) {
  erase(policy.name);
  bytes_ += policy.bytes;
  std::string name = policy.name;
  documents_.emplace(std::move(name), served(std::move(policy)));
}

void DesiredStates::erase(std::string_view name) {
  forget_sets();
  const auto found = documents_.find(name);
  if (found == documents_.end()) return;
  bytes_ -= found->second->record.bytes;
  documents_.erase(found);
}

void DesiredStates::forget_sets() {
  by_labels_.clear();
  by_digest_.clear();
}

void DesiredStates::numbered(const std::string& sha256, std::uint64_t version) {
  if (versions_.size() >= kMostVersions) versions_.clear();  // the database knows them
  versions_.insert_or_assign(sha256, version);
  if (const auto found = by_digest_.find(sha256); found != by_digest_.end()) found->second->version = version;
}

SetRef DesiredStates::of(const NodeRecord& node) const {
  if (documents_.empty()) return none_;
  std::string key = key_of(node);
  if (const auto found = by_labels_.find(key); found != by_labels_.end()) return found->second;
  if (by_labels_.size() >= kMostLabelSets) {
    by_labels_.clear();
    by_digest_.clear();
  }
  SetRef made = make(node);
  by_labels_.emplace(std::move(key), made);
  return made;
}

SetRef DesiredStates::make(const NodeRecord& node) const {
  const Labels labels = own_labels(node);
  auto out = std::make_shared<DesiredSet>();
  std::string digests;
  for (const auto& [name, document] : documents_) {
    if (!document->selector.matches(labels)) continue;
    digests += document->digests;
    out->bytes += weight(document->record);
    out->documents.push_back(document);
  }
  if (out->documents.empty()) return none_;
  out->sha256 = io::sha256(digests);
  const auto [at, fresh] = by_digest_.try_emplace(out->sha256, out);
  if (!fresh) return at->second;
  if (const auto known = versions_.find(out->sha256); known != versions_.end()) out->version = known->second;
  return out;
}

std::size_t DesiredStates::bytes_with(const NodeRecord& node, const PolicyRecord& policy,
                                      const Selector& selector) const {
  const SetRef present = of(node);
  std::size_t out = present->bytes;
  for (const DocumentRef& document : present->documents) {
    if (document->record.name == policy.name) out -= weight(document->record);
  }
  return selector.matches(own_labels(node)) ? out + weight(policy) : out;
}

}  // namespace omnitide::registry
