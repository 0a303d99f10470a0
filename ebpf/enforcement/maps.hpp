// The maps of one loaded object: writing, removing and reading elements in batches, and how full each map is.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string_view>
#include <utility>
#include <vector>

#include "agent/base/error.hpp"
#include "agent/base/fd.hpp"
#include "ebpf/enforcement/faults.hpp"

namespace omnitide::enforcement {

enum class Table : std::uint8_t {
  endpoints,
  publication,
  addresses,
  prefixes,
  peers,
  ports,
  port_ranges,
  words,
  rules,
  deny,
  own,
  seeds,
  connections,
  translations,
  tickets,
  ticket_counter,
  fragments,
  budgets,
  drops,
  events,
  event_state,
};
inline constexpr std::array<std::string_view, 21> kTableNames{
    "endpoints", "publication",    "addresses", "prefixes", "peers", "ports",       "port_ranges",
    "words",     "rules",          "deny",      "own",      "seeds", "connections", "translations",
    "tickets",   "ticket_counter", "fragments", "budgets",  "drops", "events",      "event_state"};
inline constexpr std::size_t kTables = kTableNames.size();
// From `seeds` on: what the programs themselves write, behind what they find it by. It outlives a change of the
// policy's maps.
[[nodiscard]] constexpr bool is_state(Table table) { return table >= Table::seeds; }
[[nodiscard]] constexpr std::string_view table_name(Table table) {
  return kTableNames[static_cast<std::size_t>(table)];
}

struct MapShape {
  std::uint32_t type = 0, key_size = 0, value_size = 0, max_entries = 0, flags = 0;
  bool operator==(const MapShape&) const = default;
};

struct Map {
  UniqueFd fd;
  MapShape shape;
  std::uint32_t limit = 0;  // elements; at most shape.max_entries
  std::uint64_t used = 0;   // kept by who writes; of maps that the programs write, see count()
  bool batch = true;        // until the kernel says that it has no batches for this kind
};

// Descriptors by table; empty ones are not there.
using Shared = std::array<UniqueFd, kTables>;

// What the kernel says of a map's descriptor.
[[nodiscard]] Result<MapShape> shape_of(int fd);

// Keys with their values, in the form that the kernel takes as a batch.
template <class Key, class Value>
struct Rows {
  std::vector<Key> keys;
  std::vector<Value> values;
  void add(const Key& key, const Value& value) {
    keys.push_back(key);
    values.push_back(value);
  }
  [[nodiscard]] std::size_t size() const { return keys.size(); }
};

class Maps {
 public:
  explicit Maps(std::shared_ptr<Faults> faults) : faults_(std::move(faults)) {}

  [[nodiscard]] Map& operator[](Table table) { return maps_[static_cast<std::size_t>(table)]; }
  [[nodiscard]] const Map& operator[](Table table) const { return maps_[static_cast<std::size_t>(table)]; }
  [[nodiscard]] bool dead() const { return faults_->dead(); }

  // Writes `count` elements that lie one behind the other, in their order; `done` says how many were. A full map is
  // resource_exhausted with its name, use and limit. Does not change `used`.
  [[nodiscard]] Result<> write(Table table, const void* keys, const void* values, std::size_t count, std::size_t& done);
  // Removes elements; those that are not there are no failure.
  [[nodiscard]] Result<> remove(Table table, const void* keys, std::size_t count);
  // False when there is none. `value` has room for one; of a per-CPU map for one each possible CPU.
  [[nodiscard]] Result<bool> read(Table table, const void* key, void* value) const;
  // Every element. Those that come or go meanwhile may be left out or, of maps that the programs write, come twice.
  using Visit = std::function<void(const std::byte* key, const std::byte* value)>;
  [[nodiscard]] Result<> visit(Table table, const Visit& visit) const;
  [[nodiscard]] Result<std::uint64_t> count(Table table) const;

  template <class Key, class Value>
  [[nodiscard]] Result<> write(Table table, const Rows<Key, Value>& rows) {
    std::size_t done = 0;
    return write(table, rows.keys.data(), rows.values.data(), rows.size(), done);
  }

 private:
  [[nodiscard]] Result<> visit_batch(const Map& map, const Visit& visit, bool& supported) const;
  [[nodiscard]] Result<> visit_single(const Map& map, const Visit& visit) const;

  std::array<Map, kTables> maps_;
  std::shared_ptr<Faults> faults_;
};

// resource_exhausted: "the map peers is full: 262144 of 262144 elements are in use, and 12 more are needed".
[[nodiscard]] Error map_full(Table table, std::uint64_t used, std::uint64_t limit, std::uint64_t more);

}  // namespace omnitide::enforcement
