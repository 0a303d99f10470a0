#include "agent/base/clock.hpp"

#include <fmt/format.h>

#include <array>
#include <charconv>
#include <ctime>

#ifndef OMNITIDE_BUILD_EPOCH
#error "OMNITIDE_BUILD_EPOCH comes from the build system"
#endif

namespace omnitide {

namespace {

using std::chrono::milliseconds;

struct Unit {
  std::string_view suffix;
  std::int64_t milliseconds;
};

// Longest suffix first where one begins with the other.
constexpr std::array<Unit, 5> kUnits{{{"ms", 1}, {"d", 86'400'000}, {"h", 3'600'000}, {"m", 60'000}, {"s", 1'000}}};
constexpr std::int64_t kLongestMs = 100LL * 366 * 86'400'000;

bool read_digits(std::string_view text, std::size_t at, std::size_t count, int& out) {
  if (at + count > text.size()) return false;
  const char* first = text.data() + at;
  const auto [end, problem] = std::from_chars(first, first + count, out);
  return problem == std::errc{} && end == first + count && out >= 0;
}

}  // namespace

WallTime wall_now() { return std::chrono::floor<milliseconds>(std::chrono::system_clock::now()); }

WallTime build_time() { return WallTime{std::chrono::seconds{OMNITIDE_BUILD_EPOCH}}; }

std::string format_rfc3339(WallTime time) {
  const auto day = std::chrono::floor<std::chrono::days>(time);
  const std::chrono::year_month_day date{day};
  const std::chrono::hh_mm_ss clock{time - day};
  return fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:03}Z", static_cast<int>(date.year()),
                     static_cast<unsigned>(date.month()), static_cast<unsigned>(date.day()), clock.hours().count(),
                     clock.minutes().count(), clock.seconds().count(), clock.subseconds().count());
}

std::optional<WallTime> parse_rfc3339(std::string_view text) {
  int year = 0, month = 0, day = 0, hour = 0, minute = 0, second = 0;
  const bool shaped = text.size() >= 20 && text[4] == '-' && text[7] == '-' && (text[10] == 'T' || text[10] == 't') &&
                      text[13] == ':' && text[16] == ':' && (text.back() == 'Z' || text.back() == 'z');
  if (!shaped || !read_digits(text, 0, 4, year) || !read_digits(text, 5, 2, month) || !read_digits(text, 8, 2, day) ||
      !read_digits(text, 11, 2, hour) || !read_digits(text, 14, 2, minute) || !read_digits(text, 17, 2, second)) {
    return std::nullopt;
  }
  const std::chrono::year_month_day date{std::chrono::year{year}, std::chrono::month{static_cast<unsigned>(month)},
                                         std::chrono::day{static_cast<unsigned>(day)}};
  if (!date.ok() || hour > 23 || minute > 59 || second > 60) return std::nullopt;
  int millis = 0;
  if (text[19] == '.') {
    const std::string_view fraction = text.substr(20, text.size() - 21);
    if (fraction.empty() || fraction.size() > 9) return std::nullopt;
    std::string padded(fraction.substr(0, 3));
    padded.resize(3, '0');
    if (!read_digits(padded, 0, 3, millis)) return std::nullopt;
  } else if (text.size() != 20) {
    return std::nullopt;
  }
  return WallTime{std::chrono::sys_days{date}} + std::chrono::hours{hour} + std::chrono::minutes{minute} +
         std::chrono::seconds{second} + milliseconds{millis};
}

std::optional<milliseconds> parse_duration(std::string_view text) {
  if (text.empty()) return std::nullopt;
  std::int64_t sum = 0;
  while (!text.empty()) {
    std::int64_t number = 0;
    const auto [end, problem] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (problem != std::errc{} || number < 0) return std::nullopt;
    text.remove_prefix(static_cast<std::size_t>(end - text.data()));
    const Unit* unit = nullptr;
    for (const Unit& candidate : kUnits) {
      if (unit == nullptr && text.starts_with(candidate.suffix)) unit = &candidate;
    }
    if (unit == nullptr || number > kLongestMs / unit->milliseconds) return std::nullopt;
    text.remove_prefix(unit->suffix.size());
    sum += number * unit->milliseconds;
    if (sum > kLongestMs) return std::nullopt;
  }
  return milliseconds{sum};
}

std::string format_duration(milliseconds duration) {
  std::int64_t rest = duration.count();
  if (rest <= 0) return "0s";
  std::string out;
  for (const std::string_view suffix : {"d", "h", "m", "s", "ms"}) {
    for (const Unit& unit : kUnits) {
      if (unit.suffix != suffix || rest < unit.milliseconds) continue;
      out += fmt::format("{}{}", rest / unit.milliseconds, suffix);
      rest %= unit.milliseconds;
    }
  }
  return out;
}

}  // namespace omnitide
