// From the plan's values to the elements of the maps. Pure.
#pragma once

#include <cstdint>
#include <set>
#include <span>
#include <vector>

#include "agent/base/address.hpp"
#include "agent/policy/plan.hpp"
#include "ebpf/abi/policy.h"
#include "ebpf/enforcement/maps.hpp"

namespace omnitide::enforcement {

// Numbers for rows of more than one word. Given back ones are given out again: only after a grace period.
class RowIds {
 public:
  [[nodiscard]] std::uint32_t take();  // never 0
  void give_back(std::uint32_t id) { free_.push_back(id); }

 private:
  std::uint32_t next_ = 1;
  std::vector<std::uint32_t> free_;
};

using WordRows = Rows<policy_word_key, std::uint64_t>;

// The bits as a row; words behind the first go to `words`.
[[nodiscard]] policy_row encode_row(const policy::Bits& bits, RowIds& ids, WordRows& words);
// The keys in `words` that the row refers to.
void append_words(const policy_row& row, std::vector<policy_word_key>& keys);

[[nodiscard]] policy_address encode(const Address& address);
[[nodiscard]] Address decode(const policy_address& address);
[[nodiscard]] policy_prefix encode(const Prefix& prefix);
[[nodiscard]] Prefix decode(const policy_prefix& prefix);
// A deny list as the trie needs it. There the addresses of IPv4 lie within ::/0 and whatever else contains
// ::ffff:0:0/96, which as a CIDR of IPv6 does not mean them: up to 96 prefixes around that block stand for such a one.
[[nodiscard]] std::set<Prefix> deny_entries(std::span<const Prefix> list);

// What a port row's key says, without its set: enough to remove it.
struct PortKey {
  std::uint16_t port = 0;
  std::uint8_t protocol = 0, length = 0;
  [[nodiscard]] bool is_range() const { return length > 0 && length < 16; }
};
[[nodiscard]] PortKey port_key(const policy::PortRow& row);
[[nodiscard]] policy_port_key exact_key(policy::SetId set, const PortKey& port);        // when it is no range
[[nodiscard]] policy_port_range_key range_key(policy::SetId set, const PortKey& port);  // when it is one

// The policy_set_flags of an endpoint that uses the set.
[[nodiscard]] std::uint32_t set_flags(const policy::RuleSet& set);

// All elements that one update adds for its sets and rows.
struct SetRows {
  Rows<policy_rule_key, policy_rule> rules;
  Rows<policy_port_key, policy_row> ports;
  Rows<policy_port_range_key, policy_row> ranges;
  Rows<policy_peer_key, policy_row> peers;
  WordRows words;
};
void encode_set(const policy::RuleSet& set, RowIds& ids, SetRows& out);
void encode_peer(const policy::PeerRow& row, RowIds& ids, SetRows& out);

}  // namespace omnitide::enforcement
