// What `policy explain` and `policy matrix` share: protocols and ports as people write them.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "agent/base/error.hpp"
#include "agent/policy/examiner.hpp"

namespace omnitide::cli {

// "TCP", "udp", "ICMP" (of the connection's family).
[[nodiscard]] Result<policy::Protocol> parse_protocol(const std::string& text);

// "TCP", and "ICMP" for that of either family.
[[nodiscard]] std::string protocol_text(policy::Protocol protocol);
[[nodiscard]] constexpr const char* verdict_word(bool allowed) { return allowed ? "allow" : "deny"; }

struct AskedPort {
  std::uint16_t number = 0;
  std::string name;  // when it was asked for by name; then `number` is each destination's
};
// "80", "http". Of ICMP there is none: an empty text.
[[nodiscard]] Result<AskedPort> parse_port(const std::string& text);

// The number on this destination; nullopt when it has no port of that name and protocol.
[[nodiscard]] std::optional<std::uint16_t> resolve(const AskedPort& port, policy::Protocol protocol,
                                                   const policy::End& to);

// "a,b" and repeated options as one list, without empty ones.
[[nodiscard]] std::vector<std::string> split_list(const std::vector<std::string>& texts);

}  // namespace omnitide::cli
