#include "ebpf/enforcement/readback.hpp"

#include <bpf/libbpf.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "ebpf/enforcement/encode.hpp"

namespace omnitide::enforcement {

namespace {

constexpr int kEnough = -ECANCELED;  // ends a run over the ring; the event that was just taken counts as read

// One value of each possible CPU lies behind the other.
template <class Value>
std::vector<Value> per_cpu(const std::byte* values) {
  std::vector<Value> out(static_cast<std::size_t>(std::max(libbpf_num_possible_cpus(), 1)));
  static_assert(sizeof(Value) % 8 == 0);
  std::memcpy(out.data(), values, out.size() * sizeof(Value));
  return out;
}

template <class Value>
Value value_of(const std::byte* bytes) {
  Value out;
  std::memcpy(&out, bytes, sizeof out);
  return out;
}

}  // namespace

Result<Counters> read_counters(const Maps& maps) {
  Counters out;
  Result<> done = maps.visit(Table::drops, [&out](const std::byte* key, const std::byte* values) {
    const auto index = value_of<std::uint32_t>(key);
    Counter sum{.direction = static_cast<std::uint8_t>(index / POLICY_REASONS),
                .reason = static_cast<std::uint8_t>(index % POLICY_REASONS)};
    for (const policy_count& count : per_cpu<policy_count>(values)) {
      sum.packets += count.packets;
      sum.bytes += count.bytes;
    }
    if (sum.packets != 0) out.verdicts.push_back(sum);
  });
  if (done.has_error()) return done.error();
  done = maps.visit(Table::event_state, [&out](const std::byte*, const std::byte* values) {
    for (const policy_event_state& state : per_cpu<policy_event_state>(values))
      out.lost_events += state.lost;
  });
  if (done.has_error()) return done.error();
  return out;
}

struct EventReader::Batch {
  std::vector<policy_event> events;
  std::size_t most = 0;
};

EventReader::EventReader() = default;
EventReader::EventReader(EventReader&&) noexcept = default;
EventReader& EventReader::operator=(EventReader&&) noexcept = default;
EventReader::~EventReader() = default;

void EventReader::Free::operator()(ring_buffer* ring) const { ring_buffer__free(ring); }

Result<EventReader> EventReader::open(int map_fd) {
  EventReader out;
  out.batch_ = std::make_unique<Batch>();
  out.ring_.reset(ring_buffer__new(map_fd, &EventReader::take, out.batch_.get(), nullptr));
  if (!out.ring_) return fail_errno(errno, "cannot read the ring buffer of events");
  return out;
}

int EventReader::fd() const { return ring_buffer__epoll_fd(ring_.get()); }

int EventReader::take(void* context, void* data, std::size_t size) {
  Batch& batch = *static_cast<Batch*>(context);
  if (size >= sizeof(policy_event)) {
    policy_event event{};
    std::memcpy(&event, data, sizeof event);
    batch.events.push_back(event);
  }
  return batch.events.size() >= batch.most ? kEnough : 0;
}

std::vector<policy_event> EventReader::drain(std::size_t most) {
  batch_->most = most;
  if (most > 0) (void)ring_buffer__consume(ring_.get());
  return std::exchange(batch_->events, {});
}

FlowEvent decode(const policy_event& event) {
  FlowEvent out;
  out.time_ns = event.time_ns;
  out.ifindex = event.ifindex;
  out.set = event.set;
  if (event.rule != POLICY_NO_RULE) out.rule = event.rule;
  out.verdict = event.verdict;
  out.reason = event.reason;
  out.direction = event.direction;
  out.protocol = event.protocol;
  out.tcp_flags = event.tcp_flags;
  out.audit = (event.flags & POLICY_EVENT_AUDIT) != 0;
  out.reply = (event.flags & POLICY_EVENT_REPLY) != 0;
  out.source_port = event.source_port;
  out.destination_port = event.destination_port;
  out.source_identity = event.source_identity;
  out.destination_identity = event.destination_identity;
  out.length = event.length;
  out.source = decode(event.source);
  out.destination = decode(event.destination);
  return out;
}

}  // namespace omnitide::enforcement
