// Whether two copies of one identity speak: a pure decision. A reboot brings a boot id that was never seen, a restart a
// start id; both simply take over. What was taken over must not speak again.
#pragma once

#include <cstdint>
#include <span>
#include <string>

namespace omnitide::registry {

struct Incarnation {
  std::string boot_id, start_id;
  bool operator==(const Incarnation&) const = default;
};

inline constexpr std::size_t kSupersededKept = 16;  // the newest of each node

enum class Verdict : std::uint8_t {
  same,   // the one that speaks now
  newer,  // takes over; the present one becomes superseded
  stale,  // superseded, on a connection older than its successor: perhaps a dead process's last words
  clone,  // superseded, and it opened a connection since: it lives beside its successor
};

// `connected_before_current`: the speaker's connection is older than the moment the current incarnation was accepted.
[[nodiscard]] Verdict judge(const Incarnation& current, std::span<const Incarnation> superseded,
                            const Incarnation& speaker, bool connected_before_current);

// Why the identity is quarantined, for people; what devices said is made printable.
[[nodiscard]] std::string clone_reason(const Incarnation& current, const Incarnation& speaker);

}  // namespace omnitide::registry
