// Packets that the kernel dropped, by reason and device.
#include "ebpf/abi/drops.h"

#include <sys/stat.h>

#include <array>
#include <cerrno>
#include <cstring>

#include "agent/base/text.hpp"
#include "ebpf/collectors/drop_reasons.hpp"
#include "ebpf/collectors/hash_rows.hpp"
#include "ebpf/collectors/openers.hpp"
#include "ebpf/programs/drops.bpf.hpp"

namespace omnitide::collectors {

namespace {

using model::MetricDescriptor;
using model::MetricType;

constexpr std::array<std::string_view, 3> kDropsLabels{"reason", "device", "netns"};
constexpr MetricDescriptor kPackets{
    "omnitide_network_dropped_packets_total", "",
    "Packets that the kernel dropped, by its reason and the device (netns: that of the agent is host).",
    MetricType::counter, kDropsLabels};
constexpr std::array kDropsFamilies{&kPackets};
constexpr std::array<std::string_view, 3> kPlaces{"none", "host", "other"};

struct Count {
  std::uint64_t packets;
};
using DropsRows = HashRows<drops_key, Count>;

struct DropsState {
  Object object;
  DropsRows rows;
  DropReasons reasons;
};

Result<> collect(DropsState& state, model::SampleBatch& batch) {
  return state.rows.read([&state, &batch](const drops_key& key, const Count& count) {
    if (key.place >= kPlaces.size()) return;
    const std::string device = printable({&key.device[0], ::strnlen(&key.device[0], sizeof key.device)});
    const std::string reason = state.reasons.name(key.reason);
    batch.add(kPackets, static_cast<double>(count.packets), {reason, device, kPlaces[key.place]});
  });
}

drops_key merged_drops(drops_key key) { return {.device = "other", .reason = key.reason, .place = key.place}; }

}  // namespace

Families drops_families() { return kDropsFamilies; }

Result<Collect> open_drops(const Setup& setup) {
  if (setup.types.arguments("kfree_skb") < 3)
    return fail(Code::failed_precondition, "the kernel gives no reasons for dropped packets (Linux 5.17 and later do)");
  Result<Object> object = Object::open("drops", ebpf::drops_object());
  if (object.has_error()) return object.error();
  struct stat own {};
  if (::stat("/proc/self/ns/net", &own) != 0) return fail_errno(errno, "cannot tell the own network namespace");
  if (Result<> done = object->set("host_namespace", own.st_ino); done.has_error()) return done.error();
  if (Result<> done = object->resize("cpus", setup.cpus); done.has_error()) return done.error();
  if (Result<> done = object->load(); done.has_error()) return done.error();
  const Result<int> values = object->map("values");
  if (values.has_error()) return values.error();
  if (Result<> done = put_on_board(*object, setup, "ebpf.drops", {"drops_free"}, false, true); done.has_error())
    return done.error();
  if (Result<> done = object->attach(); done.has_error()) return done.error();
  DropReasons reasons(setup.types.enumeration("skb_drop_reason"), setup.types.enumeration("skb_drop_reason_subsys"));
  auto state = std::make_shared<DropsState>(
      DropsState{std::move(*object), DropsRows(*values, setup.cpus, DROPS_ROWS, merged_drops), std::move(reasons)});
  return Collect([state](model::SampleBatch& batch) { return collect(*state, batch); });
}

}  // namespace omnitide::collectors
