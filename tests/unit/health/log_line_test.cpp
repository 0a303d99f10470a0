// Lines of log files and their times, as node-problem-detector's plugin filelog has them.
#include "health/checks/log_line.hpp"

#include <cstdlib>
#include <ctime>

#include "health/checks/time_layout.hpp"
#include "tests/harness/catch.hpp"

using namespace omnitide;
using namespace std::chrono_literals;
using health::LogLineForm;
using health::parse_time;

namespace {

const WallTime kNow{1'700'000'000s};  // 2023-11-14T22:13:20Z

std::string utc(std::string_view layout, std::string_view text) {
  const auto time = parse_time(layout, text, kNow);
  return time ? format_rfc3339(*time) : "none";
}

}  // namespace

TEST_CASE("times are read by Go's layouts") {
  REQUIRE(::setenv("TZ", "UTC", 1) == 0);
  ::tzset();
  constexpr std::string_view kNano = "2006-01-02T15:04:05.999999999-07:00";
  CHECK(parse_time(kNano, "2023-11-14T23:13:20.5+01:00", kNow) == kNow + 500ms);
  CHECK(parse_time(kNano, "2023-11-14T22:13:20+00:00", kNow) == kNow);  // a fraction may be left out
  CHECK(parse_time("2006-01-02T15:04:05Z07:00", "2023-11-14T22:13:20Z", kNow) == kNow);
  CHECK(parse_time("2006-01-02T15:04:05Z07:00", "2023-11-14T22:13:20.123456Z", kNow) == kNow + 123ms);
  CHECK(parse_time("2006/01/02 15:04:05", "2023/11/14 22:13:20", kNow) == kNow);
  CHECK(parse_time("Mon Jan _2 15:04:05 2006", "Tue Nov 14 22:13:20 2023", kNow) == kNow);
  CHECK(parse_time("Mon, 02 Jan 2006 15:04:05 -0700", "Tue, 14 Nov 2023 17:13:20 -0500", kNow) == kNow);
  CHECK(parse_time("02 Jan 06 03:04:05 PM MST", "14 Nov 23 10:13:20 PM UTC", kNow) == kNow);
  CHECK(parse_time("January 2, 2006 3:04:05.000pm", "November 14, 2023 10:13:20.250pm", kNow) == kNow + 250ms);
  // Without a year it is the last such day.
  CHECK(utc("Jan _2 15:04:05", "Nov 14 22:13:20").substr(0, 19) == "2023-11-14T22:13:20");
  CHECK(utc("Jan _2 15:04:05", "Nov  3 01:02:03").substr(0, 19) == "2023-11-03T01:02:03");
  CHECK(utc("Jan _2 15:04:05", "Dec 31 01:02:03").substr(0, 19) == "2022-12-31T01:02:03");
  for (const auto& [layout, text] :
       {std::pair("2006-01-02", "2023-13-01"), std::pair("2006-01-02", "23-01-01"),
        std::pair("2006-01-02", "2023-01-01x"), std::pair("15:04:05", "25:00:00"), std::pair("Jan _2", "Foo  1"),
        std::pair("-07:00", "01:00"), std::pair("2006", ""), std::pair("15:04:05", "15:4")}) {
    INFO(text);
    CHECK_FALSE(parse_time(layout, text, kNow));
  }
}

TEST_CASE("a line is taken apart by the last group of each pattern") {
  const auto form = LogLineForm::make("^time=\"(\\S*)\"", "msg=\"([^\n]*)\"", "2006-01-02T15:04:05.999999999-07:00");
  REQUIRE(form);
  const auto line = form->parse("time=\"2023-11-14T22:13:20.1+00:00\" level=error msg=\"it \\\"broke\\\"\"", kNow);
  REQUIRE(line);
  CHECK(line->time == kNow + 100ms);
  CHECK(line->message == "it \\\"broke\\\"");
  CHECK_FALSE(form->parse("no time at all msg=\"x\"", kNow));
  CHECK_FALSE(form->parse("time=\"yesterday\" msg=\"x\"", kNow));
  CHECK_FALSE(form->parse("time=\"2023-11-14T22:13:20.1+00:00\"", kNow));
  // As kernel-monitor-filelog.json: without a group the whole match is taken.
  const auto kernel = LogLineForm::make("^.{15}", "kernel: \\[.*\\] (.*)", "Jan _2 15:04:05");
  REQUIRE(kernel);
  CHECK(kernel->parse("Nov 14 22:13:20 host kernel: [ 12.345678] task x:1 blocked", kNow)->message ==
        "task x:1 blocked");
}

TEST_CASE("a form that is none is refused by the name of its setting") {
  const auto field = [](const char* time, const char* message, const char* layout) {
    return LogLineForm::make(time, message, layout).error().field;
  };
  CHECK(field("", "x", "2006") == "timestamp");
  CHECK(field("(", "x", "2006") == "timestamp");
  CHECK(field("x", "", "2006") == "message");
  CHECK(field("x", "[", "2006") == "message");
  CHECK(field("x", "x", "") == "timestampFormat");
  CHECK(field("x", std::string(2000, 'x').c_str(), "2006") == "message");
}
