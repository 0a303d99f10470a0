// What telemetry hands on: records in a few streams, each with its own order and its own claim to space.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "agent/base/clock.hpp"

namespace omnitide::telemetry {

// By falling priority: under priority eviction the last one goes first. The numbers are on disk: never change one.
enum class Stream : std::uint8_t { events = 0, conditions = 1, facts = 2, sparkplug = 3, metrics = 4, flows = 5 };
inline constexpr std::size_t kStreams = 6;
inline constexpr std::array<std::string_view, kStreams> kStreamNames{"events",    "conditions", "facts",
                                                                     "sparkplug", "metrics",    "flows"};

// Of one stream, from 1, without a gap. The number of a record that was written is never used again, over restarts too.
using RecordNumber = std::uint64_t;

struct NumberRange {
  RecordNumber first = 0, last = 0;  // both are of it; 0: there is no range
  bool operator==(const NumberRange&) const = default;
};
// What the broker has of a stream although older records still wait: disjoint, by number, unused places last. When
// there are more, the oldest are forgotten, and their records may be sent again.
inline constexpr std::size_t kMostDelivered = 32;
using DeliveredRanges = std::array<NumberRange, kMostDelivered>;

struct Record {
  RecordNumber number = 0;
  WallTime time{};  // when the values were taken
  std::string payload;
};

}  // namespace omnitide::telemetry
