// Whether name servers answer: one question each over UDP (RFC 1035), asked of the servers themselves and not of libc,
// which says of several servers only whether any of them did.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace omnitide::io {

// The datagram that asks for the name servers of the root zone, with recursion: what every resolver knows or can find,
// and mostly has at hand.
[[nodiscard]] std::string dns_root_question(std::uint16_t id);
// Whether the datagram answers this question: the response code (RFC 1035, 4.1.1), nothing when it does not.
[[nodiscard]] std::optional<unsigned> dns_response_code(std::string_view datagram, std::string_view question);
[[nodiscard]] std::string_view dns_response_name(unsigned code);  // "NOERROR", "SERVFAIL", ...; "an error" else

struct NameServerSight {
  std::string server;            // literal address, also "fe80::1%eth0"
  std::optional<unsigned> code;  // of its answer, whatever that says; nothing: there was none
  std::string problem;           // then why
};
// Asks all of them at once, each up to three times within `patience`, and returns when each has answered or the time is
// over. `port`: 53 but in tests. Waits for the kernel: for a worker. `stop`, set by anybody, ends it within 0.2 s.
[[nodiscard]] std::vector<NameServerSight> ask_name_servers(const std::vector<std::string>& servers, std::uint16_t port,
                                                            std::chrono::milliseconds patience,
                                                            const std::atomic<bool>& stop);

}  // namespace omnitide::io
