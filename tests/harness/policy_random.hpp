// Random objects with small alphabets, so that labels, addresses and ports meet often. The same seed gives the same
// objects.
#pragma once

#include <cstdint>
#include <map>
#include <random>
#include <string>
#include <vector>

#include "agent/policy/changes.hpp"

namespace omnitide::policy::random_objects {

inline constexpr const char* kNodeName = "node-a";

class Generator {
 public:
  explicit Generator(std::uint64_t seed) : random_(seed) {}

  // Between nothing and about thirty objects.
  [[nodiscard]] std::map<ObjectKey, ObjectRef> objects();
  // One to three objects of `state` made, replaced or removed; `state` is as after it.
  [[nodiscard]] Changes change(std::map<ObjectKey, ObjectRef>& state);

  // Addresses worth asking about: those of pods and nodes, both sides of each border of a block, and strangers.
  [[nodiscard]] static std::vector<Address> addresses(const std::map<ObjectKey, ObjectRef>& objects);
  // Protocols and ports worth asking about: both sides of each range, named ports, ICMP.
  struct Probe {
    Protocol protocol = Protocol::tcp;
    std::uint16_t port = 0;
  };
  [[nodiscard]] static std::vector<Probe> probes(const std::map<ObjectKey, ObjectRef>& objects);

  [[nodiscard]] unsigned below(unsigned limit) { return static_cast<unsigned>(random_() % limit); }
  [[nodiscard]] bool chance(unsigned percent) { return below(100) < percent; }

 private:
  [[nodiscard]] Object object(ObjectKey::Kind kind);
  [[nodiscard]] Object pod();
  [[nodiscard]] Object node();
  [[nodiscard]] Object name_space();
  [[nodiscard]] Object network_policy();
  [[nodiscard]] Object cluster_policy();
  [[nodiscard]] Object host_policy();
  [[nodiscard]] Labels labels();
  [[nodiscard]] Selector selector(const std::vector<std::string>& keys);
  [[nodiscard]] Selector namespace_selector();
  [[nodiscard]] Selector pod_selector();
  [[nodiscard]] Peer peer(const std::string& name_space, bool cluster);
  [[nodiscard]] Rule rule(const std::string& name_space, bool cluster);
  [[nodiscard]] std::vector<Rule> rules(const std::string& name_space, bool cluster);
  [[nodiscard]] PortMatch port(bool cluster);
  [[nodiscard]] Block block();
  [[nodiscard]] Address address(bool v4);
  [[nodiscard]] Protocol protocol();
  [[nodiscard]] std::string pick(const std::vector<std::string>& words);

  std::mt19937_64 random_;
};

}  // namespace omnitide::policy::random_objects
