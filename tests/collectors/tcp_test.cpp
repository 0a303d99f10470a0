// TCP, counted exactly and to the cgroup of the socket, over the loopback device of a network namespace of its own.
// Needs root.
#include "tests/harness/tcp.hpp"

#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <signal.h>
#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <fstream>
#include <sstream>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "tests/harness/catch.hpp"
#include "tests/harness/collected.hpp"
#include "tests/harness/network_namespace.hpp"
#include "tests/harness/signal.hpp"
#include "tests/harness/test_cgroup.hpp"

using namespace omnitide;
using test::Collected;
using test::Signal;
using test::TestCgroup;

namespace {

constexpr std::uint16_t kPort = 7411;

struct Ends {
  TestCgroup client{"client"}, server{"server"};
  [[nodiscard]] Collected::Labels of_client() const { return {{"cgroup", client.path()}}; }
  [[nodiscard]] Collected::Labels of_server() const { return {{"cgroup", server.path()}}; }
  [[nodiscard]] static Collected::Labels with(Collected::Labels labels, const char* name, const char* value) {
    labels[name] = value;
    return labels;
  }
};

// A counter of TCP in the thread's network namespace, by the kernel's account.
double tcp_counter(std::string_view name) {
  std::ifstream file("/proc/thread-self/net/netstat");
  for (std::string names, numbers; std::getline(file, names) && std::getline(file, numbers);) {
    std::istringstream heads(names), values(numbers);
    for (std::string head, value; heads >> head && values >> value;)
      if (head == name) return std::stod(value);
  }
  throw std::runtime_error("the kernel does not count " + std::string(name));
}

void add_neighbour(std::uint32_t index, const char* address, const std::string& mac) {
  ndmsg header{};
  header.ndm_family = AF_INET;
  header.ndm_ifindex = static_cast<int>(index);
  header.ndm_state = NUD_PERMANENT;
  std::string message(bytes_of(header));
  const sockaddr_in to = test::address_of(address, 0);
  append_attribute(message, NDA_DST, bytes_of(to.sin_addr));
  append_attribute(message, NDA_LLADDR, mac);
  test::rtnl::ask(RTM_NEWNEIGH, NLM_F_CREATE | NLM_F_REPLACE, message, "add a neighbour");
}

}  // namespace

TEST_CASE("connects, accepts and bytes count on both ends") {
  const Ends ends;
  Collected collected({"tcp"});
  constexpr int kTimes = 25;
  constexpr std::size_t kUp = 30'000, kDown = 7'000;
  test::in_network_namespace([&] {
    test::set_up(::if_nametoindex("lo"));
    const Signal ready;
    const pid_t server = ends.server.start([&] {
      const int listener = test::bound_socket(SOCK_STREAM, "127.0.0.1", kPort, 16);
      ready.tell();
      std::array<char, 65536> buffer{};
      for (int i = 0; i < kTimes; ++i) {
        const int fd = ::accept(listener, nullptr, nullptr);
        std::size_t got = 0;
        for (ssize_t n = 0; got < kUp && (n = ::read(fd, buffer.data(), buffer.size())) > 0;)
          got += static_cast<std::size_t>(n);
        if (got != kUp || ::write(fd, buffer.data(), kDown) != kDown) return 1;
        ::close(fd);
      }
      return 0;
    });
    ready.wait();
    REQUIRE(ends.client.run([&] {
      std::array<char, 65536> buffer{};
      for (int i = 0; i < kTimes; ++i) {
        const int fd = test::connected_socket("127.0.0.1", kPort);
        if (fd < 0 || ::write(fd, buffer.data(), kUp) != kUp) return 1;
        while (::read(fd, buffer.data(), buffer.size()) > 0) {
        }
        ::close(fd);
      }
      return 0;
    }) == 0);
    REQUIRE(TestCgroup::wait(server) == 0);
  });
  const char* bytes = "omnitide_tcp_bytes_total";
  collected.read_until([&] {  // the last FINs
    return collected.value(bytes, Ends::with(ends.of_client(), "direction", "received")) == kTimes * kDown &&
           collected.value(bytes, Ends::with(ends.of_server(), "direction", "received")) == kTimes * kUp;
  });
  const char* connections = "omnitide_tcp_connections_total";
  CHECK(collected.value(connections, Ends::with(ends.of_client(), "direction", "out")) == kTimes);
  CHECK(collected.value(connections, Ends::with(ends.of_client(), "direction", "in")) == 0);
  CHECK(collected.value(connections, Ends::with(ends.of_server(), "direction", "in")) == kTimes);
  CHECK(collected.value(connections, Ends::with(ends.of_server(), "direction", "out")) == 0);
  CHECK(collected.count("omnitide_tcp_connect_seconds", ends.of_client()) == kTimes);
  CHECK(collected.sum("omnitide_tcp_connect_seconds", ends.of_client()) > 0);
  CHECK(collected.sum("omnitide_tcp_connect_seconds", ends.of_client()) < kTimes);
  CHECK(collected.value(bytes, Ends::with(ends.of_client(), "direction", "sent")) == kTimes * kUp);
  CHECK(collected.value(bytes, Ends::with(ends.of_client(), "direction", "received")) == kTimes * kDown);
  CHECK(collected.value(bytes, Ends::with(ends.of_server(), "direction", "sent")) == kTimes * kDown);
  CHECK(collected.value(bytes, Ends::with(ends.of_server(), "direction", "received")) == kTimes * kUp);
  CHECK(collected.count("omnitide_tcp_rtt_seconds", ends.of_client()) == kTimes);
  CHECK(collected.value("omnitide_tcp_connect_failures_total", ends.of_client()) == 0);
  CHECK(collected.value("omnitide_tcp_retransmits_total", ends.of_client()) == 0);
}

TEST_CASE("a connection that lasts counts its bytes while it does, also one that was there before") {
  const Ends ends;
  const bool live = test::kernel_at_least(5, 12);  // programs that take turns
  const Collected::Labels received = Ends::with(ends.of_server(), "direction", "received"),
                          sent = Ends::with(ends.of_client(), "direction", "sent");
  constexpr std::size_t kBefore = 5'000, kFirst = 100'000, kThen = 160'000;
  test::in_network_namespace([&] {
    test::set_up(::if_nametoindex("lo"));
    const Signal ready, told, go_on;
    const pid_t server = ends.server.start([&] {
      const int listener = test::bound_socket(SOCK_STREAM, "127.0.0.1", kPort, 16);
      ready.tell();
      const int fd = ::accept(listener, nullptr, nullptr);
      std::array<char, 4096> buffer{};
      std::size_t got = 0;
      for (const std::size_t until : {kBefore, kBefore + kFirst, kBefore + kFirst + kThen}) {
        for (ssize_t n = 0; got < until && (n = ::read(fd, buffer.data(), std::min(buffer.size(), until - got))) > 0;)
          got += static_cast<std::size_t>(n);
        told.tell();
      }
      return ::read(fd, buffer.data(), 1) == 0 ? 0 : 1;
    });
    ready.wait();
    const pid_t client = ends.client.start([&] {
      const int fd = test::connected_socket("127.0.0.1", kPort);
      std::vector<char> buffer(kThen);
      for (const std::size_t size : {kBefore, kFirst, kThen}) {
        if (::write(fd, buffer.data(), size) != static_cast<ssize_t>(size)) return 1;
        go_on.wait();
      }
      return 0;
    });
    told.wait();
    std::this_thread::sleep_for(std::chrono::milliseconds(100));  // the last acknowledgements
    Collected collected({"tcp"});
    double expected = 0;
    for (const std::size_t size : {std::size_t{0}, kFirst, kThen}) {
      if (size != 0) {
        go_on.tell();
        told.wait();
        std::this_thread::sleep_for(std::chrono::milliseconds(1100));  // it looks once a second
      }
      expected += static_cast<double>(size);
      collected.read();
      CHECK(collected.value("omnitide_tcp_bytes_total", received) == (live ? expected : 0));
      CHECK(collected.value("omnitide_tcp_bytes_total", sent) == (live ? expected : 0));
    }
    CHECK(collected.count("omnitide_tcp_rtt_seconds", ends.of_client()) == (live ? 2 : 0));
    go_on.tell();
    CHECK(TestCgroup::wait(client) == 0);
    CHECK(TestCgroup::wait(server) == 0);
    if (!live) expected += kBefore;
    collected.read_until([&] {
      return collected.value("omnitide_tcp_bytes_total", received) == expected &&
             collected.value("omnitide_tcp_bytes_total", sent) == expected &&
             collected.count("omnitide_tcp_rtt_seconds", ends.of_client()) == (live ? 3 : 1);
    });
    CHECK(collected.value("omnitide_tcp_bytes_total", received) == expected);
    CHECK(collected.value("omnitide_tcp_bytes_total", sent) == expected);
    CHECK(collected.count("omnitide_tcp_rtt_seconds", ends.of_client()) == (live ? 3 : 1));
  });
}

TEST_CASE("bytes count exactly whether connections end before, while or after they are looked at") {
  const Ends ends;
  Collected collected({"tcp"});
  constexpr int kConnections = 500;
  constexpr std::size_t kBytes = 700;
  test::in_network_namespace([&] {
    test::set_up(::if_nametoindex("lo"));
    const Signal ready;
    const pid_t server = ends.server.start([&] {
      const int listener = test::bound_socket(SOCK_STREAM, "127.0.0.1", kPort, 16);
      ready.tell();
      std::array<char, 4096> buffer{};
      for (int i = 0; i < kConnections; ++i) {
        const int fd = ::accept(listener, nullptr, nullptr);
        while (::read(fd, buffer.data(), buffer.size()) > 0) {
        }
        ::close(fd);
      }
      return 0;
    });
    ready.wait();
    const pid_t client = ends.client.start([&] {
      std::array<char, kBytes> buffer{};
      for (int i = 0; i < kConnections; ++i) {
        const int fd = test::connected_socket("127.0.0.1", kPort);
        if (fd < 0 || ::write(fd, buffer.data(), kBytes) != kBytes) return 1;
        ::close(fd);
      }
      return 0;
    });
    std::atomic<bool> over{false};
    std::thread looks([&] {
      while (!over)
        collected.read();
    });
    CHECK(TestCgroup::wait(client) == 0);
    CHECK(TestCgroup::wait(server) == 0);
    over = true;
    looks.join();
  });
  const char* bytes = "omnitide_tcp_bytes_total";
  collected.read_until([&] {
    return collected.value(bytes, Ends::with(ends.of_client(), "direction", "sent")) == kConnections * kBytes &&
           collected.value(bytes, Ends::with(ends.of_server(), "direction", "received")) == kConnections * kBytes;
  });
  CHECK(collected.value(bytes, Ends::with(ends.of_client(), "direction", "sent")) == kConnections * kBytes);
  CHECK(collected.value(bytes, Ends::with(ends.of_server(), "direction", "received")) == kConnections * kBytes);
}

TEST_CASE("refused connections and resets count with their error and direction") {
  const Ends ends;
  Collected collected({"tcp"});
  collected.read();
  const Collected::Labels nobody{{"cgroup", "none"}, {"direction", "sent"}};
  const double before = collected.value("omnitide_tcp_resets_total", nobody);
  test::in_network_namespace([&] {
    test::set_up(::if_nametoindex("lo"));
    const int listener = test::bound_socket(SOCK_STREAM, "127.0.0.1", kPort, 16);
    REQUIRE(listener >= 0);
    REQUIRE(ends.client.run([&] {
      for (int i = 0; i < 12; ++i) {
        if (test::connected_socket("127.0.0.1", kPort + 1) >= 0) return 1;
      }
      for (int i = 0; i < 5; ++i) {
        const int fd = test::connected_socket("127.0.0.1", kPort);
        if (fd < 0) return 2;
        test::reset(fd);
      }
      return 0;
    }) == 0);
    ::close(listener);
  });
  collected.read_until([&] {
    return collected.value("omnitide_tcp_resets_total", Ends::with(ends.of_client(), "direction", "received")) == 12;
  });
  const auto refused = Ends::with(ends.of_client(), "errno", "ECONNREFUSED");
  CHECK(collected.value("omnitide_tcp_connect_failures_total", refused) == 12);
  CHECK(collected.value("omnitide_tcp_connect_failures_total", ends.of_client()) == 12);
  CHECK(collected.value("omnitide_tcp_resets_total", Ends::with(ends.of_client(), "direction", "received")) == 12);
  CHECK(collected.value("omnitide_tcp_resets_total", Ends::with(ends.of_client(), "direction", "sent")) == 5);
  // Nobody's socket refused them; older kernels tell only of resets that a socket sends.
  if (test::kernel_at_least(6, 10)) CHECK(collected.value("omnitide_tcp_resets_total", nobody) - before >= 12);
}

TEST_CASE("SYNs to a neighbour with a wrong address are sent again, and count") {
  const Ends ends;
  Collected collected({"tcp"});
  double sent_again = 0;
  test::in_network_namespace([&] {
    test::add_veth_pair("one", "two");
    const std::uint32_t one = ::if_nametoindex("one");
    test::set_up(one);
    test::set_up(::if_nametoindex("two"));
    test::add_address(one, "10.90.0.1", 24);
    add_neighbour(one, "10.90.0.2", std::string("\x02\x00\x00\x00\x00\x99", 6));
    CHECK(ends.client.run([] { return test::try_to_connect("10.90.0.2", kPort, 60'000, 3); }) >= 3);
    // What TCP_INFO counts has attempts too that did not leave, since a queue was full.
    sent_again = tcp_counter("TCPSynRetrans") - tcp_counter("TCPRetransFail");
  });
  collected.read();
  const char* again = "omnitide_tcp_retransmits_total";
  CHECK(sent_again >= 1);
  CHECK(collected.value(again, Ends::with(ends.of_client(), "segment", "syn")) == sent_again);
  CHECK(collected.value(again, Ends::with(ends.of_client(), "segment", "data")) == 0);
  CHECK(collected.value("omnitide_tcp_connect_failures_total", Ends::with(ends.of_client(), "errno", "none")) == 1);
  CHECK(collected.value("omnitide_tcp_connections_total", ends.of_client()) == 0);
}

TEST_CASE("connections that found a full accept queue count for their network namespace") {
  Collected collected({"listen"});
  test::in_network_namespace([&] {
    test::set_up(::if_nametoindex("lo"));
    struct stat own {};
    REQUIRE(::stat("/proc/thread-self/ns/net", &own) == 0);
    const Signal stop;
    // Other processes' namespaces are found, not those of single threads.
    const pid_t member = ::fork();
    if (member == 0) {
      const int listener = test::bound_socket(SOCK_STREAM, "127.0.0.1", kPort, 1);
      for (int i = 0; listener >= 0 && i < 6; ++i)
        (void)test::try_to_connect("127.0.0.1", kPort, 30);
      stop.tell();
      ::pause();
      ::_exit(0);
    }
    stop.wait();
    collected.read();
    const Collected::Labels here{{"netns", std::to_string(own.st_ino)}};
    CHECK(collected.find("omnitide_network_namespace_info", here).size() == 1);
    CHECK(collected.value("omnitide_tcp_listen_overflows_total", here) > 0);
    CHECK(collected.value("omnitide_tcp_listen_drops_total", here) >=
          collected.value("omnitide_tcp_listen_overflows_total", here));
    ::kill(member, SIGKILL);
    (void)TestCgroup::wait(member);
  });
}
