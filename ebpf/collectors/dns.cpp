// DNS queries over UDP by cgroup: by the functions that send and read datagrams, or, where the kernel lets no program
// be attached to functions, by the packets of every socket (docs/adr/0019-dns-by-socket.md).
#include "ebpf/abi/dns.h"

#include <bpf/bpf.h>
#include <fmt/format.h>
#include <linux/capability.h>

#include <array>
#include <ctime>
#include <map>
#include <numeric>
#include <span>
#include <string>
#include <vector>

#include "ebpf/collectors/openers.hpp"
#include "ebpf/collectors/samples.hpp"
#include "ebpf/collectors/slot_values.hpp"
#include "ebpf/loader/attempt.hpp"
#include "ebpf/loader/capabilities.hpp"
#include "ebpf/programs/dns.bpf.hpp"

namespace omnitide::collectors {

namespace {

using model::MetricDescriptor;
using model::MetricType;

constexpr std::uint32_t kMostShards = 8;
constexpr std::uint64_t kTimeout = 5'000'000'000;  // ns; the default of resolv.conf(5)
// Of the one way, and of the other; all of them in the order of their counters.
constexpr std::array<std::string_view, 2> kByPackets{"dns_send", "dns_receive"};
constexpr std::array<std::string_view, 4> kByFunctions{"dns_send4", "dns_send6", "dns_read4", "dns_read6"};

constexpr auto kCode = with_cgroup(std::array<std::string_view, 1>{"code"});
constexpr MetricDescriptor kQueries{"omnitide_dns_queries_total", "", "DNS queries that were sent by UDP, by cgroup.",
                                    MetricType::counter, kCgroupLabels};
constexpr MetricDescriptor kResponses{"omnitide_dns_responses_total", "",
                                      "DNS answers that came by UDP, by response code and cgroup.", MetricType::counter,
                                      kCode};
constexpr MetricDescriptor kTimeouts{"omnitide_dns_timeouts_total", "",
                                     "DNS queries that were asked again, or had no answer in five seconds, by cgroup.",
                                     MetricType::counter, kCgroupLabels};
constexpr MetricDescriptor kDnsLatency{"omnitide_dns_latency_seconds", "seconds",
                                       "From a DNS query by UDP until its answer is read, by cgroup.",
                                       MetricType::histogram, kCgroupLabels};
constexpr std::array kDnsFamilies{&kQueries, &kResponses, &kTimeouts, &kDnsLatency};

// RFC 1035 and IANA's registry of DNS RCODEs.
constexpr std::array<std::string_view, DNS_CODES> kCodes{
    "NOERROR", "FORMERR", "SERVFAIL", "NXDOMAIN",  "NOTIMP", "REFUSED", "YXDOMAIN", "YXRRSET",
    "NXRRSET", "NOTAUTH", "NOTZONE",  "DSOTYPENI", "12",     "13",      "14",       "15"};

struct DnsState {
  Object object;
  int pending = -1;
  std::shared_ptr<CgroupSlots> slots;
  std::shared_ptr<SlotValues<dns_cgroup>> values;
  MappedArray rows;
};

std::uint64_t events_of(const dns_cgroup& row) { return row.queries; }

std::uint64_t now_ns() {
  timespec now{};
  (void)::clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<std::uint64_t>(now.tv_sec) * 1'000'000'000 + static_cast<std::uint64_t>(now.tv_nsec);
}

// Takes out the queries that got no answer. The map holds those of seconds, and DNS_PENDING at most.
void expire(DnsState& state) {
  std::vector<dns_key> old;
  const std::uint64_t now = now_ns();
  dns_key key{}, next{};
  bool first = true;
  for (std::uint32_t i = 0; i < DNS_PENDING; ++i) {
    if (bpf_map_get_next_key(state.pending, first ? nullptr : &key, &next) != 0) break;
    first = false;
    key = next;
    dns_query query{};
    if (bpf_map_lookup_elem(state.pending, &key, &query) == 0 && now > query.ns && now - query.ns > kTimeout)
      old.push_back(key);
  }
  for (const dns_key& each : old) {
    dns_query query{};
    if (bpf_map_lookup_elem(state.pending, &each, &query) != 0) continue;
    if (bpf_map_delete_elem(state.pending, &each) != 0) continue;  // answered in between
    std::uint32_t slot = query.cgroup == 0 ? std::uint32_t{COLLECT_NONE} : std::uint32_t{COLLECT_OTHER};
    (void)bpf_map_lookup_elem(state.slots->slots_fd(), &query.cgroup, &slot);
    std::atomic_ref(state.rows.row(slot)[offsetof(dns_cgroup, timeouts) / sizeof(std::uint64_t)]).fetch_add(1);
  }
}

void add(model::SampleBatch& batch, const CgroupLabels& cgroup, const dns_cgroup& row) {
  if (row.queries == 0) return;
  CgroupValues labels(cgroup);
  batch.add(kQueries, static_cast<double>(row.queries), labels.with());
  batch.add(kTimeouts, static_cast<double>(row.timeouts), labels.with());
  for (std::size_t i = 0; i < kCodes.size(); ++i) {
    if (row.codes[i] != 0) batch.add(kResponses, static_cast<double>(row.codes[i]), labels.with({kCodes[i]}));
  }
  const Histogram latency(row.latencies, row.latency_ns, {DNS_FIRST, kNanosecond});
  if (!latency.empty()) batch.add(kDnsLatency, latency.distribution(), labels.with());
}

Result<Object> load_without(const Setup& setup, std::span<const std::string_view> left_out) {
  Result<Object> object = Object::open("dns", ebpf::dns_object());
  if (object.has_error()) return object;
  for (const std::string_view program : left_out)
    if (Result<> done = object->leave_out(program); done.has_error()) return done.error();
  if (Result<> done = use_slots(*object, setup, setup.shards(kMostShards)); done.has_error()) return done.error();
  if (Result<> done = object->load(); done.has_error()) return done.error();
  return object;
}

// Some kernels take such programs and cannot attach them (arm64 before Linux 6.0).
Result<Object> attach_to_functions(const Setup& setup) {
  if (!setup.functions) return fail(Code::failed_precondition, "not to be used");
  // An empty program first: to prepare ours, libbpf reads all types of the kernel, which takes some 20 ms of a CPU.
  const std::uint32_t function = setup.types.function("ip_send_skb");
  if (function == 0) return fail(Code::failed_precondition, "the kernel has no ip_send_skb");
  int error = 0;
  if (!ebpf::load_empty({.type = BPF_PROG_TYPE_TRACING, .attach = BPF_TRACE_FENTRY, .btf_id = function}, error))
    return fail_errno(error, "the kernel does not take the programs");
  Result<Object> object = load_without(setup, kByPackets);
  if (object.has_error()) return object;
  if (Result<> done = object->attach(); done.has_error()) return done.error();
  return object;
}

Result<Object> attach_to_packets(const Setup& setup) {
  if (setup.cgroup_root < 0) return fail(Code::failed_precondition, "cgroup v2 is not mounted");
  const std::string missing = ebpf::missing_capabilities(ebpf::effective_capabilities(), std::array{CAP_NET_ADMIN});
  if (!missing.empty()) return fail(Code::permission_denied, fmt::format("{}; missing: {}", *setup.how, missing));
  Result<Object> object = load_without(setup, kByFunctions);
  if (object.has_error()) return object;
  for (const std::string_view program : kByPackets) {
    if (Result<> done = object->attach_to_cgroup(program, setup.cgroup_root); done.has_error()) return done.error();
  }
  return object;
}

}  // namespace

Families dns_families() { return kDnsFamilies; }

Result<Collect> open_dns(const Setup& setup) {
  Result<Object> object = attach_to_functions(setup);
  if (object.has_error()) {
    *setup.how = fmt::format("by cgroup_skb, at every packet (fentry: {})", object.error().message);
    object = attach_to_packets(setup);
  }
  if (object.has_error()) return object.error();
  const Result<MappedArray> rows = object->array("values");
  if (rows.has_error()) return rows.error();
  const Result<int> pending = object->map("pending");
  if (pending.has_error()) return pending.error();
  std::vector<std::string_view> programs(kByPackets.begin(), kByPackets.end());
  programs.insert(programs.end(), kByFunctions.begin(), kByFunctions.end());
  if (Result<> done = put_on_board(*object, setup, "ebpf.dns", programs, true, true); done.has_error())
    return done.error();
  auto values = SlotValues<dns_cgroup>::open(setup.slots, *rows, events_of);
  auto state =
      std::make_shared<DnsState>(DnsState{std::move(*object), *pending, setup.slots, std::move(values), *rows});
  return Collect([state](model::SampleBatch& batch) -> Result<> {
    expire(*state);
    state->values->read([&batch](const CgroupLabels& cgroup, const dns_cgroup& row) { add(batch, cgroup, row); });
    return {};
  });
}

}  // namespace omnitide::collectors
