// A policy as a plain value that changes at random, with the updates that lead from one to the next, and what it says
// of a packet: what the maps have to agree with.
#pragma once

#include <algorithm>
#include <cstdint>
#include <map>
#include <random>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "agent/base/address.hpp"
#include "agent/policy/plan.hpp"
#include "ebpf/enforcement/encode.hpp"
#include "ebpf/enforcement/publisher.hpp"
#include "tests/harness/policy_maps.hpp"

namespace omnitide::test {

struct Model {
  std::map<Prefix, policy::IdentityId> locations;
  std::map<policy::SetId, policy::RuleSet> sets;
  std::map<std::pair<policy::SetId, policy::IdentityId>, policy::Bits> rows;
  enforcement::Elements elements;
  std::set<Prefix> deny;

  [[nodiscard]] policy::IdentityId identity(const Address& address) const {
    const std::pair<const Prefix, policy::IdentityId>* best = nullptr;
    for (const auto& entry : locations) {
      if (entry.first.contains(address) && (best == nullptr || entry.first.length > best->first.length)) best = &entry;
    }
    return best == nullptr ? policy::kWorld : best->second;
  }

  [[nodiscard]] const policy::Bits* peers(policy::SetId set, policy::IdentityId who) const {
    auto found = rows.find({set, who});
    if (found == rows.end())
      found = rows.find({set, (who & policy::kPodBit) != 0 ? policy::kAnyPod : policy::kAnyOther});
    return found == rows.end() ? nullptr : &found->second;
  }

  // The longest row that the port is in.
  [[nodiscard]] static const policy::Bits* ports(const policy::RuleSet& set, std::uint8_t protocol,
                                                 std::uint16_t port) {
    const policy::PortRow* best = nullptr;
    for (const policy::PortRow& row : set.ports) {
      const unsigned kept = 16U - row.length;
      const bool in =
          (row.protocol == 0 && row.length == 0) || (row.protocol == protocol && port >> kept == row.port >> kept);
      const auto weight = [](const policy::PortRow& of) { return (of.protocol != 0 ? 1 : 0) + of.length; };
      if (in && (best == nullptr || weight(row) > weight(*best))) best = &row;
    }
    return best == nullptr ? nullptr : &best->rules;
  }

  [[nodiscard]] std::optional<Verdict> judge(std::uint32_t ifindex, bool ingress, const Address& peer,
                                             std::uint8_t protocol, std::uint16_t port) const {
    const auto element = elements.find(ifindex);
    if (element == elements.end()) return std::nullopt;
    const policy::SetId id = ingress ? element->second.ingress_set : element->second.egress_set;
    if (id == policy::kOpen) return Verdict{.open = true};
    const policy::RuleSet& set = sets.at(id);
    const policy::Bits *who = peers(id, identity(peer)), *what = ports(set, protocol, port);
    const auto has = [](const policy::Bits* bits, std::uint16_t bit) {
      return bits != nullptr && std::binary_search(bits->begin(), bits->end(), bit);
    };
    for (std::uint16_t rule = 0; rule < set.rules.size();) {
      if (!has(who, rule) || !has(what, rule)) {
        ++rule;
      } else if (set.rules[rule].decision == policy::Decision::pass) {
        rule = set.rules[rule].pass_to;
      } else {
        return Verdict{rule, set.rules[rule].decision == policy::Decision::accept};
      }
    }
    return Verdict{.accepted = set.otherwise == policy::Decision::accept};
  }

  // All of it.
  [[nodiscard]] policy::PlanUpdate whole() const { return Model().update_to(*this); }

  [[nodiscard]] policy::PlanUpdate update_to(const Model& next) const {
    policy::PlanUpdate out;
    for (const auto& [id, set] : next.sets) {
      if (!sets.contains(id)) out.sets.push_back(set);
    }
    for (const auto& [id, set] : sets) {
      if (!next.sets.contains(id)) out.gone_sets.push_back(id);
    }
    for (const auto& [key, bits] : next.rows) {
      if (!rows.contains(key)) out.rows.push_back({key.first, key.second, bits});
    }
    for (const auto& [key, bits] : rows) {
      if (!next.rows.contains(key) && next.sets.contains(key.first)) out.gone_rows.push_back({key.first, key.second});
    }
    for (const auto& [prefix, identity] : next.locations) {
      const auto now = locations.find(prefix);
      if (now == locations.end() || now->second != identity) out.locations.push_back({prefix, identity});
    }
    for (const auto& [prefix, identity] : locations) {
      if (!next.locations.contains(prefix)) out.gone_locations.push_back(prefix);
    }
    out.host_deny_changed = deny != next.deny;
    out.host_deny.assign(next.deny.begin(), next.deny.end());
    return out;
  }
};

class RandomModel {
 public:
  explicit RandomModel(std::uint64_t seed) : random_(seed) {
    for (int i = 0; i < 3; ++i)
      add_location();
    for (std::uint32_t ifindex = 2; ifindex < 6; ++ifindex)
      add_endpoint(ifindex);
  }

  [[nodiscard]] const Model& model() const { return model_; }

  void change() {
    switch (below(8)) {
      case 0:
      case 1: relabel(); break;
      case 2: replace_set(); break;
      case 3: add_location(); break;
      case 4: remove_location(); break;
      case 5: add_endpoint(2 + below(8)); break;
      case 6: remove_endpoint(); break;
      default: deny(); break;
    }
    sweep();
  }

  void relabel() {
    if (model_.locations.empty()) return;
    auto location = model_.locations.begin();
    std::advance(location, below(static_cast<std::uint32_t>(model_.locations.size())));
    location->second = fresh_identity(location->second & policy::kPodBit);
  }

  // Addresses that the locations tell apart, and some that they do not.
  [[nodiscard]] static std::vector<Address> probes() {
    std::vector<Address> out;
    for (const char* text : {"10.0.0.1", "10.0.0.2", "10.0.0.9", "10.0.1.1", "10.1.0.1", "192.0.2.1", "fd00::1",
                             "fd00::2", "fd00:1::1", "2001:db8::1"})
      out.push_back(*parse_address(text));
    return out;
  }

 private:
  std::uint32_t below(std::uint32_t bound) {
    return std::uniform_int_distribution<std::uint32_t>(0, bound - 1)(random_);
  }

  policy::Bits bits(std::uint32_t rules) {
    policy::Bits out;
    const std::uint32_t density = 1 + below(6);
    for (std::uint16_t i = 0; i < rules; ++i) {
      if (below(6) < density) out.push_back(i);
    }
    return out;
  }

  policy::IdentityId fresh_identity(policy::IdentityId pod) {
    const policy::IdentityId id = ++identity_ | pod;
    for (const auto& [set, rules] : model_.sets) {
      if (below(3) != 0) model_.rows[{set, id}] = bits(static_cast<std::uint32_t>(rules.rules.size()));
    }
    return id;
  }

  policy::SetId fresh_set() {
    policy::RuleSet set;
    set.id = ++set_;
    set.otherwise = below(2) == 0 ? policy::Decision::deny : policy::Decision::accept;
    const std::uint32_t rules = below(4) == 0 ? 1 + below(400) : 1 + below(20);
    for (std::uint32_t i = 0; i < rules; ++i) {
      const bool last = i + 1 == rules;
      const auto decision = static_cast<policy::Decision>(below(last ? 2 : 3));
      set.rules.push_back({.decision = decision, .pass_to = static_cast<std::uint16_t>(i + 1 + below(rules - i))});
    }
    const std::vector<policy::PortRow> rows{{0, 0, 0, {}},   {6, 0, 0, {}},    {6, 80, 16, {}},
                                            {6, 64, 12, {}}, {17, 53, 16, {}}, {132, 0, 1, {}}};
    for (policy::PortRow row : rows) {
      if (below(3) == 0) continue;
      row.rules = bits(rules);
      set.ports.push_back(row);
    }
    for (const auto& [prefix, identity] : model_.locations) {
      if (below(3) != 0) model_.rows[{set.id, identity}] = bits(rules);
    }
    if (below(2) == 0) model_.rows[{set.id, policy::kAnyPod}] = bits(rules);
    if (below(2) == 0) model_.rows[{set.id, policy::kAnyOther}] = bits(rules);
    model_.sets[set.id] = std::move(set);
    return set_;
  }

  policy::SetId some_set() {
    if (below(4) == 0) return policy::kOpen;
    if (model_.sets.empty() || below(3) != 0) return fresh_set();
    auto set = model_.sets.begin();
    std::advance(set, below(static_cast<std::uint32_t>(model_.sets.size())));
    return set->first;
  }

  void add_endpoint(std::uint32_t ifindex) {
    policy_endpoint element{};
    element.flags = POLICY_POD;
    element.id = ifindex;
    element.identity = policy::kPodBit | ifindex;
    element.ingress_set = some_set();
    element.egress_set = some_set();
    model_.elements[ifindex] = element;
  }

  void remove_endpoint() {
    if (model_.elements.size() > 2) model_.elements.erase(model_.elements.begin());
  }

  void replace_set() {
    if (model_.elements.empty()) return;
    auto element = model_.elements.begin();
    std::advance(element, below(static_cast<std::uint32_t>(model_.elements.size())));
    (below(2) == 0 ? element->second.ingress_set : element->second.egress_set) = some_set();
  }

  void add_location() {
    const std::vector<std::string> places{"10.0.0.1/32", "10.0.0.2/32", "10.0.0.0/24", "10.0.0.0/8", "0.0.0.0/0",
                                          "fd00::1/128", "fd00::/16",   "fd00::/64",   "::/0",       "192.0.2.0/25"};
    const Prefix prefix = *parse_prefix(places[below(static_cast<std::uint32_t>(places.size()))]);
    model_.locations[prefix] = fresh_identity(prefix.length == 128 ? policy::kPodBit : 0U);
  }

  void remove_location() {
    if (model_.locations.empty()) return;
    auto location = model_.locations.begin();
    std::advance(location, below(static_cast<std::uint32_t>(model_.locations.size())));
    model_.locations.erase(location);
  }

  void deny() {
    const std::vector<std::string> places{"10.0.0.0/25", "10.1.0.0/16", "192.0.2.1/32", "fd00:1::/32"};
    const Prefix prefix = *parse_prefix(places[below(static_cast<std::uint32_t>(places.size()))]);
    if (model_.deny.erase(prefix) == 0) model_.deny.insert(prefix);
  }

  // Sets that no endpoint has and rows of identities that nobody has go.
  void sweep() {
    std::set<policy::SetId> used;
    for (const auto& [ifindex, element] : model_.elements) {
      used.insert(element.ingress_set);
      used.insert(element.egress_set);
    }
    std::set<policy::IdentityId> known{policy::kAnyPod, policy::kAnyOther};
    for (const auto& [prefix, identity] : model_.locations)
      known.insert(identity);
    std::erase_if(model_.sets, [&used](const auto& set) { return !used.contains(set.first); });
    std::erase_if(model_.rows, [&](const auto& row) {
      return !used.contains(row.first.first) || !known.contains(row.first.second);
    });
  }

  std::mt19937_64 random_;
  Model model_;
  policy::SetId set_ = 0;
  policy::IdentityId identity_ = policy::kWorld;
};

}  // namespace omnitide::test
