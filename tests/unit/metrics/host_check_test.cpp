#include "agent/metrics/host_check.hpp"

#include <string>
#include <vector>

#include "tests/harness/catch.hpp"

using omnitide::metrics::host_allowed;

TEST_CASE("addresses, localhost and configured names are served, with and without a port") {
  const std::vector<std::string> names{"Edge-7.example", "other.example:9797"};
  for (const char* host :
       {"127.0.0.1", "127.0.0.1:9797", "192.0.2.7", "[::1]", "[::1]:9797", "[2001:DB8::1]:1", "localhost",
        "LOCALHOST:80", "localhost.", "edge-7.example", "EDGE-7.EXAMPLE.:9797", "other.example:9797"}) {
    INFO(host);
    CHECK(host_allowed(host, names));
  }
}

TEST_CASE("every other name is refused, however it is dressed up") {
  const std::vector<std::string> names{"edge-7.example", "other.example:9797"};
  for (const std::string& host : {std::string(),
                                  std::string("attacker.example"),
                                  std::string("attacker.example:9797"),
                                  std::string("edge-7.example.attacker.example"),
                                  std::string("other.example"),
                                  std::string("other.example:80"),
                                  std::string("127.0.0.1.attacker.example"),
                                  std::string("127.1"),
                                  std::string("0x7f000001"),
                                  std::string("2130706433"),
                                  std::string("::1"),
                                  std::string("[::1"),
                                  std::string("[127.0.0.1]"),
                                  std::string("[localhost]"),
                                  std::string("[::1]x"),
                                  std::string("localhost:"),
                                  std::string("localhost:99999"),
                                  std::string("localhost:80:80"),
                                  std::string("user@localhost"),
                                  std::string("localhost, attacker.example"),
                                  std::string(" localhost"),
                                  std::string("127.0.0.1\0x", 11),
                                  std::string("."),
                                  std::string(":80"),
                                  std::string(100'000, 'a')}) {
    INFO(host.substr(0, 60));
    CHECK_FALSE(host_allowed(host, names));
  }
}
