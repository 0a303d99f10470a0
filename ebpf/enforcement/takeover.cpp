#include "ebpf/enforcement/takeover.hpp"

#include <bpf/bpf.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <memory>
#include <utility>

#include "ebpf/abi/policy.h"
#include "ebpf/enforcement/connections.hpp"

namespace omnitide::enforcement {

namespace {

template <class Value>
Value value_of(const std::byte* bytes) {
  Value out;
  std::memcpy(&out, bytes, sizeof out);
  return out;
}

// One pinned map as a table of its own.
Result<Maps> borrow(const Shared& from, Table table) {
  Maps out(std::make_shared<Faults>());
  const int fd = from[static_cast<std::size_t>(table)].get();
  Result<MapShape> shape = shape_of(fd);
  if (shape.has_error()) return shape.error();
  out[table].shape = *shape;
  out[table].fd.reset(::dup(fd));
  return out;
}

bool present(const Shared& maps, Table table) { return static_cast<bool>(maps[static_cast<std::size_t>(table)]); }

// By signed difference, as the programs compare: epochs wrap.
std::uint32_t later(std::uint32_t left, std::uint32_t right) {
  return static_cast<std::int32_t>(right - left) > 0 ? right : left;
}

Result<> read_endpoints(const Shared& pinned, Inheritance& out) {
  Result<Maps> maps = borrow(pinned, Table::endpoints);
  if (maps.has_error()) return maps.error();
  if ((*maps)[Table::endpoints].shape.value_size != sizeof(policy_endpoint)) return {};
  bool first = true;
  return maps->visit(Table::endpoints, [&](const std::byte* key, const std::byte* value) {
    const auto element = value_of<policy_endpoint>(value);
    out.epoch = std::exchange(first, false) ? element.epoch : later(out.epoch, element.epoch);
    out.set = std::max({out.set, element.ingress_set, element.egress_set});
    out.identity = std::max(out.identity, element.identity & ~POLICY_POD_BIT);
    if ((element.flags & POLICY_POD) != 0) out.pods.insert(value_of<std::uint32_t>(key));
  });
}

Result<> read_locations(const Shared& pinned, Table table, Inheritance& out) {
  Result<Maps> maps = borrow(pinned, table);
  if (maps.has_error()) return maps.error();
  if ((*maps)[table].shape.value_size != sizeof(policy_location)) return {};
  return maps->visit(table, [&out](const std::byte*, const std::byte* value) {
    const auto location = value_of<policy_location>(value);
    out.identity = std::max({out.identity, location.identity & ~POLICY_POD_BIT, location.previous & ~POLICY_POD_BIT});
  });
}

Result<std::uint64_t> copy_translations(const Shared& from, const Maps& to) {
  constexpr Table kTable = Table::translations;
  const Result<Maps> source = borrow(from, kTable);
  if (source.has_error()) return source.error();
  const MapShape &old = (*source)[kTable].shape, &now = to[kTable].shape;
  if (old.type != now.type || old.key_size != now.key_size || old.value_size != now.value_size) return 0U;
  std::uint64_t copied = 0;
  const Result<> done = source->visit(kTable, [&](const std::byte* key, const std::byte* value) {
    copied += bpf_map_update_elem(to[kTable].fd.get(), key, value, BPF_NOEXIST) == 0 ? 1U : 0U;
  });
  if (done.has_error()) return done.error();
  return copied;
}

Result<std::uint64_t> copy_table(const Shared& from, const Maps& to) {
  policy_seeds seeds{};
  constexpr std::uint32_t kOnly = 0;
  const Result<bool> seeded = to.read(Table::seeds, &kOnly, &seeds);
  if (seeded.has_error()) return seeded.error();
  const Result<Connections> source = Connections::open(from[static_cast<std::size_t>(Table::connections)].get());
  if (source.has_error() && source.error().code == Code::failed_precondition) return 0U;
  if (source.has_error()) return source.error();
  Result<Connections> target = Connections::open(to[Table::connections].fd.get());
  if (target.has_error()) return target.error();
  std::uint64_t copied = 0;
  source->visit([&](const Connection& connection) {
    Connection unjudged = connection;
    unjudged.state.epoch = 0;
    copied += target->enter(unjudged, seeds) ? 1U : 0U;
  });
  return copied;
}

}  // namespace

Result<Inheritance> read_inheritance(const Shared& pinned) {
  Inheritance out;
  Result<> done;
  if (present(pinned, Table::endpoints)) done = read_endpoints(pinned, out);
  for (const Table table : {Table::addresses, Table::prefixes}) {
    if (done && present(pinned, table)) done = read_locations(pinned, table, out);
  }
  if (done.has_error()) return done.error();
  return out;
}

Shared usable(Shared& pinned, const std::array<MapShape, kTables>& wanted) {
  Shared out;
  for (std::size_t i = 0; i < kTables; ++i) {
    if (!is_state(static_cast<Table>(i)) || !pinned[i]) continue;
    const Result<MapShape> shape = shape_of(pinned[i].get());
    if (shape && *shape == wanted[i]) out[i] = std::move(pinned[i]);
  }
  return out;
}

Result<Copied> copy_connections(const Shared& from, const Maps& to) {
  Copied out;
  // Translations first: a connection that has one refers to it.
  if (present(from, Table::translations)) {
    const Result<std::uint64_t> copied = copy_translations(from, to);
    if (copied.has_error()) return copied.error();
    out.translations = *copied;
  }
  if (present(from, Table::connections)) {
    const Result<std::uint64_t> copied = copy_table(from, to);
    if (copied.has_error()) return copied.error();
    out.connections = *copied;
  }
  return out;
}

}  // namespace omnitide::enforcement
