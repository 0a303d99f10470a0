#include "ebpf/enforcement/encode.hpp"

#include <arpa/inet.h>

#include <algorithm>
#include <bit>
#include <cstring>

namespace omnitide::enforcement {

namespace {

constexpr std::uint32_t kWordBits = 64;
constexpr std::uint32_t kPortBits = 16;
constexpr std::uint32_t kRangeBits = 40;  // of the set and the protocol, in front of the port

enum PortKind : std::uint8_t { kAnything = 0, kProtocol = 1, kPort = 2 };

}  // namespace

std::uint32_t RowIds::take() {
  if (free_.empty()) return next_++;
  const std::uint32_t id = free_.back();
  free_.pop_back();
  return id;
}

policy_row encode_row(const policy::Bits& bits, RowIds& ids, WordRows& words) {
  policy_row row{};
  std::uint64_t word = 0;
  std::uint32_t index = 0;
  bool first = true;
  const auto finish = [&] {
    if (word == 0) return;
    row.summary[index / kWordBits] |= std::uint64_t{1} << (index % kWordBits);
    if (first) {
      row.word = word;
      row.first = static_cast<std::uint16_t>(index);
      first = false;
      return;
    }
    if (row.row == 0) row.row = ids.take();
    words.add({row.row, index}, word);
  };
  for (const std::uint16_t bit : bits) {
    if (bit / kWordBits != index) {
      finish();
      word = 0;
      index = bit / kWordBits;
    }
    word |= std::uint64_t{1} << (bit % kWordBits);
  }
  finish();
  return row;
}

void append_words(const policy_row& row, std::vector<policy_word_key>& keys) {
  if (row.row == 0) return;
  for (std::uint32_t part = 0; part < POLICY_SUMMARY_WORDS; ++part) {
    for (std::uint64_t rest = row.summary[part]; rest != 0; rest &= rest - 1) {
      const std::uint32_t word = part * kWordBits + static_cast<std::uint32_t>(std::countr_zero(rest));
      if (word != row.first) keys.push_back({row.row, word});
    }
  }
}

policy_address encode(const Address& address) {
  policy_address out{};
  std::memcpy(out.bytes, address.bytes.data(), sizeof out.bytes);
  return out;
}

Address decode(const policy_address& address) {
  Address out;
  std::memcpy(out.bytes.data(), address.bytes, sizeof address.bytes);
  return out;
}

policy_prefix encode(const Prefix& prefix) { return {.length = prefix.length, .address = encode(prefix.address)}; }

Prefix decode(const policy_prefix& prefix) {
  return make_prefix(decode(prefix.address), static_cast<std::uint8_t>(prefix.length));
}

std::set<Prefix> deny_entries(std::span<const Prefix> list) {
  const Address four = all_v4().address;
  std::set<Prefix> out;
  for (const Prefix& prefix : list) {
    if (prefix.length >= kMappedBits || make_prefix(four, prefix.length) != prefix) {
      out.insert(prefix);
      continue;
    }
    for (std::uint8_t length = prefix.length; length < kMappedBits; ++length) {
      Address beside = four;
      beside.bytes[length / 8] = static_cast<std::uint8_t>(beside.bytes[length / 8] ^ (0x80U >> (length % 8U)));
      out.insert(make_prefix(beside, static_cast<std::uint8_t>(length + 1)));
    }
  }
  return out;
}

PortKey port_key(const policy::PortRow& row) {
  return {.port = row.port, .protocol = row.protocol, .length = row.length};
}

policy_port_key exact_key(policy::SetId set, const PortKey& port) {
  policy_port_key key{};
  key.set = set;
  key.kind = port.length == kPortBits ? kPort : port.protocol != 0 ? kProtocol : kAnything;
  key.protocol = port.protocol;
  key.port = port.port;
  return key;
}

policy_port_range_key range_key(policy::SetId set, const PortKey& port) {
  policy_port_range_key key{};
  key.length = kRangeBits + port.length;
  key.set_be = htonl(set);
  key.protocol = port.protocol;
  key.port_be[0] = static_cast<std::uint8_t>(port.port >> 8U);
  key.port_be[1] = static_cast<std::uint8_t>(port.port & 0xffU);
  return key;
}

std::uint32_t set_flags(const policy::RuleSet& set) {
  std::uint32_t flags = set.otherwise == policy::Decision::deny ? std::uint32_t{POLICY_SET_DENY} : 0U;
  const auto accepts = [](const policy::PlanRule& rule) { return rule.decision == policy::Decision::accept; };
  if (std::all_of(set.rules.begin(), set.rules.end(), accepts)) flags |= POLICY_SET_ACCEPTS;
  for (const policy::PortRow& row : set.ports) {
    const PortKey key = port_key(row);
    if (key.is_range()) {
      flags |= POLICY_SET_RANGES;
    } else if (key.length == kPortBits) {
      flags |= POLICY_SET_PORTS;
    } else if (key.protocol != 0) {
      flags |= POLICY_SET_PROTOCOLS;
    }
  }
  return flags;
}

void encode_set(const policy::RuleSet& set, RowIds& ids, SetRows& out) {
  for (std::uint32_t i = 0; i < set.rules.size(); ++i) {
    const policy::PlanRule& rule = set.rules[i];
    out.rules.add({set.id, i}, {static_cast<std::uint32_t>(rule.decision), rule.pass_to});
  }
  for (const policy::PortRow& row : set.ports) {
    const PortKey key = port_key(row);
    const policy_row bits = encode_row(row.rules, ids, out.words);
    if (key.is_range()) {
      out.ranges.add(range_key(set.id, key), bits);
    } else {
      out.ports.add(exact_key(set.id, key), bits);
    }
  }
}

void encode_peer(const policy::PeerRow& row, RowIds& ids, SetRows& out) {
  out.peers.add({row.set, row.identity}, encode_row(row.rules, ids, out.words));
}

}  // namespace omnitide::enforcement
