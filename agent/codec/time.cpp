#include "agent/codec/time.hpp"

#include <google/protobuf/timestamp.pb.h>

#include <algorithm>
#include <chrono>
#include <cstdint>

namespace omnitide::codec {

WallTime time_of(const google::protobuf::Timestamp& time) {
  constexpr std::int64_t kFirst = -62135596800, kLast = 253402300799;
  const std::int64_t seconds = std::clamp<std::int64_t>(time.seconds(), kFirst, kLast);
  return WallTime{std::chrono::milliseconds(seconds * 1000 + std::clamp(time.nanos(), 0, 999'999'999) / 1'000'000)};
}

void set_time(WallTime time, google::protobuf::Timestamp& out) {
  const auto seconds = std::chrono::floor<std::chrono::seconds>(time);
  out.set_seconds(seconds.time_since_epoch().count());
  out.set_nanos(static_cast<std::int32_t>((time - seconds).count()) * 1'000'000);
}

}  // namespace omnitide::codec
