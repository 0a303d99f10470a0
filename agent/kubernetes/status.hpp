// meta/v1 Status, the server's form of an error, in JSON or protobuf. Inside of the room.
#pragma once

#include <string_view>

#include "agent/kubernetes/client.hpp"
#include "agent/kubernetes/transport.hpp"

namespace omnitide::kubernetes {

// Of an answer beyond 2xx.
[[nodiscard]] Fault fault_of(const Answer& answer);
// Of the object of an ERROR event.
[[nodiscard]] Fault fault_of_status(std::string_view object);

}  // namespace omnitide::kubernetes
