// DNS over UDP, to the cgroup of the socket that asks, with a small server in a network namespace of its own. Needs
// root.
#include <net/if.h>
#include <sys/time.h>

#include <array>
#include <chrono>
#include <cstring>
#include <string>
#include <thread>

#include "tests/harness/catch.hpp"
#include "tests/harness/collected.hpp"
#include "tests/harness/network_namespace.hpp"
#include "tests/harness/signal.hpp"
#include "tests/harness/tcp.hpp"
#include "tests/harness/test_cgroup.hpp"

using namespace omnitide;
using test::Collected;
using test::TestCgroup;

namespace {

constexpr std::uint16_t kDns = 53;
// The server does what the first letter of the name says: n(xdomain), s(ervfail), q(uiet), else an answer.

std::string query(std::uint16_t id, char what) {
  std::string out("\0\0\1\0\0\1\0\0\0\0\0\0", 12);
  out[0] = static_cast<char>(id >> 8U);
  out[1] = static_cast<char>(id);
  return out + '\1' + what + std::string("\7example\4test\0\0\1\0\1", 18);
}

int serve(int family, const test::Signal& ready) {
  const int fd = ::socket(family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  sockaddr_in6 six{};
  six.sin6_family = AF_INET6;
  six.sin6_port = htons(kDns);
  six.sin6_addr = IN6ADDR_LOOPBACK_INIT;
  const sockaddr_in four = test::address_of("127.0.0.1", kDns);
  const int bound = family == AF_INET6 ? ::bind(fd, reinterpret_cast<const sockaddr*>(&six), sizeof six)
                                       : ::bind(fd, test::generic(four), sizeof four);
  if (bound != 0) return 1;
  ready.tell();
  for (;;) {
    std::array<char, 512> message{};
    sockaddr_storage peer{};
    socklen_t length = sizeof peer;
    const ssize_t got = ::recvfrom(fd, message.data(), message.size(), 0, reinterpret_cast<sockaddr*>(&peer), &length);
    if (got < 20) return 0;  // a short message ends it
    message[2] = static_cast<char>(0x81);
    message[3] = message[13] == 'n' ? 3 : message[13] == 's' ? 2 : 0;
    if (message[13] == 'q') continue;
    if (message[13] == 'l') ::usleep(40'000);
    (void)!::sendto(fd, message.data(), static_cast<std::size_t>(got), 0, reinterpret_cast<sockaddr*>(&peer), length);
  }
}

int connected(int family) {
  const int fd = ::socket(family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  sockaddr_in6 six{};
  six.sin6_family = AF_INET6;
  six.sin6_port = htons(kDns);
  six.sin6_addr = IN6ADDR_LOOPBACK_INIT;
  const sockaddr_in four = test::address_of("127.0.0.1", kDns);
  const timeval patience{.tv_sec = 30, .tv_usec = 0};
  (void)::setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  const int done = family == AF_INET6 ? ::connect(fd, reinterpret_cast<const sockaddr*>(&six), sizeof six)
                                      : ::connect(fd, test::generic(four), sizeof four);
  return done == 0 ? fd : -1;
}

// Asks, and waits for the answer unless the server is quiet.
bool ask(int fd, std::uint16_t id, char what) {
  const std::string message = query(id, what);
  std::array<char, 512> answer{};
  if (::send(fd, message.data(), message.size(), 0) != static_cast<ssize_t>(message.size())) return false;
  return what == 'q' || ::recv(fd, answer.data(), answer.size(), 0) > 0;
}

int client(int family) {
  const int fd = connected(family);
  std::uint16_t id = 1;
  for (int i = 0; i < 20; ++i)
    if (!ask(fd, id++, 'a')) return 1;
  for (int i = 0; i < 6; ++i)
    if (!ask(fd, id++, 'n')) return 2;
  for (int i = 0; i < 3; ++i)
    if (!ask(fd, id++, 's')) return 3;
  if (!ask(fd, id++, 'l')) return 4;
  if (!ask(fd, id, 'q') || !ask(fd, id, 'q') || !ask(fd, id, 'q')) return 5;  // asked again twice
  return ::send(fd, "end", 3, 0) == 3 ? 0 : 6;
}

void check(int family) {
  const TestCgroup asks("asks"), answers("answers");
  Collected collected({"dns"});
  const auto begin = std::chrono::steady_clock::now();
  test::in_network_namespace([&] {
    test::set_up(::if_nametoindex("lo"));
    const test::Signal ready;
    const pid_t server = answers.start([&] { return serve(family, ready); });
    ready.wait();
    CHECK(asks.run([family] { return client(family); }) == 0);
    CHECK(TestCgroup::wait(server) == 0);
  });
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begin;
  collected.read();
  const Collected::Labels ours{{"cgroup", asks.path()}};
  const auto answered = [&](const char* code) {
    return collected.value("omnitide_dns_responses_total", {{"cgroup", asks.path()}, {"code", code}});
  };
  CHECK(collected.value("omnitide_dns_queries_total", ours) == 33);
  CHECK(answered("NOERROR") == 21);
  CHECK(answered("NXDOMAIN") == 6);
  CHECK(answered("SERVFAIL") == 3);
  CHECK(collected.count("omnitide_dns_latency_seconds", ours) == 30);
  CHECK(collected.sum("omnitide_dns_latency_seconds", ours) > 0.04);
  CHECK(collected.sum("omnitide_dns_latency_seconds", ours) < took.count());
  CHECK(collected.value("omnitide_dns_timeouts_total", ours) == 2);
  CHECK(collected.find("omnitide_dns_queries_total", {{"cgroup", answers.path()}}).empty());
  if (family == AF_INET6) return;
  std::this_thread::sleep_for(std::chrono::milliseconds(5200));
  collected.read();
  CHECK(collected.value("omnitide_dns_timeouts_total", ours) == 3);
  collected.read();
  CHECK(collected.value("omnitide_dns_timeouts_total", ours) == 3);
}

}  // namespace

TEST_CASE("DNS queries, answers by code, latency and time-outs count for who asked (IPv4)") { check(AF_INET); }
TEST_CASE("DNS queries, answers by code, latency and time-outs count for who asked (IPv6)") { check(AF_INET6); }
