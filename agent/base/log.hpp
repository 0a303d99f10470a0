// Logging by parts. A line has a level, a part, a sentence and fields; a sink renders it. The library side only makes
// lines; the daemon chooses sink and levels. Lines that repeat are throttled by the caller through Throttle.
#pragma once

#include <array>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

namespace omnitide::log {

enum class Level : std::uint8_t { debug, info, warning, error };
enum class Part : std::uint8_t {
  agent,
  config,
  discovery,
  registration,
  registry,
  http,
  telemetry,
  policy,
  health,
  count_
};

inline constexpr std::size_t kParts = static_cast<std::size_t>(Part::count_);

[[nodiscard]] std::string_view name(Level level);  // "debug", "info", "warning", "error"
[[nodiscard]] std::string_view name(Part part);
[[nodiscard]] std::optional<Level> level_from(std::string_view text);
[[nodiscard]] std::optional<Part> part_from(std::string_view text);

using Field = std::pair<std::string_view, std::string>;  // "node_id" -> value

struct Line {
  Level level;
  Part part;
  std::string_view message;
  std::initializer_list<Field> fields;
};

using Sink = std::function<void(const Line&)>;

// The sink is set once before threads start; it must be safe to call from any thread. Default: stderr, plain.
void set_sink(Sink sink);
void set_level(Part part, Level level);
[[nodiscard]] Level level(Part part);
[[nodiscard]] bool enabled(Part part, Level level);

void write(Part part, Level level, std::string_view message, std::initializer_list<Field> fields = {});
inline void debug(Part part, std::string_view message, std::initializer_list<Field> fields = {}) {
  write(part, Level::debug, message, fields);
}
inline void info(Part part, std::string_view message, std::initializer_list<Field> fields = {}) {
  write(part, Level::info, message, fields);
}
inline void warning(Part part, std::string_view message, std::initializer_list<Field> fields = {}) {
  write(part, Level::warning, message, fields);
}
inline void error(Part part, std::string_view message, std::initializer_list<Field> fields = {}) {
  write(part, Level::error, message, fields);
}

// Lets one line through per `period`; `suppressed` says how many were held back before the one let through.
class Throttle {
 public:
  explicit Throttle(std::chrono::steady_clock::duration period) : period_(period) {}
  [[nodiscard]] bool pass(std::chrono::steady_clock::time_point now) {
    if (passed_once_ && now - last_ < period_) {
      ++held_;
      return false;
    }
    passed_once_ = true;
    last_ = now;
    suppressed_ = std::exchange(held_, 0);
    return true;
  }
  [[nodiscard]] std::uint64_t suppressed() const { return suppressed_; }

 private:
  std::chrono::steady_clock::duration period_;
  std::chrono::steady_clock::time_point last_{};
  std::uint64_t held_ = 0, suppressed_ = 0;
  bool passed_once_ = false;
};

}  // namespace omnitide::log
