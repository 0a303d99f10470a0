// Where log lines go: the journal with fields, readable lines, or JSON lines; and a ring of the last ones for `status`
// and `support`. The journal is spoken to by its native protocol (systemd.io/JOURNAL_NATIVE_PROTOCOL), which needs no
// library: every command of this program would pay for loading one.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "agent/base/clock.hpp"
#include "agent/base/log.hpp"
#include "agent/config/config.hpp"

namespace omnitide::daemon {

inline constexpr std::size_t kMaxLineBytes = 8192;
inline constexpr std::size_t kMaxFieldBytes = 2048;  // message and each value

struct Event {
  WallTime time{};
  log::Part part = log::Part::agent;
  log::Level level = log::Level::info;
  std::string message;       // printable, with its fields as key=value
  std::uint64_t number = 0;  // from 1, one more each
};

// The last events at info and above. Safe to use from any thread.
class EventRing {
 public:
  explicit EventRing(std::size_t capacity = 256) : capacity_(capacity) {}
  void add(WallTime now, const log::Line& line);
  // Those behind number `after`, oldest first.
  [[nodiscard]] std::vector<Event> snapshot(std::uint64_t after = 0) const;
  // Is called after each event, on the thread that logged it; it must not log. Replaces the one before.
  void set_listener(std::function<void()> listener);

 private:
  const std::size_t capacity_;
  mutable std::mutex mutex_;
  std::deque<Event> events_;
  std::uint64_t number_ = 0;  // of the last one
  std::shared_ptr<const std::function<void()>> listener_;
};

enum class TextStyle : std::uint8_t {
  plain,    // "2026-01-31T12:00:00.000Z info    discovery    sentence key=value"
  colored,  // for a terminal: the local time of day, the level in colour
};

// One line with its line feed, at most kMaxLineBytes.
[[nodiscard]] std::string render_text(const log::Line& line, WallTime now, TextStyle style);
[[nodiscard]] std::string render_json(const log::Line& line, WallTime now);
// A datagram for the journal: MESSAGE, PRIORITY, SYSLOG_IDENTIFIER, OMNITIDE_PART and the fields in upper case.
[[nodiscard]] std::string render_journal(const log::Line& line);

// Whether `descriptor` is what JOURNAL_STREAM ("DEVICE:INODE", systemd.exec(5)) names.
[[nodiscard]] bool is_journal_stream(int descriptor, const char* journal_stream);

struct SinkOptions {
  config::LogFormat format = config::LogFormat::automatic;
  int descriptor = 2;
  const char* journal_stream = nullptr;  // getenv("JOURNAL_STREAM")
  bool colors_wanted = true;             // NO_COLOR is not set
  std::string journal_socket = "/run/systemd/journal/socket";
};

// A sink that is safe from any thread. What the journal does not take goes to the descriptor as text. `ring` may be
// null.
[[nodiscard]] log::Sink make_sink(const SinkOptions& options, std::shared_ptr<EventRing> ring);

}  // namespace omnitide::daemon
