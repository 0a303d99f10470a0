// POST /v1/nodes/{id}/reboot-lease: a node asks before it restarts, so that not too many of a fleet do so at once.
#include <fmt/format.h>

#include "agent/codec/time.hpp"
#include "agent/registry/admission.hpp"
#include "agent/registry/handlers.hpp"
#include "agent/registry/rows.hpp"
#include "agent/registry/wire.hpp"

namespace omnitide::registry {

namespace {

struct Lease {
  std::string node_id, boot_id;
  WallTime now{}, ends{};
  std::uint32_t slots = 0, taken = 0;  // taken: by others
  bool granted = false;
};

// What is over is forgotten. The same boot of a node has one lease, however often it asks.
Result<> lease_in(Database& database, Lease& lease) {
  if (Result<> gone = Query(database, "DELETE FROM reboot_leases WHERE expires <= ?").bind(number(lease.now)).run();
      gone.has_error())
    return gone;
  Query own(database, "SELECT expires FROM reboot_leases WHERE node_id = ? AND boot_id = ?");
  own.bind(lease.node_id, lease.boot_id);
  const Result<bool> has = own.step();
  if (has.has_error()) return has.error();
  if (*has) lease.ends = time_of(own.integer(0));
  Query others(database, "SELECT count(*) FROM reboot_leases WHERE node_id != ?");
  others.bind(lease.node_id);
  if (const Result<bool> counted = others.step(); counted.has_error()) return counted.error();
  lease.taken = static_cast<std::uint32_t>(others.integer(0));
  lease.granted = *has || lease.taken < lease.slots;
  if (*has || !lease.granted) return {};
  return Query(database, "INSERT OR REPLACE INTO reboot_leases(node_id, boot_id, granted, expires) VALUES(?, ?, ?, ?)")
      .bind(lease.node_id, lease.boot_id, number(lease.now), number(lease.ends))
      .run();
}

}  // namespace

Answer<v1::RebootLease> lease_reboot(Context& context, io::HttpRequest& request) {
  v1::RebootLeaseRequest in;
  if (const Result<> read = decode(request, in); read.has_error()) co_return read.error();
  constexpr std::size_t kLongestBoot = 64;
  if (in.boot_id().empty() || in.boot_id().size() > kLongestBoot)
    co_return invalid("bootId", "the boot id is empty or longer than 64 bytes");
  const auto lease = std::make_shared<Lease>();
  lease->node_id = parameter(request, "id");
  const NodeRecord* node = context.nodes.find(lease->node_id);
  if (node == nullptr) co_return no_such_node(lease->node_id).with_hint("it was deleted: join again with a token");
  if (std::optional<Error> refusal = refusal_of(*node)) co_return *std::move(refusal);
  lease->boot_id = in.boot_id();
  lease->now = context.now();
  lease->ends = lease->now + context.options.reboot_lease;
  lease->slots = context.options.reboots_at_once;
  auto running = context.writer.run(
      [lease](Database& database) { return lease_in(database, *lease); },
      [&context, lease] { ++(lease->granted ? context.counters.reboots_granted : context.counters.reboots_refused); });
  const Result<> done = co_await std::move(running);
  if (done.has_error()) co_return done.error();
  v1::RebootLease out;
  out.set_granted(lease->granted);
  if (lease->granted) codec::set_time(lease->ends, *out.mutable_expires());
  out.set_slots(lease->slots);
  out.set_taken(lease->taken);
  co_return out;
}

}  // namespace omnitide::registry
