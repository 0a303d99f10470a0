// Buckets, histograms, and what is parsed beside the programs.
#include "ebpf/abi/collect.h"

#include <array>
#include <cstdint>
#include <limits>
#include <random>

#include "ebpf/collectors/drop_reasons.hpp"
#include "ebpf/collectors/listen.hpp"
#include "ebpf/collectors/samples.hpp"
#include "ebpf/collectors/throttle.hpp"
#include "tests/harness/catch.hpp"

using namespace omnitide::collectors;

TEST_CASE("a bucket's bound is the last value that counts in it") {
  constexpr unsigned kFirst = 9, kBuckets = 17;
  CHECK(collect_bucket(0, kFirst, kBuckets) == 0);
  CHECK(collect_bucket(512, kFirst, kBuckets) == 0);
  CHECK(collect_bucket(513, kFirst, kBuckets) == 1);
  CHECK(collect_bucket(1024, kFirst, kBuckets) == 1);
  CHECK(collect_bucket(4096, kFirst, kBuckets) == 3);
  CHECK(collect_bucket(std::numeric_limits<std::uint64_t>::max(), kFirst, kBuckets) == kBuckets - 1);
  std::mt19937_64 random(1);
  for (int i = 0; i < 100'000; ++i) {
    const std::uint64_t value = random() >> (random() % 64);
    const unsigned bucket = collect_bucket(value, kFirst, kBuckets);
    REQUIRE(bucket < kBuckets);
    if (bucket + 1 < kBuckets) REQUIRE(value <= 1ULL << (kFirst + bucket));
    if (bucket > 0) REQUIRE(value > 1ULL << (kFirst + bucket - 1));
  }
}

TEST_CASE("a histogram is cumulative, has powers of two in base units as bounds, and the last bucket none") {
  constexpr std::array<unsigned long long, 4> kBuckets{3, 0, 2, 5};
  const Histogram histogram(kBuckets, 9000, {10, kNanosecond});
  const auto distribution = histogram.distribution();
  REQUIRE(distribution.points.size() == 3);
  CHECK(distribution.points[0].at == 1024e-9);
  CHECK(distribution.points[1].at == 2048e-9);
  CHECK(distribution.points[2].at == 4096e-9);
  CHECK(distribution.points[0].value == 3);
  CHECK(distribution.points[1].value == 3);
  CHECK(distribution.points[2].value == 5);
  CHECK(distribution.count == 10);
  CHECK(distribution.sum == Approx(9e-6));
}

TEST_CASE("reasons of drops have the kernel's names, those of subsystems a number") {
  const DropReasons reasons(
      {{2, "SKB_DROP_REASON_NOT_SPECIFIED"}, {3, "SKB_DROP_REASON_NO_SOCKET"}, {1, "SKB_CONSUMED"}},
      {{0, "SKB_DROP_REASON_SUBSYS_CORE"}, {3, "SKB_DROP_REASON_SUBSYS_OPENVSWITCH"}});
  CHECK(reasons.name(3) == "NO_SOCKET");
  CHECK(reasons.name(1) == "CONSUMED");
  CHECK(reasons.name(77) == "77");
  CHECK(reasons.name(3U << 16U | 5U) == "OPENVSWITCH_5");
  CHECK(reasons.name(9U << 16U | 5U) == "9_5");
}

TEST_CASE("counters of listening sockets are found by their names") {
  const auto counters = parse_netstat(
      "TcpExt: SyncookiesSent ListenOverflows ListenDrops TCPReqQFullDrop\nTcpExt: 4 5 7 2\nIpExt: A\nIpExt: 1\n");
  REQUIRE(counters);
  CHECK(*counters == ListenCounters{.overflows = 5, .drops = 7, .syn_drops = 2, .cookies_sent = 4});
  CHECK(parse_netstat("TcpExt: ListenDrops\nTcpExt: 7\n") == ListenCounters{.drops = 7});
  CHECK(parse_netstat("TcpExt: ListenDrops ListenOverflows\nTcpExt: x\n") == ListenCounters{});
  CHECK_FALSE(parse_netstat("TcpExt: ListenDrops\n"));
  CHECK_FALSE(parse_netstat(""));
  CHECK_FALSE(parse_netstat("garbage\n\n\xff"));
}

TEST_CASE("throttling is read from both versions' cpu.stat") {
  const auto second =
      parse_cpu_stat("usage_usec 9\nnr_periods 10\nnr_throttled 4\nthrottled_usec 2500000\nnr_bursts 0\n");
  REQUIRE(second);
  CHECK(second->periods == 10);
  CHECK(second->throttled == 4);
  CHECK(second->seconds == Approx(2.5));
  const auto first = parse_cpu_stat("nr_periods 1\nnr_throttled 1\nthrottled_time 1500000000\n");
  REQUIRE(first);
  CHECK(first->seconds == Approx(1.5));
  CHECK_FALSE(parse_cpu_stat("usage_usec 9\nuser_usec 1\n"));
  CHECK_FALSE(parse_cpu_stat("nr_throttled x\n"));
  CHECK(is_limited("20000 100000\n"));
  CHECK(is_limited("20000\n"));
  CHECK_FALSE(is_limited("max 100000\n"));
  CHECK_FALSE(is_limited("-1\n"));
  CHECK_FALSE(is_limited(""));
}
