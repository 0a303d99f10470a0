// What brokers and libmosquitto say by number, as errors with a sentence and what to do.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "agent/base/error.hpp"
#include "agent/io/mqtt.hpp"

namespace omnitide::io {

// The reason codes of MQTT 5, section 2.4, in words.
[[nodiscard]] std::string_view mqtt_reason(std::uint8_t code);
// CONNACK's code; of 3.1.1 when below 0x80 (section 3.2.2.3 there).
[[nodiscard]] Error connection_refused(std::uint8_t code);
[[nodiscard]] Error ended_by_broker(std::uint8_t reason);  // DISCONNECT of MQTT 5
// MOSQ_ERR_... as a lost connection; `error_number` is errno as the library left it.
[[nodiscard]] Error connection_lost(int library_code, int error_number);

}  // namespace omnitide::io
