#include "agent/base/log.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include "agent/base/text.hpp"

namespace omnitide::log {

namespace {

constexpr std::array<std::string_view, 4> kLevelNames{"debug", "info", "warning", "error"};
constexpr std::array<std::string_view, kParts> kPartNames{"agent", "config",    "discovery", "registration", "registry",
                                                          "http",  "telemetry", "policy",    "health"};

// Raised or lowered against the default, so that the zero of static storage is the default level.
std::array<std::atomic<int>, kParts> level_offsets{};
constexpr int kDefaultLevel = static_cast<int>(Level::info);

void write_plain(const Line& line) {
  std::string text = fmt::format("{:<7} {:<12} {}", name(line.level), name(line.part), printable(line.message));
  for (const auto& [key, value] : line.fields)
    text += fmt::format(" {}={}", key, printable(value));
  text += '\n';
  // A log line that cannot be written has nowhere else to go.
  [[maybe_unused]] const ssize_t wrote = ::write(STDERR_FILENO, text.data(), text.size());
}

Sink& sink() {
  static Sink current = write_plain;
  return current;
}

}  // namespace

std::string_view name(Level level) { return kLevelNames.at(static_cast<std::size_t>(level)); }
std::string_view name(Part part) { return kPartNames.at(static_cast<std::size_t>(part)); }

std::optional<Level> level_from(std::string_view text) {
  for (std::size_t i = 0; i < kLevelNames.size(); ++i) {
    if (kLevelNames.at(i) == text) return static_cast<Level>(i);
  }
  return std::nullopt;
}

std::optional<Part> part_from(std::string_view text) {
  for (std::size_t i = 0; i < kParts; ++i) {
    if (kPartNames.at(i) == text) return static_cast<Part>(i);
  }
  return std::nullopt;
}

void set_sink(Sink next) { sink() = std::move(next); }
void set_level(Part part, Level level) {
  level_offsets.at(static_cast<std::size_t>(part)) = static_cast<int>(level) - kDefaultLevel;
}
Level level(Part part) { return static_cast<Level>(level_offsets.at(static_cast<std::size_t>(part)) + kDefaultLevel); }
bool enabled(Part part, Level wanted) { return wanted >= level(part); }

void write(Part part, Level level, std::string_view message, std::initializer_list<Field> fields) {
  if (enabled(part, level)) sink()(Line{level, part, message, fields});
}

}  // namespace omnitide::log
