// Readers of the values that only telemetry has. Inside of the room.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "agent/config/document.hpp"
#include "agent/config/telemetry_config.hpp"
#include "agent/config/values.hpp"

namespace omnitide::config {

inline constexpr std::size_t kMostBrokers = 8;

// mqtt://HOST[:1883] or mqtts://HOST[:8883].
void read_brokers(const Value& value, std::vector<BrokerConfig>& out, Problems& problems);
// One level of a topic: no '/', '+', '#', no control characters, at most 128 bytes. Empty only where it may be.
void read_topic_word(const Value& value, bool may_be_empty, std::string& out, Problems& problems);
// A topic with {group}, {node} and {stream}, the last of which must be there.
void read_topic_template(const Value& value, std::string& out, Problems& problems);
// Text without control characters, at most `longest` bytes.
void read_line(const Value& value, std::size_t longest, std::string& out, Problems& problems);
// Empty, an absolute path, or "credential:NAME".
void read_secret_source(const Value& value, std::string& out, Problems& problems);
// Empty, "registration", or an absolute path.
void read_certificate(const Value& value, std::string& out, Problems& problems);
// "64MiB": a whole number and B, KiB, MiB or GiB.
void read_bytes(const Value& value, std::uint64_t least, std::uint64_t most, std::uint64_t& out, Problems& problems);
[[nodiscard]] std::string bytes_text(std::uint64_t bytes);  // in the largest unit that is exact
// Patterns of metric names: * for any text, ? for one character.
void read_globs(const Value& value, std::vector<std::string>& out, Problems& problems);
// "PATTERN=0.5" or "PATTERN=2%", split at the last '='.
void read_dead_bands(const Value& value, std::vector<std::pair<std::string, std::string>>& out, Problems& problems);

// What only several keys of telemetry together show to be wrong.
void check_telemetry(const TelemetryConfig& config, bool registers, Problems& problems);

}  // namespace omnitide::config
