// TCP by cgroup.
#include "ebpf/abi/tcp.h"

#include <array>
#include <chrono>
#include <numeric>
#include <optional>
#include <span>
#include <utility>

#include "ebpf/collectors/openers.hpp"
#include "ebpf/collectors/samples.hpp"
#include "ebpf/collectors/slot_values.hpp"
#include "ebpf/programs/tcp.bpf.hpp"

namespace omnitide::collectors {

namespace {

using model::MetricDescriptor;
using model::MetricType;

constexpr std::uint32_t kMostShards = 8;
constexpr std::chrono::seconds kLookInterval{1};
// Programs of one of the two ways to count what a connection carried.
constexpr std::array<std::string_view, 1> kAtEndOnly{"tcp_destroy"};
constexpr std::array<std::string_view, 3> kWhileItLasts{"tcp_end", "tcp_look", "tcp_find"};

constexpr auto kErrno = with_cgroup(std::array<std::string_view, 1>{"errno"});
constexpr auto kDirection = with_cgroup(std::array<std::string_view, 1>{"direction"});
constexpr auto kSegment = with_cgroup(std::array<std::string_view, 1>{"segment"});

constexpr MetricDescriptor kConnections{
    "omnitide_tcp_connections_total", "",
    "TCP connections that were established: out by connect(), in by a listening socket, by cgroup.",
    MetricType::counter, kDirection};
constexpr MetricDescriptor kFailures{
    "omnitide_tcp_connect_failures_total", "",
    "TCP connection attempts that failed, by error and cgroup; \"none\" if the program gave up or had no port left.",
    MetricType::counter, kErrno};
constexpr MetricDescriptor kConnect{"omnitide_tcp_connect_seconds", "seconds",
                                    "From the first SYN to the established connection, by cgroup.",
                                    MetricType::histogram, kCgroupLabels};
constexpr MetricDescriptor kResets{"omnitide_tcp_resets_total", "",
                                   "TCP resets that were sent and received, by cgroup; \"none\" has no open socket.",
                                   MetricType::counter, kDirection};
constexpr MetricDescriptor kRetransmits{"omnitide_tcp_retransmits_total", "",
                                        "TCP segments that were sent again, by kind and cgroup.", MetricType::counter,
                                        kSegment};
constexpr MetricDescriptor kBytes{"omnitide_tcp_bytes_total", "bytes",
                                  "TCP payload by cgroup: of a connection up to the last collection, or its end.",
                                  MetricType::counter, kDirection};
constexpr MetricDescriptor kRtt{
    "omnitide_tcp_rtt_seconds", "seconds",
    "Smoothed round-trip times by cgroup: one of a connection at a collection if it carried something since the last, "
    "and one at its end.",
    MetricType::histogram, kCgroupLabels};
constexpr std::array kTcpFamilies{&kConnections, &kFailures, &kConnect, &kResets, &kRetransmits, &kBytes, &kRtt};

constexpr std::array<std::string_view, TCP_FAILURES> kErrnoNames{
    "ECONNREFUSED", "ETIMEDOUT", "EHOSTUNREACH", "ENETUNREACH", "ECONNRESET", "EPERM", "none", "other"};
constexpr std::array<std::string_view, TCP_RETRANSMITS> kSegmentNames{"data", "syn", "synack"};

struct TcpState {
  Object object;
  std::shared_ptr<SlotValues<tcp_cgroup>> values;
  std::optional<Iterator> look{};  // without, connections are counted when they end
  std::chrono::steady_clock::time_point looked{};
};

std::uint64_t events_of(const tcp_cgroup& row) {
  return std::accumulate(std::begin(row.connects), std::end(row.connects), row.accepts) +
         std::accumulate(std::begin(row.failures), std::end(row.failures), row.resets_sent + row.resets_received) +
         std::accumulate(std::begin(row.rtts), std::end(row.rtts), std::uint64_t{0}) +
         std::accumulate(std::begin(row.retransmits), std::end(row.retransmits), std::uint64_t{0});
}

void add(model::SampleBatch& batch, const CgroupLabels& cgroup, const tcp_cgroup& row) {
  if (events_of(row) == 0) return;
  CgroupValues labels(cgroup);
  const auto count = [&batch, &labels](const MetricDescriptor& metric, std::string_view label, std::uint64_t value) {
    batch.add(metric, static_cast<double>(value), labels.with({label}));
  };
  const Histogram connects(row.connects, row.connect_ns, {TCP_CONNECT_FIRST, kNanosecond});
  const Histogram rtts(row.rtts, row.rtt_us, {TCP_RTT_FIRST, kMicrosecond});
  count(kConnections, "out", connects.count());
  count(kConnections, "in", row.accepts);
  for (std::size_t i = 0; i < kErrnoNames.size(); ++i) {
    if (row.failures[i] != 0) count(kFailures, kErrnoNames[i], row.failures[i]);
  }
  if (!connects.empty()) batch.add(kConnect, connects.distribution(), labels.with());
  count(kResets, "sent", row.resets_sent);
  count(kResets, "received", row.resets_received);
  for (std::size_t i = 0; i < kSegmentNames.size(); ++i)
    count(kRetransmits, kSegmentNames[i], row.retransmits[i]);
  count(kBytes, "sent", row.bytes_sent);
  count(kBytes, "received", row.bytes_received);
  if (!rtts.empty()) batch.add(kRtt, rtts.distribution(), labels.with());
}

// `live`: connections are looked at while they last.
Result<Object> load(const Setup& setup, bool live) {
  Result<Object> object = Object::open("tcp", ebpf::tcp_object());
  if (object.has_error()) return object;
  std::vector<Result<>> all{use_slots(*object, setup, setup.shards(kMostShards)), object->set("live", live ? 1 : 0),
                            object->set("retransmit_error", setup.types.arguments("tcp_retransmit_skb") > 2 ? 1 : 0)};
  for (const std::string_view program : live ? std::span<const std::string_view>(kAtEndOnly) : kWhileItLasts)
    all.push_back(object->leave_out(program));
  for (const Result<>& each : all) {
    if (each.has_error()) return each.error();
  }
  if (const Result<> done = object->load(); done.has_error()) return done.error();
  return object;
}

// After the other programs are attached: those connections that were there before.
Result<> look_from_now_on(TcpState& state) {
  const Result<Iterator> find = state.object.iterate("tcp_find"),
                         look = state.object.iterate("tcp_look", "connections");
  for (const Result<Iterator>* each : {&find, &look})
    if (each->has_error()) return each->error();
  state.look = *look;
  return find->run();
}

Result<> collect(TcpState& state, model::SampleBatch& batch) {
  const auto now = std::chrono::steady_clock::now();
  Result<> looked;
  if (state.look && now - state.looked >= kLookInterval) {
    state.looked = now;
    looked = state.look->run();
  }
  state.values->read([&batch](const CgroupLabels& cgroup, const tcp_cgroup& row) { add(batch, cgroup, row); });
  return looked;
}

}  // namespace

Families tcp_families() { return kTcpFamilies; }

Result<Collect> open_tcp(const Setup& setup) {
  Result<Object> object = load(setup, true);
  const bool live = !object.has_error();
  if (!live && object.error().code != Code::permission_denied) object = load(setup, false);
  if (object.has_error()) return object.error();
  const Result<MappedArray> rows = object->array("values");
  if (rows.has_error()) return rows.error();
  const std::vector<std::string_view> programs{"tcp_state",      "tcp_retransmit",     "tcp_synack",
                                               "tcp_reset_sent", "tcp_reset_received", "tcp_destroy",
                                               "tcp_end",        "tcp_look",           "tcp_find"};
  if (Result<> done = put_on_board(*object, setup, "ebpf.tcp", programs, true, true); done.has_error())
    return done.error();
  auto state = std::make_shared<TcpState>(
      TcpState{std::move(*object), SlotValues<tcp_cgroup>::open(setup.slots, *rows, events_of)});
  if (Result<> done = state->object.attach(); done.has_error()) return done.error();
  if (Result<> done = live ? look_from_now_on(*state) : Result<>(); done.has_error()) return done.error();
  return Collect([state](model::SampleBatch& batch) { return collect(*state, batch); });
}

}  // namespace omnitide::collectors
