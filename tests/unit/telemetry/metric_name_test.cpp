#include "agent/telemetry/metric_name.hpp"

#include <array>

#include "tests/harness/catch.hpp"

using namespace omnitide::telemetry;

namespace {

template <std::size_t N>
std::string name_of(std::string_view family, std::array<Label, N> labels) {
  std::string out;
  append_metric_name(out, family, labels);
  return out;
}

}  // namespace

TEST_CASE("names: family, then the labels by name, without empty ones") {
  CHECK(name_of<0>("node_load1", {}) == "node_load1");
  CHECK(name_of<2>("node_cpu_seconds_total", {{{"mode", "idle"}, {"cpu", "0"}}}) ==
        "node_cpu_seconds_total/cpu=0/mode=idle");
  CHECK(name_of<3>("x", {{{"c", ""}, {"b", "2"}, {"a", ""}}}) == "x/b=2");
}

TEST_CASE("names: / = % + # and control characters are escaped, other text stays") {
  CHECK(escaped("a/b=c%d+e#f") == "a%2Fb%3Dc%25d%2Be%23f");
  CHECK(escaped(std::string_view("\0\n\x7f", 3)) == "%00%0A%7F");
  CHECK(escaped("gr\xc3\xbcn \xe2\x82\xac") == "gr\xc3\xbcn \xe2\x82\xac");
  CHECK(escaped("a\xff/") == "a\xef\xbf\xbd%2F");
  CHECK(name_of<1>("f", {{{"mountpoint", "/var/lib"}}}) == "f/mountpoint=%2Fvar%2Flib");
}

TEST_CASE("names: what differs before differs after") {
  CHECK(name_of<1>("f", {{{"a", "1/b=2"}}}) != name_of<2>("f", {{{"a", "1"}, {"b", "2"}}}));
  CHECK(escaped("%2F") != escaped("/"));
}

TEST_CASE("device ids are legal in topics") {
  CHECK(device_id("disk", "sda") == "disk:sda");
  CHECK(device_id("nic", "eth0.1+2/3#") == "nic:eth0.1%2B2%2F3%23");
  for (const char* const name : {"a/b", "+", "#", "\n", "\xff"})
    CHECK(is_sparkplug_id(device_id("disk", name)));
  CHECK(is_sparkplug_id("n-abc"));
  for (const std::string_view bad : {"", "a/b", "a+", "#", "\n", "\xff", "\x7f"})
    CHECK_FALSE(is_sparkplug_id(bad));
}

TEST_CASE("texts are cut at a whole character") {
  CHECK(bounded_text("abc", 2) == "ab");
  CHECK(bounded_text("a\xc3\xbc", 2) == "a");
  CHECK(bounded_text("a\xc3\xbc", 3) == "a\xc3\xbc");
  CHECK(bounded_text("\xf0\x9f\x98\x80x", 4) == "\xf0\x9f\x98\x80");
  CHECK(bounded_text("\xf0\x9f\x98\x80x", 3).empty());
  CHECK(bounded_text("\xff", 5) == "\xef\xbf\xbd");
}

TEST_CASE("names: upper and lower case are kept and told apart") {
  CHECK(name_of<1>("Family", {{{"Label", "Value"}}}) == "Family/Label=Value");
  CHECK(device_id("disk", "SDA") != device_id("disk", "sda"));
}

TEST_CASE("options: ids that the specification forbids are told apart") {
  for (const std::string_view good : {"omnitide", "n-abcdefghijklmnopqrstuvwxyz", "Halle 7", "gr\xc3\xbcn"})
    CHECK(is_sparkplug_id(good));
  for (const std::string_view bad : {"", "a/b", "a+b", "#", "a\nb", "\xc3", "\x80"})
    CHECK_FALSE(is_sparkplug_id(bad));
}
