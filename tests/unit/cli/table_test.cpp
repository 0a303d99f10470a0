#include "agent/cli/table.hpp"

#include "agent/base/text.hpp"
#include "tests/harness/catch.hpp"

namespace omnitide::cli {

TEST_CASE("columns are as wide as what they show, numbers stand to the right") {
  Table table({{"NAME"}, {"SIZE", true}, {"EMPTY"}, {"MODEL", false, true}});
  table.row({"sda", "1 GiB", "", "disk"});
  table.row({"nvme0n1", "100 GiB", "", ""});
  CHECK(table.render(Console{}) ==
        "NAME        SIZE  MODEL\n"
        "sda        1 GiB  disk\n"
        "nvme0n1  100 GiB\n");
}

TEST_CASE("the wrapping column ends where the terminal ends, and loses nothing") {
  Table table({{"PART"}, {"DETAIL", false, true}});
  table.row({"http", "cannot listen on 127.0.0.1:9797: the address is already in use"});
  const std::string out = table.render(Console{40, false});
  CHECK(out ==
        "PART  DETAIL\n"
        "http  cannot listen on 127.0.0.1:9797:\n"
        "      the address is already in use\n");
  for (const std::string_view line : split(out, '\n'))
    CHECK(display_width(line) <= 40);
}

TEST_CASE("without a terminal no line is broken") {
  Table table({{""}, {"", false, true}});
  table.row({"a", std::string(300, 'x') + " y"});
  CHECK(table.render(Console{}) == "a  " + std::string(300, 'x') + " y\n");
}

TEST_CASE("width counts columns of the screen, not bytes") {
  CHECK(display_width("abc") == 3);
  CHECK(display_width("größe") == 5);
  CHECK(display_width("東京") == 4);
  CHECK(display_width("e\u0301") == 1);  // combining acute
  Table table({{"A"}, {"B"}});
  table.row({"東京", "x"});
  table.row({"abcde", "y"});
  CHECK(table.render(Console{}) == "A      B\n東京   x\nabcde  y\n");
}

TEST_CASE("what a device says can neither move the cursor nor break the table") {
  Table table({{"MODEL"}, {"X"}});
  table.row({"evil\x1b[2J\nroot", "1"});
  const std::string out = table.render(Console{80, true});
  CHECK(out.find("\x1b[2J") == std::string::npos);
  CHECK(out.find("evil\\x1b[2J\\x0aroot") != std::string::npos);
}

TEST_CASE("colours are for terminals, and NO_COLOR turns them off") {
  CHECK(Console{80, true}.paint("on", Style::good) == "\x1b[32mon\x1b[0m");
  CHECK(Console{80, false}.paint("on", Style::good) == "on");
  CHECK_FALSE(Console::of(-1, nullptr).colors);
}

TEST_CASE("wrapping breaks at blanks, and inside a word only when it must") {
  CHECK(wrap("a bc def", 4) == std::vector<std::string>{"a bc", "def"});
  CHECK(wrap("abcdef", 4) == std::vector<std::string>{"abcd", "ef"});
  CHECK(wrap("", 4) == std::vector<std::string>{""});
}

}  // namespace omnitide::cli
