#include "ebpf/enforcement/connections.hpp"

#include <linux/bpf.h>
#include <sys/mman.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstring>
#include <utility>

#include "ebpf/enforcement/maps.hpp"

namespace omnitide::enforcement {

namespace {

// The programs write a state as one word, and so does this.
std::uint64_t word_in(const policy_bucket& bucket, std::size_t way) {
  return std::atomic_ref<__u64>(const_cast<__u64&>(bucket.states[way])).load(std::memory_order_acquire);
}

void put_word(policy_bucket& bucket, std::size_t way, std::uint64_t word) {
  std::atomic_ref<__u64>(bucket.states[way]).store(word, std::memory_order_release);
}

bool same_key(const policy_connection_key& left, const policy_connection_key& right) {
  return std::memcmp(&left, &right, sizeof left) == 0;
}

bool idle(const Connection& connection, std::uint32_t now, const IdleLimits& limits) {
  const bool replied = connection.state.state == POLICY_CONNECTION_REPLIED;
  const auto limit = !replied ? limits.brief : connection.state.tcp != 0 ? limits.tcp : limits.other;
  const auto age = static_cast<std::int32_t>(now - connection.seen);
  return age > 0 && static_cast<std::uint32_t>(age) > policy_seen(static_cast<std::uint64_t>(limit.count()));
}

}  // namespace

Result<Connections> Connections::open(int map_fd) {
  const Result<MapShape> shape = shape_of(map_fd);
  if (shape.has_error()) return shape.error();
  if (shape->value_size != sizeof(policy_bucket) || (shape->flags & BPF_F_MMAPABLE) == 0)
    return fail(Code::failed_precondition, "the map connections has another layout");
  const std::size_t size = std::size_t{shape->max_entries} * sizeof(policy_bucket);
  void* memory = ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED, map_fd, 0);
  if (memory == MAP_FAILED) return fail_errno(errno, "cannot map the connections");
  return Connections({static_cast<policy_bucket*>(memory), shape->max_entries});
}

Connections::Connections(Connections&& other) noexcept : buckets_(std::exchange(other.buckets_, {})) {}

Connections::~Connections() {
  if (!buckets_.empty()) ::munmap(buckets_.data(), buckets_.size_bytes());
}

std::optional<Connection> Connections::read(const policy_bucket& bucket, std::size_t way) {
  const std::uint64_t word = word_in(bucket, way);
  if (word == 0) return std::nullopt;
  Connection out{.key = bucket.keys[way].key, .seen = bucket.seen[way]};
  std::memcpy(&out.state, &word, sizeof word);
  return out;
}

std::uint64_t Connections::count(const IdleLimits& limits) const {
  std::uint64_t out = 0;
  std::optional<std::uint32_t> newest;
  visit([&newest](const Connection& one) {
    if (!newest || static_cast<std::int32_t>(one.seen - *newest) > 0) newest = one.seen;
  });
  if (newest) visit([&](const Connection& one) { out += idle(one, *newest, limits) ? 0U : 1U; });
  return out;
}

std::optional<Connection> Connections::find(const policy_connection_key& key, const policy_seeds& seeds) const {
  const std::uint64_t hash = policy_connection_hash(&key, &seeds.words[0]);
  const policy_bucket& bucket = buckets_[policy_bucket_of(hash, static_cast<__u32>(buckets_.size()))];
  for (std::size_t way = 0; way < POLICY_WAYS; ++way) {
    const auto found = read(bucket, way);
    if (found && found->state.tag == policy_tag_of(hash) && same_key(found->key, key)) return found;
  }
  return std::nullopt;
}

bool Connections::enter(const Connection& connection, const policy_seeds& seeds) {
  if (find(connection.key, seeds)) return false;
  const std::uint64_t hash = policy_connection_hash(&connection.key, &seeds.words[0]);
  policy_bucket& bucket = buckets_[policy_bucket_of(hash, static_cast<__u32>(buckets_.size()))];
  for (std::size_t way = 0; way < POLICY_WAYS; ++way) {
    if (word_in(bucket, way) != 0) continue;
    bucket.keys[way].key = connection.key;
    bucket.scopes[way] = connection.key.scope;
    bucket.seen[way] = connection.seen;
    policy_connection state = connection.state;
    state.tag = policy_tag_of(hash) & 0xffffffU;
    std::uint64_t word = 0;
    std::memcpy(&word, &state, sizeof state);
    put_word(bucket, way, word);
    return true;
  }
  return false;
}

}  // namespace omnitide::enforcement
