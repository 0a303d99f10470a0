// What the sources said so far, as one NodeFacts. Pure: it is given reports and times, reads nothing and owns no
// thread. Not safe for use by two threads; the daemon owns it.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "agent/base/clock.hpp"
#include "agent/base/error.hpp"
#include "agent/model/node_facts.hpp"
#include "agent/model/sample.hpp"
#include "discovery/sources/source.hpp"

namespace omnitide::discovery {

struct SourceStatus {
  std::string_view name;
  bool ok = false;                    // the last read gave a complete report
  std::string error;                  // why the last read failed; empty when it gave a report
  std::vector<std::string> problems;  // what the last report lacks
  std::chrono::steady_clock::duration duration{};
  std::optional<WallTime> last_attempt;
  std::optional<WallTime> last_success;  // a report came, also a partial one
};

class Inventory {
 public:
  explicit Inventory(std::vector<Source> sources);

  // The outcome of one read of sources()[index]. A failed one (deadline_exceeded for a source that missed its deadline)
  // keeps the facts of the report before it. A partial one keeps what it could not read: items that it lacks and fields
  // that it left empty stay as they were, until a report that had no more trouble than that says otherwise.
  void accept(std::size_t index, Result<Report> outcome, std::chrono::steady_clock::duration duration, WallTime now);

  // All reports, applied in the order of the sources. Valid until the next call of accept().
  [[nodiscard]] const model::NodeFacts& facts();
  // True once after the facts became other than they were at the last call.
  [[nodiscard]] bool changed();
  // The samples of each source's last read (none where it failed: an old value is no value), and two about each source.
  [[nodiscard]] std::vector<model::Sample> samples() const;

  [[nodiscard]] const std::vector<Source>& sources() const { return sources_; }
  [[nodiscard]] std::vector<SourceStatus> status() const;
  // Whether every source was read at least once, well or not.
  [[nodiscard]] bool complete() const;

  // Which sources an event asks to be read again, as indices into sources().
  [[nodiscard]] std::vector<std::size_t> wanted_by_uevent(std::string_view subsystem) const;
  [[nodiscard]] std::vector<std::size_t> wanted_by_rtnetlink() const;
  [[nodiscard]] std::vector<std::size_t> wanted_by_mounts() const;

 private:
  struct Held {
    SourceStatus status;
    std::optional<Report> current;
    std::vector<Report> earlier;  // newest first; each could read something that `current` could not
    std::set<std::string> gone;   // items of `earlier` that are known to be gone (merge.hpp: item names)
  };
  void accept_partial(std::size_t index, Report report);
  [[nodiscard]] model::NodeFacts fold(std::size_t count) const;

  std::vector<Source> sources_;
  std::vector<Held> held_;
  model::NodeFacts facts_;
  bool stale_ = false, changed_ = false;
};

// When to read after events: once they pause for `quiet`, but no later than `cap` after the first.
class Debouncer {
 public:
  using Duration = std::chrono::milliseconds;
  static constexpr Duration kQuiet{200}, kCap{700};  // with the read itself, a change shows within a second
  explicit Debouncer(Duration quiet = kQuiet, Duration cap = kCap) : quiet_(quiet), cap_(cap) {}

  void event(SteadyTime now);
  // When take() will say yes; empty when there was no event.
  [[nodiscard]] std::optional<SteadyTime> due() const;
  // Whether it is time; then it starts anew.
  [[nodiscard]] bool take(SteadyTime now);

 private:
  Duration quiet_, cap_;
  std::optional<SteadyTime> first_, last_;
};

}  // namespace omnitide::discovery
