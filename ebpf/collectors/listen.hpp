// What a network namespace's counters say about listening sockets that could not keep up.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace omnitide::collectors {

struct ListenCounters {
  std::uint64_t overflows = 0;     // ListenOverflows: connections that found the accept queue full
  std::uint64_t drops = 0;         // ListenDrops: all SYNs and ACKs that a listening socket dropped, those too
  std::uint64_t syn_drops = 0;     // TCPReqQFullDrop: SYNs that found the queue of half-open connections full
  std::uint64_t cookies_sent = 0;  // SyncookiesSent: SYNs that were answered without an entry in that queue
  bool operator==(const ListenCounters&) const = default;
};

// From the text of /proc/PID/net/netstat: a line of names and a line of numbers, both begin with "TcpExt:". nullopt: it
// has no such lines.
[[nodiscard]] std::optional<ListenCounters> parse_netstat(std::string_view text);

}  // namespace omnitide::collectors
