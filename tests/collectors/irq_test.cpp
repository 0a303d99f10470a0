// Time in software interrupts. Needs root.
#include <net/if.h>

#include <chrono>
#include <thread>

#include "ebpf/abi/collect.h"
#include "tests/harness/catch.hpp"
#include "tests/harness/collected.hpp"
#include "tests/harness/network_namespace.hpp"
#include "tests/harness/tcp.hpp"

using namespace omnitide;
using test::Collected;

TEST_CASE("packets over the loopback device take time in the vector of received packets") {
  Collected collected({"irq", "programs"});
  constexpr int kSent = 2000;
  const auto begin = std::chrono::steady_clock::now();
  test::in_network_namespace([] {
    test::set_up(::if_nametoindex("lo"));
    const int to = test::bound_socket(SOCK_DGRAM, "127.0.0.1", 9999),
              from = test::bound_socket(SOCK_DGRAM, "127.0.0.1", 0);
    const sockaddr_in address = test::address_of("127.0.0.1", 9999);
    char c = 0;
    for (int i = 0; i < kSent; ++i) {
      REQUIRE(::sendto(from, &c, 1, 0, test::generic(address), sizeof address) == 1);
      REQUIRE(::recv(to, &c, 1, 0) == 1);
    }
    ::close(to);
    ::close(from);
  });
  const Collected::Labels exits{{"program", "irq_soft_exit"}};
  const char* runs = "omnitide_ebpf_program_runs_total";
  collected.read();
  const double runs_before = collected.value(runs, exits);
  collected.read();
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begin;
  const Collected::Labels received{{"vector", "NET_RX"}};
  CHECK(collected.count("omnitide_softirq_seconds", received) >= kSent / 2);
  CHECK(collected.sum("omnitide_softirq_seconds", received) > 0);
  // Of so many some count for COLLECT_OF others each, which may all have been shorter.
  const double most = took.count() * std::thread::hardware_concurrency() * static_cast<int>(COLLECT_OF);
  CHECK(collected.sum("omnitide_softirq_seconds") < most);
  const double counted = collected.count("omnitide_softirq_seconds");
  CHECK(counted > runs_before * 0.9 - 50);
  CHECK(counted < collected.value(runs, exits) * 1.1 + 50);
}
