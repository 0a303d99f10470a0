#include "health/checks/time_layout.hpp"

#include <algorithm>
#include <array>
#include <ctime>

#include "agent/base/text.hpp"

namespace omnitide::health {

namespace {

constexpr std::array<std::string_view, 12> kMonths{"January",   "February", "March",    "April",
                                                   "May",       "June",     "July",     "August",
                                                   "September", "October",  "November", "December"};
constexpr std::array<std::string_view, 7> kDays{"Sunday",   "Monday", "Tuesday", "Wednesday",
                                                "Thursday", "Friday", "Saturday"};

bool digit(char c) { return c >= '0' && c <= '9'; }

// What a text is taken apart into; what it does not name is as Go has it.
class Parser {
 public:
  explicit Parser(std::string_view text) : rest_(text) {}

  bool whole(std::string_view layout) {
    while (!layout.empty()) {
      const std::size_t used = element(layout);
      if (used > 0) {
        if (failed_) return false;
        layout.remove_prefix(used);
        continue;
      }
      // Blanks stand for any number of them.
      if (layout.front() == ' ') {
        while (!rest_.empty() && rest_.front() == ' ')
          rest_.remove_prefix(1);
      } else if (!rest_.empty() && rest_.front() == layout.front()) {
        rest_.remove_prefix(1);
      } else {
        return false;
      }
      layout.remove_prefix(1);
    }
    return rest_.empty();
  }

  [[nodiscard]] std::optional<WallTime> time(WallTime now) const {
    if (month_ < 1 || month_ > 12 || day_ < 1 || day_ > 31 || hour_ > 23 || minute_ > 59 || second_ > 60)
      return std::nullopt;
    std::tm parts{};
    parts.tm_mon = month_ - 1;
    parts.tm_mday = day_;
    parts.tm_hour = hour_ % 12 + (afternoon_.value_or(hour_ >= 12) ? 12 : 0);
    parts.tm_min = minute_;
    parts.tm_sec = second_;
    parts.tm_isdst = -1;
    const auto in_year = [this, parts](int year) {
      std::tm each = parts;
      each.tm_year = year - 1900;
      const std::time_t at = offset_seconds_ ? ::timegm(&each) - *offset_seconds_ : ::mktime(&each);
      return WallTime{std::chrono::seconds(at)} + fraction_;
    };
    if (year_) return in_year(*year_);
    const std::time_t seconds = std::chrono::duration_cast<std::chrono::seconds>(now.time_since_epoch()).count();
    std::tm today{};
    ::gmtime_r(&seconds, &today);
    const WallTime this_year = in_year(today.tm_year + 1900);
    return this_year > now + std::chrono::hours(24) ? in_year(today.tm_year + 1899) : this_year;
  }

 private:
  // How much of the layout was an element, after taking its value from the text.
  std::size_t element(std::string_view layout) {
    struct Known {
      std::string_view name;
      void (Parser::*take)();
    };
    // The longer of two that begin alike comes first.
    static constexpr std::array<Known, 26> kKnown{{{"2006", &Parser::year},
                                                   {"January", &Parser::month_name},
                                                   {"Jan", &Parser::short_month},
                                                   {"Monday", &Parser::weekday},
                                                   {"Mon", &Parser::short_weekday},
                                                   {"MST", &Parser::zone_name},
                                                   {"Z07:00", &Parser::offset},
                                                   {"-07:00", &Parser::offset},
                                                   {"Z0700", &Parser::offset},
                                                   {"-0700", &Parser::offset},
                                                   {"Z07", &Parser::offset},
                                                   {"-07", &Parser::offset},
                                                   {"15", &Parser::hour},
                                                   {"01", &Parser::month},
                                                   {"02", &Parser::day},
                                                   {"03", &Parser::hour},
                                                   {"04", &Parser::minute},
                                                   {"05", &Parser::second},
                                                   {"06", &Parser::short_year},
                                                   {"_2", &Parser::day},
                                                   {"PM", &Parser::half},
                                                   {"pm", &Parser::half},
                                                   {"1", &Parser::month},
                                                   {"2", &Parser::day},
                                                   {"3", &Parser::hour},
                                                   {"5", &Parser::second}}};
    if (const std::size_t digits = fraction_digits(layout); digits > 0) {
      fraction();
      return digits;
    }
    for (const Known& each : kKnown) {
      if (!layout.starts_with(each.name)) continue;
      (this->*each.take)();
      return each.name.size();
    }
    return 0;
  }

  // ".000", ",999" and the like, not followed by a digit.
  static std::size_t fraction_digits(std::string_view layout) {
    if (layout.size() < 2 || (layout[0] != '.' && layout[0] != ',') || (layout[1] != '0' && layout[1] != '9')) return 0;
    const std::size_t end = layout.find_first_not_of(layout[1], 1);
    if (end != std::string_view::npos && digit(layout[end])) return 0;
    return std::min(end, layout.size());
  }

  int number(std::size_t least, std::size_t most) {
    std::size_t count = 0;
    while (count < most && count < rest_.size() && digit(rest_[count]))
      ++count;
    const auto value = count < least ? std::nullopt : parse_number<int>(rest_.substr(0, count));
    if (!value) return failed_ = true, 0;
    rest_.remove_prefix(count);
    return *value;
  }
  template <std::size_t N>
  int word(const std::array<std::string_view, N>& words, std::size_t letters) {
    for (std::size_t i = 0; i < N; ++i) {
      const std::string_view each = words[i].substr(0, letters);
      if (!rest_.starts_with(each)) continue;
      rest_.remove_prefix(each.size());
      return static_cast<int>(i);
    }
    return failed_ = true, 0;
  }

  void year() { year_ = number(4, 4); }
  void short_year() {
    const int two = number(2, 2);
    year_ = two + (two >= 69 ? 1900 : 2000);
  }
  void month_name() { month_ = word(kMonths, std::string_view::npos) + 1; }
  void short_month() { month_ = word(kMonths, 3) + 1; }
  void weekday() { (void)word(kDays, std::string_view::npos); }
  void short_weekday() { (void)word(kDays, 3); }
  void month() { month_ = number(1, 2); }
  void day() {
    if (!rest_.empty() && rest_.front() == ' ') rest_.remove_prefix(1);
    day_ = number(1, 2);
  }
  void hour() { hour_ = number(1, 2); }
  void minute() { minute_ = number(2, 2); }
  void second() {
    second_ = number(1, 2);
    if (rest_.size() > 1 && (rest_[0] == '.' || rest_[0] == ',') && digit(rest_[1])) fraction();
  }
  void fraction() {
    if (rest_.size() < 2 || (rest_[0] != '.' && rest_[0] != ',') || !digit(rest_[1])) return;  // taken, or left out
    rest_.remove_prefix(1);
    int scale = 100, milliseconds = 0;
    for (; !rest_.empty() && digit(rest_.front()); rest_.remove_prefix(1), scale /= 10)
      milliseconds += (rest_.front() - '0') * scale;
    fraction_ = std::chrono::milliseconds(milliseconds);
  }
  void half() {
    if (rest_.size() < 2 || (rest_[1] != 'M' && rest_[1] != 'm')) {
      failed_ = true;
      return;
    }
    afternoon_ = rest_[0] == 'P' || rest_[0] == 'p';
    rest_.remove_prefix(2);
  }
  void zone_name() {
    const std::size_t letters = std::min(rest_.find_first_not_of("ABCDEFGHIJKLMNOPQRSTUVWXYZ"), rest_.size());
    if (letters < 3 || letters > 5) {
      failed_ = true;
      return;
    }
    // Others than these say nothing for certain: taken for the machine's own, as Go does where it knows them.
    if (rest_.substr(0, letters) == "UTC" || rest_.substr(0, letters) == "GMT") offset_seconds_ = 0;
    rest_.remove_prefix(letters);
  }
  void offset() {
    if (rest_.starts_with('Z')) {
      rest_.remove_prefix(1);
      offset_seconds_ = 0;
      return;
    }
    if (rest_.empty() || (rest_.front() != '+' && rest_.front() != '-')) {
      failed_ = true;
      return;
    }
    const int sign = rest_.front() == '-' ? -1 : 1;
    rest_.remove_prefix(1);
    const int hours = number(2, 2);
    if (rest_.starts_with(':')) rest_.remove_prefix(1);
    const int minutes = !rest_.empty() && digit(rest_.front()) ? number(2, 2) : 0;
    offset_seconds_ = sign * (hours * 3600 + minutes * 60);
  }

  std::string_view rest_;
  bool failed_ = false;
  std::optional<int> year_, offset_seconds_;
  std::optional<bool> afternoon_;
  int month_ = 1, day_ = 1, hour_ = 0, minute_ = 0, second_ = 0;
  std::chrono::milliseconds fraction_{0};
};

}  // namespace

std::optional<WallTime> parse_time(std::string_view layout, std::string_view text, WallTime now) {
  Parser parser(text);
  return parser.whole(layout) ? parser.time(now) : std::nullopt;
}

}  // namespace omnitide::health
