// The table of connections as the programs fill it, seen from here: counted, and copied into another one.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "agent/base/error.hpp"
#include "ebpf/abi/policy.h"

namespace omnitide::enforcement {

struct Connection {
  policy_connection_key key{};
  policy_connection state{};
  std::uint32_t seen = 0;  // policy_seen()
};

// How long a connection is one without a packet.
struct IdleLimits {
  std::chrono::nanoseconds tcp, other, brief;  // answered TCP; answered, not TCP; not answered or over
};

// The map's memory, for as long as this lives. Programs may work on it meanwhile.
class Connections {
 public:
  // failed_precondition when the map is of another layout.
  [[nodiscard]] static Result<Connections> open(int map_fd);
  Connections(Connections&& other) noexcept;
  Connections& operator=(Connections&&) = delete;
  ~Connections();

  // Those that are not idle at the time of the newest packet.
  [[nodiscard]] std::uint64_t count(const IdleLimits& limits) const;
  [[nodiscard]] std::optional<Connection> find(const policy_connection_key& key, const policy_seeds& seeds) const;
  // Adds one that is not there yet. False when it is, or has no free way: nothing else is pushed out.
  bool enter(const Connection& connection, const policy_seeds& seeds);
  template <class Visit>
  void visit(Visit visit) const {
    for (const policy_bucket& bucket : buckets_) {
      for (std::size_t way = 0; way < POLICY_WAYS; ++way) {
        if (const auto connection = read(bucket, way)) visit(*connection);
      }
    }
  }

 private:
  explicit Connections(std::span<policy_bucket> buckets) : buckets_(buckets) {}
  // Empty when the way is free.
  [[nodiscard]] static std::optional<Connection> read(const policy_bucket& bucket, std::size_t way);

  std::span<policy_bucket> buckets_;
};

}  // namespace omnitide::enforcement
