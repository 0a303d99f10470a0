// The maps of the policy programs without the programs, and a reader that judges by them as the programs do, written
// from ebpf/abi/policy.h alone: plain and slow.
#pragma once

#include <bpf/bpf.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>

#include "ebpf/abi/policy.h"
#include "ebpf/enforcement/encode.hpp"
#include "ebpf/enforcement/maps.hpp"
#include "ebpf/enforcement/object.hpp"

namespace omnitide::test {

using enforcement::Maps;
using enforcement::Table;

inline Maps make_maps(const enforcement::Options& options, std::shared_ptr<enforcement::Faults> faults) {
  const auto shapes = enforcement::wanted_shapes(options);
  if (shapes.has_error()) throw std::runtime_error(shapes.error().text());
  Maps maps(std::move(faults));
  for (std::size_t i = 0; i < enforcement::kTables; ++i) {
    const enforcement::MapShape& shape = (*shapes)[i];
    bpf_map_create_opts create{};
    create.sz = sizeof create;
    create.map_flags = shape.flags;
    const int fd = bpf_map_create(static_cast<bpf_map_type>(shape.type), "policy_test", shape.key_size,
                                  shape.value_size, shape.max_entries, &create);
    if (fd < 0) throw std::runtime_error("cannot make a map (root is needed)");
    enforcement::Map& map = maps[static_cast<Table>(i)];
    map.fd.reset(fd);
    map.shape = shape;
    map.limit = shape.type == BPF_MAP_TYPE_LPM_TRIE ? shape.max_entries - 1 : shape.max_entries;
  }
  return maps;
}

struct Verdict {
  std::uint32_t rule = 0xffff;  // that decided; 0xffff: none
  bool accepted = true;
  bool open = false;    // no set
  bool closed = false;  // the endpoint is closed
  bool operator==(const Verdict&) const = default;
};

class Reader {
 public:
  explicit Reader(const Maps& maps) : maps_(maps) {}

  [[nodiscard]] std::optional<policy_endpoint> endpoint(std::uint32_t ifindex) const {
    return find<policy_endpoint>(Table::endpoints, ifindex);
  }

  [[nodiscard]] std::uint32_t identity(const Address& address, std::uint32_t epoch) const {
    auto location = find<policy_location>(Table::addresses, enforcement::encode(address));
    if (!location) location = find<policy_location>(Table::prefixes, policy_prefix{128, enforcement::encode(address)});
    if (!location) throw std::runtime_error("an address without any location");
    return static_cast<std::int32_t>(location->epoch - epoch) <= 0 ? location->identity : location->previous;
  }

  [[nodiscard]] bool denied(const Address& address) const {
    return find<std::uint32_t>(Table::deny, policy_prefix{128, enforcement::encode(address)}).has_value();
  }

  // What the device's endpoint says of a packet from (or to) `peer`; nullopt: no endpoint.
  [[nodiscard]] std::optional<Verdict> judge(std::uint32_t ifindex, bool ingress, const Address& peer,
                                             std::uint8_t protocol, std::uint16_t port) const {
    const auto e = endpoint(ifindex);
    if (!e) return std::nullopt;
    if ((e->flags & POLICY_CLOSED) != 0) return Verdict{.accepted = false, .closed = true};
    const std::uint32_t set = ingress ? e->ingress_set : e->egress_set;
    const std::uint32_t flags = ingress ? e->ingress_flags : e->egress_flags;
    if (set == 0) return Verdict{.open = true};
    const std::uint32_t who = identity(peer, e->epoch);
    auto peers = find<policy_row>(Table::peers, policy_peer_key{set, who});
    const std::uint32_t any = (who & POLICY_POD_BIT) != 0 ? POLICY_ANY_POD : POLICY_ANY_OTHER;
    if (!peers) peers = find<policy_row>(Table::peers, policy_peer_key{set, any});
    const auto ports = port_row(set, flags, protocol, port);
    std::uint32_t rule = 0;
    while (peers && ports && rule < POLICY_ROW_WORDS * 64) {
      if (!bit(*peers, rule) || !bit(*ports, rule)) {
        ++rule;
        continue;
      }
      const auto decision = find<policy_rule>(Table::rules, policy_rule_key{set, rule});
      if (!decision) throw std::runtime_error("a rule that is not there");
      if (decision->decision != POLICY_PASS) return Verdict{rule, decision->decision == POLICY_ACCEPT};
      rule = decision->pass_to;
    }
    return Verdict{.accepted = (flags & POLICY_SET_DENY) == 0};
  }

 private:
  template <class Value, class Key>
  [[nodiscard]] std::optional<Value> find(Table table, const Key& key) const {
    Value value{};
    const auto found = maps_.read(table, &key, &value);
    if (found.has_error()) throw std::runtime_error(found.error().text());
    return *found ? std::optional(value) : std::nullopt;
  }

  [[nodiscard]] bool bit(const policy_row& row, std::uint32_t rule) const {
    const std::uint32_t word = rule / 64;
    if ((row.summary[word / 64] >> (word % 64) & 1U) == 0) return false;
    std::uint64_t bits = row.word;
    if (word != row.first) {
      const auto more = find<std::uint64_t>(Table::words, policy_word_key{row.row, word});
      if (!more) throw std::runtime_error("a word that is not there");
      bits = *more;
    }
    return (bits >> (rule % 64) & 1U) != 0;
  }

  [[nodiscard]] std::optional<policy_row> port_row(std::uint32_t set, std::uint32_t flags, std::uint8_t protocol,
                                                   std::uint16_t port) const {
    std::optional<policy_row> row;
    if ((flags & POLICY_SET_PORTS) != 0) row = find<policy_row>(Table::ports, policy_port_key{set, 2, protocol, port});
    if (!row && (flags & POLICY_SET_RANGES) != 0) {
      policy_port_range_key key{};
      key.length = 56;
      key.set_be = __builtin_bswap32(set);
      key.protocol = protocol;
      key.port_be[0] = static_cast<std::uint8_t>(port >> 8U);
      key.port_be[1] = static_cast<std::uint8_t>(port);
      row = find<policy_row>(Table::port_ranges, key);
    }
    if (!row && (flags & POLICY_SET_PROTOCOLS) != 0)
      row = find<policy_row>(Table::ports, policy_port_key{set, 1, protocol, 0});
    return row ? row : find<policy_row>(Table::ports, policy_port_key{set, 0, 0, 0});
  }

  const Maps& maps_;
};

}  // namespace omnitide::test
