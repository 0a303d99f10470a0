#include <cstring>

#include "agent/policy/peer_index.hpp"

namespace omnitide::policy {

namespace {

void add(HashOf& hash, const Labels& labels) {
  for (const auto& [key, value] : labels)
    hash.add(key).add(value);
  hash.add(labels.size());
}

void add(HashOf& hash, const Selector& selector) {
  for (const Requirement& requirement : selector.requirements) {
    hash.add(requirement.key).add(static_cast<std::uint64_t>(requirement.op));
    for (const std::string& value : requirement.values)
      hash.add(value);
  }
  hash.add(selector.requirements.size());
}

void add(HashOf& hash, const Prefix& prefix) {
  std::array<std::uint64_t, 2> words{};
  static_assert(sizeof words == sizeof prefix.address.bytes);
  std::memcpy(words.data(), prefix.address.bytes.data(), sizeof words);
  hash.add(words[0]).add(words[1]).add(prefix.length);
}

}  // namespace

std::size_t RecordHash::operator()(const ProfileKey& key) const {
  HashOf hash;
  hash.add(static_cast<std::uint64_t>(key.kind)).add(key.name_space);
  add(hash, key.namespace_labels);
  add(hash, key.labels);
  for (const NamedPort& port : key.ports)
    hash.add(port.name).add(port.number);
  return hash.value();
}

std::size_t RecordHash::operator()(const SelectionKey& key) const {
  HashOf hash;
  hash.add(key.nodes ? 1 : 0).add(key.name_space);
  add(hash, key.namespaces);
  add(hash, key.labels);
  return hash.value();
}

std::size_t RecordHash::operator()(const Block& key) const {
  HashOf hash;
  add(hash, key.cidr);
  for (const Prefix& except : key.except)
    add(hash, except);
  return hash.value();
}

std::size_t RecordHash::operator()(const MatcherKey& key) const {
  HashOf hash;
  hash.add((key.any_pod ? 1U : 0U) + (key.any_other ? 2U : 0U));
  for (const std::uint64_t serial : key.selections)
    hash.add(serial);
  hash.add(key.selections.size());
  for (const std::uint64_t serial : key.blocks)
    hash.add(serial);
  return hash.value();
}

std::size_t RecordHash::operator()(const ClassKey& key) const {
  HashOf hash;
  for (const std::uint64_t serial : key)
    hash.add(serial);
  return hash.value();
}

std::size_t RecordHash::operator()(const PeerClassKey& key) const {
  HashOf hash;
  hash.add(static_cast<std::uint64_t>(key.kind));
  for (const std::uint64_t serial : key.selections)
    hash.add(serial);
  for (const NamedPort& port : key.ports)
    hash.add(port.name).add(port.number);
  return hash.value();
}

std::size_t RecordHash::operator()(const IdentityKey& key) const {
  return HashOf().add(key.peer_class->serial).add(key.address_class->serial).value();
}

std::size_t RecordHash::operator()(const Prefix& key) const {
  HashOf hash;
  add(hash, key);
  return hash.value();
}

}  // namespace omnitide::policy
