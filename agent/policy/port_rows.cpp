#include "agent/policy/port_rows.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <map>
#include <tuple>

namespace omnitide::policy {

namespace {

constexpr unsigned kPortBits = 16;
constexpr std::array<Protocol, 3> kWithPorts{Protocol::tcp, Protocol::udp, Protocol::sctp};

struct PortPrefix {
  std::uint16_t port = 0;
  std::uint8_t length = 0;
  auto operator<=>(const PortPrefix&) const = default;  // an outer one before those inside it
  [[nodiscard]] bool contains(const PortPrefix& other) const {
    return length <= other.length && ((port ^ other.port) >> (kPortBits - length)) == 0;
  }
};

// What the rules say about one protocol.
struct ProtocolRules {
  Bits whole;  // every port
  std::map<PortPrefix, Bits> prefixes;
};

// The fewest prefixes that make up the range.
std::vector<PortPrefix> prefixes_of(std::uint32_t first, std::uint32_t last) {
  std::vector<PortPrefix> out;
  while (first <= last) {
    unsigned free_bits = first == 0 ? kPortBits : static_cast<unsigned>(std::countr_zero(first));
    while (first + (1U << free_bits) - 1 > last)
      --free_bits;
    out.push_back(
        {.port = static_cast<std::uint16_t>(first), .length = static_cast<std::uint8_t>(kPortBits - free_bits)});
    first += 1U << free_bits;
  }
  return out;
}

void append(Bits& bits, std::uint16_t rule) {
  if (bits.empty() || bits.back() != rule) bits.push_back(rule);
}

void add(ProtocolRules& rules, const PortMatch& match, std::uint16_t rule) {
  if (match.last == 0) {
    append(rules.whole, rule);
    return;
  }
  for (const PortPrefix& prefix : prefixes_of(match.first, match.last)) {
    if (prefix.length == 0) {
      append(rules.whole, rule);
    } else {
      append(rules.prefixes[prefix], rule);
    }
  }
}

void add_rows(std::vector<PortRow>& out, Protocol protocol, const ProtocolRules& rules, const Bits& everything) {
  Bits base = everything;
  merge(base, rules.whole);
  const auto number = static_cast<std::uint8_t>(protocol);
  if (base != everything) out.push_back({.protocol = number, .port = 0, .length = 0, .rules = base});
  std::vector<std::pair<PortPrefix, Bits>> around;  // the prefixes that contain the present one, with their folded bits
  for (const auto& [prefix, own] : rules.prefixes) {
    while (!around.empty() && !around.back().first.contains(prefix))
      around.pop_back();
    const Bits& outer = around.empty() ? base : around.back().second;
    Bits folded = outer;
    merge(folded, own);
    if (folded == outer) continue;
    out.push_back({.protocol = number, .port = prefix.port, .length = prefix.length, .rules = folded});
    around.emplace_back(prefix, std::move(folded));
  }
}

}  // namespace

void merge(Bits& bits, const Bits& more) {
  if (more.empty()) return;
  if (bits.empty() || bits.back() < more.front()) {
    bits.insert(bits.end(), more.begin(), more.end());
    return;
  }
  Bits merged;
  merged.reserve(bits.size() + more.size());
  std::ranges::set_union(bits, more, std::back_inserter(merged));
  bits = std::move(merged);
}

std::vector<PortRow> port_rows(const std::vector<RulePorts>& rules) {
  Bits everything;
  std::map<Protocol, ProtocolRules> protocols;
  for (std::size_t i = 0; i < rules.size(); ++i) {
    const auto rule = static_cast<std::uint16_t>(i);
    if (rules[i].everything) everything.push_back(rule);
    for (const PortMatch& match : rules[i].ports) {
      if (rules[i].everything) break;
      if (match.protocol != Protocol::any) {
        add(protocols[match.protocol], match, rule);
        continue;
      }
      for (const Protocol protocol : kWithPorts)
        add(protocols[protocol], match, rule);
    }
  }
  std::vector<PortRow> out;
  if (!everything.empty()) out.push_back({.protocol = 0, .port = 0, .length = 0, .rules = everything});
  for (const auto& [protocol, of_protocol] : protocols)
    add_rows(out, protocol, of_protocol, everything);
  std::ranges::sort(out, {}, [](const PortRow& row) { return std::tuple(row.protocol, row.length, row.port); });
  return out;
}

}  // namespace omnitide::policy
