#include "agent/registry/clone.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "agent/base/text.hpp"

namespace omnitide::registry {

Verdict judge(const Incarnation& current, std::span<const Incarnation> superseded, const Incarnation& speaker,
              bool connected_before_current) {
  if (speaker == current) return Verdict::same;
  // Of the current boot only the very start counts as old: a new start of it is a restart. Of an earlier boot every
  // start does: that boot ended when the newer one began.
  const bool old = std::any_of(superseded.begin(), superseded.end(), [&](const Incarnation& past) {
    return past == speaker || (past.boot_id == speaker.boot_id && past.boot_id != current.boot_id);
  });
  if (!old) return Verdict::newer;
  return connected_before_current ? Verdict::stale : Verdict::clone;
}

std::string clone_reason(const Incarnation& current, const Incarnation& speaker) {
  if (current.boot_id == speaker.boot_id) {
    return fmt::format("two agents run with this identity in boot {}: start {} spoke after start {} had taken over",
                       printable(current.boot_id, 64), printable(speaker.start_id, 64),
                       printable(current.start_id, 64));
  }
  return fmt::format(
      "two machines have this identity: boot {} (start {}) spoke after boot {} (start {}) had taken over",
      printable(speaker.boot_id, 64), printable(speaker.start_id, 64), printable(current.boot_id, 64),
      printable(current.start_id, 64));
}

}  // namespace omnitide::registry
