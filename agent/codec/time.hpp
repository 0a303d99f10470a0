// Timestamps of the wire and the project's own times, which have milliseconds.
#pragma once

#include "agent/base/clock.hpp"

namespace google::protobuf {
class Timestamp;
}

namespace omnitide::codec {

// What lies outside of Timestamp's range, year 1 to 9999, becomes its nearest end.
[[nodiscard]] WallTime time_of(const google::protobuf::Timestamp& time);
void set_time(WallTime time, google::protobuf::Timestamp& out);

}  // namespace omnitide::codec
