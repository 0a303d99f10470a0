// DNS over UDP, to the cgroup of the socket that asks, with a small server in a network namespace of its own; both by
// the functions that send and read datagrams (where the kernel can, else there is only the other way) and by the
// packets of the root cgroup. Needs root.
#include <net/if.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <string>
#include <thread>

#include "ebpf/loader/probe.hpp"
#include "tests/harness/catch.hpp"
#include "tests/harness/collected.hpp"
#include "tests/harness/dns_peers.hpp"
#include "tests/harness/network_namespace.hpp"
#include "tests/harness/signal.hpp"
#include "tests/harness/test_cgroup.hpp"

using namespace omnitide;
using test::Collected;
using test::TestCgroup;
using test::dns::Family;

namespace {

// Found out in another way than the collector does.
bool functions_work() {
  static const bool works = [] {
    const auto features = ebpf::probe();
    const auto fentry = std::ranges::find(features, "fentry", &model::EbpfFeature::name);
    return fentry != features.end() && fentry->works;
  }();
  return works;
}

// The collector in one of its two ways.
struct Watch {
  explicit Watch(bool functions) : by_functions(functions && functions_work()), collected({"dns"}, 50, functions) {
    const std::string how = collected.how("dns");
    std::printf("  dns %s\n", how.empty() ? "by functions" : how.c_str());
    CHECK(how.empty() == by_functions);
  }
  [[nodiscard]] double value(const TestCgroup& cgroup, std::string_view name) const {
    return collected.value(name, {{"cgroup", cgroup.path()}});
  }
  [[nodiscard]] double answers(const TestCgroup& cgroup, const char* code) const {
    return collected.value("omnitide_dns_responses_total", {{"cgroup", cgroup.path()}, {"code", code}});
  }
  bool by_functions;
  Collected collected;
};

// Runs `body` in a namespace with a server in a cgroup of its own, and ends that.
template <class Body>
void with_server(Family family, const TestCgroup& cgroup, Body body) {
  test::in_network_namespace([&] {
    test::set_up(::if_nametoindex("lo"));
    const test::Signal ready;
    const pid_t server = cgroup.start([&] { return test::dns::serve(family, ready); });
    ready.wait();
    body();
    const int fd = test::dns::open_socket(test::dns::address(family), true);
    CHECK(::send(fd, "end", 3, 0) == 3);
    ::close(fd);
    CHECK(TestCgroup::wait(server) == 0);
  });
}

int client(Family family) {
  using test::dns::ask;
  const int fd = test::dns::open_socket(test::dns::address(family), true);
  std::uint16_t id = 1;
  for (int i = 0; i < 20; ++i)
    if (!ask(fd, id++, 'a')) return 1;
  for (int i = 0; i < 6; ++i)
    if (!ask(fd, id++, 'n')) return 2;
  for (int i = 0; i < 3; ++i)
    if (!ask(fd, id++, 's')) return 3;
  if (!ask(fd, id++, 'l')) return 4;
  return ask(fd, id, 'q') && ask(fd, id, 'q') && ask(fd, id, 'q') ? 0 : 5;  // asked again twice
}

void check(Family family, bool functions) {
  const TestCgroup asks("asks"), serves("serves");
  Watch watch(functions);
  const auto begin = std::chrono::steady_clock::now();
  with_server(family, serves, [&] { CHECK(asks.run([family] { return client(family); }) == 0); });
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begin;
  watch.collected.read();
  const Collected::Labels ours{{"cgroup", asks.path()}};
  CHECK(watch.value(asks, "omnitide_dns_queries_total") == 33);
  CHECK(watch.answers(asks, "NOERROR") == 21);
  CHECK(watch.answers(asks, "NXDOMAIN") == 6);
  CHECK(watch.answers(asks, "SERVFAIL") == 3);
  CHECK(watch.collected.count("omnitide_dns_latency_seconds", ours) == 30);
  CHECK(watch.collected.sum("omnitide_dns_latency_seconds", ours) > 0.04);
  CHECK(watch.collected.sum("omnitide_dns_latency_seconds", ours) < took.count());
  CHECK(watch.value(asks, "omnitide_dns_timeouts_total") == 2);
  CHECK(watch.collected.find("omnitide_dns_queries_total", {{"cgroup", serves.path()}}).empty());
  if (family == Family::six) return;
  std::this_thread::sleep_for(std::chrono::milliseconds(5200));
  for (int i = 0; i < 2; ++i) {
    watch.collected.read();
    CHECK(watch.value(asks, "omnitide_dns_timeouts_total") == 3);
  }
}

void check_ways(Family family, bool functions) {
  const TestCgroup asks("asks"), serves("serves");
  Watch watch(functions);
  with_server(family, serves, [&] {
    std::uint16_t asked = 0;
    for (const test::dns::Way& way : test::dns::kWays) {
      INFO(way.name);
      ++asked;
      CHECK(asks.run([&way, family, asked] { return test::dns::go(way, family, asked); }) == 0);
      watch.collected.read();
      CHECK(watch.value(asks, "omnitide_dns_queries_total") == asked);
      CHECK(watch.answers(asks, "NOERROR") == asked);
    }
  });
  CHECK(watch.value(asks, "omnitide_dns_timeouts_total") == 0);
}

// Asks twice; reads one answer late, and the other one never.
int reads_late(Family family) {
  const int fd = test::dns::open_socket(test::dns::address(family), true);
  const std::string first = test::dns::query(1, 'a'), second = test::dns::query(2, 'a');
  if (::send(fd, first.data(), first.size(), 0) < 0 || ::send(fd, second.data(), second.size(), 0) < 0) return 1;
  ::usleep(60'000);
  return test::dns::read_plain(fd, first.size()) ? 0 : 2;
}

void check_late(bool functions) {
  const TestCgroup asks("asks"), serves("serves");
  Watch watch(functions);
  with_server(Family::four, serves, [&] { CHECK(asks.run([] { return reads_late(Family::four); }) == 0); });
  watch.collected.read();
  const double seconds = watch.collected.sum("omnitide_dns_latency_seconds", {{"cgroup", asks.path()}});
  CHECK(watch.answers(asks, "NOERROR") == (watch.by_functions ? 1 : 2));
  if (watch.by_functions) CHECK(seconds >= 0.06);
}

// Datagrams that are none of it: to another port, answers without a question, and what is too short.
int sends_others() {
  const int fd = ::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  const sockaddr_in dns = test::address_of("127.0.0.1", 53), other = test::address_of("127.0.0.1", 54);
  std::string answer = test::dns::query(7, 'a'), question = answer;
  answer[2] = static_cast<char>(0x81);
  const auto send = [fd](const std::string& bytes, const sockaddr_in& to) {
    return ::sendto(fd, bytes.data(), bytes.size(), 0, test::generic(to), sizeof to) ==
           static_cast<ssize_t>(bytes.size());
  };
  return send(answer, dns) && send(question, other) && send(question.substr(0, 11), dns) ? 0 : 1;
}

void check_others(bool functions) {
  const TestCgroup asks("asks");
  Watch watch(functions);
  test::in_network_namespace([&] {
    test::set_up(::if_nametoindex("lo"));
    CHECK(asks.run(sends_others) == 0);
  });
  watch.collected.read();
  CHECK(watch.collected.find("omnitide_dns_queries_total", {{"cgroup", asks.path()}}).empty());
}

}  // namespace

TEST_CASE("DNS queries, answers by code, latency and time-outs count for who asked (IPv4)") {
  check(Family::four, true);
}
TEST_CASE("DNS queries, answers by code, latency and time-outs count for who asked (IPv6)") {
  check(Family::six, true);
}
TEST_CASE("the same by packets (IPv4)") { check(Family::four, false); }
TEST_CASE("the same by packets (IPv6)") { check(Family::six, false); }

TEST_CASE("each way to ask and to read counts once (IPv4)") { check_ways(Family::four, true); }
TEST_CASE("each way to ask and to read counts once (IPv6)") { check_ways(Family::six, true); }
TEST_CASE("each way to ask and to read counts once (IPv4 on sockets of IPv6)") { check_ways(Family::mapped, true); }
TEST_CASE("each way to ask and to read counts once by packets (IPv4)") { check_ways(Family::four, false); }
TEST_CASE("each way to ask and to read counts once by packets (IPv6)") { check_ways(Family::six, false); }
TEST_CASE("each way to ask and to read counts once by packets (IPv4 on sockets of IPv6)") {
  check_ways(Family::mapped, false);
}

TEST_CASE("an answer counts when it is read, by packets when it comes") {
  check_late(true);
  check_late(false);
}

TEST_CASE("datagrams that are no questions do not count") {
  check_others(true);
  check_others(false);
}

TEST_CASE("nothing of DNS runs for TCP where programs are attached to functions") {
  const std::vector<std::string_view> programs{"dns_send4", "dns_send6", "dns_read4", "dns_read6"};
  Collected collected({"dns", "programs"});
  const auto runs = [&collected, &programs] {
    double sum = 0;
    collected.read();
    for (const std::string_view program : programs)
      sum += collected.value("omnitide_ebpf_program_runs_total", {{"program", std::string(program)}});
    return sum;
  };
  if (!functions_work()) {
    CHECK(runs() == 0);
    return;
  }
  const double before = runs();
  test::in_network_namespace([] {
    test::set_up(::if_nametoindex("lo"));
    const int listener = test::bound_socket(SOCK_STREAM, "127.0.0.1", 1234, 1);
    const int client = test::connected_socket("127.0.0.1", 1234), server = ::accept(listener, nullptr, nullptr);
    char c = 'x';
    for (int i = 0; i < 1000; ++i) {
      REQUIRE(::write(client, &c, 1) == 1);
      REQUIRE(::read(server, &c, 1) == 1);
    }
    for (const int fd : {client, server, listener})
      ::close(fd);
  });
  CHECK(runs() - before < 100);  // of whoever else uses UDP meanwhile
}
