#include "agent/base/address.hpp"

#include "tests/harness/catch.hpp"

using namespace omnitide;

TEST_CASE("addresses of both families are read and written") {
  CHECK(format(parse_address("10.1.2.3").value()) == "10.1.2.3");
  CHECK(format(parse_address("fd00:0::1").value()) == "fd00::1");
  for (const auto* bad :
       {"", "10.1.2", "010.1.2.3", "10.1.2.3.4", "::ffff:10.1.2.3", "fe80::1%eth0", "10.1.2.3/8", "g::"}) {
    CHECK_FALSE(parse_address(bad).has_value());
  }
}

TEST_CASE("prefixes mask their host bits") {
  CHECK(format(parse_prefix("10.1.2.3/8").value()) == "10.0.0.0/8");
  CHECK(parse_prefix("10.1.2.3/8")->length == 104);
  CHECK(format(parse_prefix("0.0.0.0/0").value()) == "0.0.0.0/0");
  CHECK(format(parse_prefix("::/0").value()) == "::/0");
  CHECK(format(parse_prefix("fd00:1:2::5/33").value()) == "fd00:1::/33");
  for (const auto* bad : {"10.0.0.0", "10.0.0.0/33", "10.0.0.0/08", "10.0.0.0/-1", "fd00::/129", "fd00::/", "/8"}) {
    CHECK_FALSE(parse_prefix(bad).has_value());
  }
}

TEST_CASE("one holder is an IPv4 address, or all of an IPv6 /64") {
  const auto holder = [](const char* text) { return format(holder_prefix(parse_address(text).value())); };
  CHECK(holder("192.0.2.1") == "192.0.2.1/32");
  CHECK(holder("2001:db8:0:1:ffff:ffff:ffff:ffff") == "2001:db8:0:1::/64");
  CHECK(holder("2001:db8:0:1::5") == holder("2001:db8:0:1:1::"));
  CHECK(holder("2001:db8:0:2::5") != holder("2001:db8:0:1::5"));
}

TEST_CASE("a prefix contains its addresses and the narrower prefixes") {
  const auto outer = parse_prefix("10.0.0.0/8").value();
  CHECK(outer.contains(parse_address("10.255.0.1").value()));
  CHECK_FALSE(outer.contains(parse_address("11.0.0.1").value()));
  CHECK(outer.contains(parse_prefix("10.3.0.0/16").value()));
  CHECK_FALSE(parse_prefix("10.3.0.0/16")->contains(outer));
  CHECK(parse_prefix("::/0")->contains(parse_address("fd00::1").value()));
  CHECK_FALSE(parse_prefix("::/0")->contains(parse_address("10.0.0.1").value()));
  CHECK_FALSE(parse_prefix("0.0.0.0/0")->contains(parse_address("fd00::1").value()));
}
