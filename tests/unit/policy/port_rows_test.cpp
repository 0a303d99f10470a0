#include "agent/policy/port_rows.hpp"

#include <random>

#include "agent/policy/verdict.hpp"
#include "tests/harness/catch.hpp"

using namespace omnitide::policy;

namespace {

RulePorts ports(std::uint16_t first, std::uint16_t last, Protocol protocol = Protocol::tcp) {
  return {.everything = false, .ports = {{.protocol = protocol, .first = first, .last = last, .name = {}}}};
}

Plan::Set set_of(const std::vector<RulePorts>& rules) {
  Plan::Set out;
  out.rules.ports = port_rows(rules);
  return out;
}

}  // namespace

TEST_CASE("a single port is one row, a range the fewest prefixes") {
  CHECK(port_rows({ports(80, 80)}).size() == 1);
  CHECK(port_rows({ports(1024, 2047)}).size() == 1);
  CHECK(port_rows({ports(1024, 2048)}).size() == 2);
  CHECK(port_rows({ports(1, 65535)}).size() == 16);
  CHECK(port_rows({ports(1, 65534)}).size() == 30);
  CHECK(port_rows({ports(0, 65535)}).size() == 1);  // the whole protocol
  CHECK(port_rows({}).empty());
}

TEST_CASE("a row holds the rules of every shorter prefix that it lies in") {
  const std::vector<PortRow> rows =
      port_rows({{.everything = true, .ports = {}}, ports(0, 0), ports(1024, 2047), ports(1025, 1025)});
  REQUIRE(rows.size() == 4);
  CHECK(rows[0].protocol == 0);
  CHECK(rows[0].rules == Bits{0});
  CHECK((rows[1].protocol == 6 && rows[1].length == 0));
  CHECK(rows[1].rules == Bits{0, 1});
  CHECK((rows[2].port == 1024 && rows[2].length == 6));
  CHECK(rows[2].rules == Bits{0, 1, 2});
  CHECK((rows[3].port == 1025 && rows[3].length == 16));
  CHECK(rows[3].rules == Bits{0, 1, 2, 3});
}

TEST_CASE("a row that says no more than a shorter one is left out") {
  CHECK(port_rows({{.everything = true, .ports = {{.protocol = Protocol::tcp, .first = 80, .last = 80, .name = {}}}}})
            .size() == 1);
  RulePorts both = ports(1024, 2047);
  both.ports.push_back({.protocol = Protocol::tcp, .first = 1500, .last = 1500, .name = {}});
  CHECK(port_rows({both}).size() == 1);
}

TEST_CASE("random rules: the longest row that covers a port has exactly the rules that include it") {
  std::mt19937 random(7);
  for (int round = 0; round < 300; ++round) {
    std::vector<RulePorts> rules(1 + random() % 8);
    for (RulePorts& rule : rules) {
      rule.everything = random() % 6 == 0;
      for (auto i = random() % 3; i > 0; --i) {
        const auto first = static_cast<std::uint16_t>(random() % 3 == 0 ? random() : 1000 + random() % 40);
        const auto last = static_cast<std::uint16_t>(std::min(65535U, first + static_cast<unsigned>(random() % 30)));
        const Protocol protocol = random() % 2 == 0 ? Protocol::tcp : Protocol::udp;
        rule.ports.push_back({.protocol = protocol, .first = first, .last = last, .name = {}});
        if (random() % 5 == 0) rule.ports.back().first = rule.ports.back().last = 0;
      }
    }
    const Plan::Set set = set_of(rules);
    for (int i = 0; i < 60; ++i) {
      const auto port = static_cast<std::uint16_t>(random() % 2 == 0 ? random() : 990 + random() % 90);
      const Protocol protocol = random() % 2 == 0 ? Protocol::tcp : Protocol::udp;
      Bits expected;
      for (std::size_t r = 0; r < rules.size(); ++r) {
        bool included = rules[r].everything;
        for (const PortMatch& match : rules[r].ports) {
          included = included ||
                     (match.protocol == protocol && (match.last == 0 || (match.first <= port && port <= match.last)));
        }
        if (included) expected.push_back(static_cast<std::uint16_t>(r));
      }
      CHECK(Plan::port_row(set, static_cast<std::uint8_t>(protocol), port) == expected);
    }
  }
}
