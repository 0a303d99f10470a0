// Traffic without an end between pods of a real cluster: what must pass, each loss told, and what must never pass, each
// arrival told. The servers are what runs in the pods: whoever takes a TCP connection, whoever answers "hostname" by
// UDP (agnhost netexec).
//
//   prober <PROBES     each line: pass|drop NAME PID tcp|udp|flow ADDRESS PORT
//
// PID: a process of the asking pod. tcp, udp: a new socket for each question; flow: one connection, a request of HTTP
// after the other. At SIGTERM a line of JSON for each probe; exit code 1 when one was misjudged, 2 when nothing was
// sent.
#include <fcntl.h>
#include <fmt/format.h>
#include <linux/tcp.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <deque>
#include <iostream>
#include <sstream>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "agent/base/address.hpp"
#include "agent/base/fd.hpp"
#include "tests/harness/traffic_sockets.hpp"

using namespace omnitide;
using namespace std::chrono_literals;
using std::chrono::milliseconds;
using std::chrono::steady_clock;

namespace {

// A SYN is answered by the other kernel, and what was lost of it is sent again after a second; a datagram is answered
// by a program, which may have to wait for a CPU, and never sent again.
constexpr milliseconds kPatience{900}, kUdpPatience{10'000};
constexpr milliseconds kPeriod{20};
constexpr std::size_t kOpen = 64, kMostTold = 20;
constexpr std::string_view kAsk = "hostname", kRequest = "GET /hostname HTTP/1.1\r\nHost: prober\r\n\r\n";

std::atomic<bool> ending{false};

struct Probe {
  bool pass = false;
  std::string name, how;
  int process = 0;
  Address address;
  std::uint16_t port = 0;
  std::uint64_t sent = 0, answered = 0, misjudged = 0;
  std::vector<std::string> when;  // of the first that were misjudged: seconds since the start
  std::string broken;             // why it ended early
};

steady_clock::time_point begin;

void misjudge(Probe& probe, steady_clock::time_point sent) {
  ++probe.misjudged;
  if (probe.when.size() < kMostTold)
    probe.when.push_back(fmt::format("{:.2f}", std::chrono::duration<double>(sent - begin).count()));
}

short ready(int fd, short wanted, milliseconds patience) {
  pollfd poll{fd, wanted, 0};
  return ::poll(&poll, 1, static_cast<int>(patience.count())) == 1 ? poll.revents : short{0};
}

UniqueFd open_socket(const Probe& probe) {
  UniqueFd fd =
      test::make_socket(probe.address.is_v4() ? AF_INET : AF_INET6, probe.how == "udp" ? SOCK_DGRAM : SOCK_STREAM, 0);
  const test::SocketAddress to(probe.address, probe.port);
  if (::connect(fd.get(), to.data(), to.size) != 0 && errno != EINPROGRESS) return {};
  if (probe.how == "udp" && ::send(fd.get(), kAsk.data(), kAsk.size(), MSG_NOSIGNAL) < 0) return {};
  return fd;
}

// Whether somebody is there: a connection, or an answer. A refusal by the other end's kernel got there, too.
bool reached(const Probe& probe, int fd, milliseconds patience) {
  const short events = ready(fd, probe.how == "udp" ? POLLIN : POLLOUT, patience);
  if (events == 0) return false;
  int error = 0;
  socklen_t size = sizeof error;
  (void)::getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size);
  return error == 0 || error == ECONNREFUSED || error == ECONNRESET;
}

void must_pass(Probe& probe) {
  while (!ending) {
    const auto at = steady_clock::now();
    const UniqueFd fd = open_socket(probe);
    ++probe.sent;
    if (fd && reached(probe, fd.get(), probe.how == "udp" ? kUdpPatience : kPatience))
      ++probe.answered;
    else
      misjudge(probe, at);
    std::this_thread::sleep_until(at + kPeriod);
  }
}

// Attempts stay open for a while, so that a late answer is seen, too.
void must_not_pass(Probe& probe) {
  struct Attempt {
    UniqueFd fd;
    steady_clock::time_point at;
  };
  std::deque<Attempt> open;
  const auto close_first = [&] {
    if (open.front().fd && reached(probe, open.front().fd.get(), 0ms)) misjudge(probe, open.front().at);
    open.pop_front();
  };
  while (!ending) {
    const auto at = steady_clock::now();
    open.push_back({open_socket(probe), at});
    ++probe.sent;
    if (open.size() > kOpen) close_first();
    std::this_thread::sleep_until(at + kPeriod);
  }
  std::this_thread::sleep_for(5ms);
  while (!open.empty())
    close_first();
}

// One connection for all of it. What TCP had to send again was lost on the way.
void keep_flowing(Probe& probe) {
  const UniqueFd fd = open_socket(probe);
  if (!fd || !reached(probe, fd.get(), kPatience)) throw std::runtime_error("no connection");
  std::array<char, 4096> bytes{};
  while (!ending) {
    const auto at = steady_clock::now();
    ++probe.sent;
    if (::send(fd.get(), kRequest.data(), kRequest.size(), MSG_NOSIGNAL) < 0) throw std::runtime_error("it was cut");
    if (ready(fd.get(), POLLIN, 10s) == 0 || ::recv(fd.get(), bytes.data(), bytes.size(), 0) <= 0)
      throw std::runtime_error("it was cut");
    ++probe.answered;
    tcp_info info{};
    socklen_t size = sizeof info;
    test::must(::getsockopt(fd.get(), IPPROTO_TCP, TCP_INFO, &info, &size), "ask about a connection");
    const std::uint64_t lost =
        info.tcpi_total_retrans > info.tcpi_dsack_dups ? info.tcpi_total_retrans - info.tcpi_dsack_dups : 0;
    if (lost > probe.misjudged) misjudge(probe, at);
    std::this_thread::sleep_until(at + kPeriod);
  }
}

void run(Probe& probe) {
  try {
    const UniqueFd space(::open(fmt::format("/proc/{}/ns/net", probe.process).c_str(), O_RDONLY | O_CLOEXEC));
    test::must(space.get(), "find the pod's namespace");
    test::must(::setns(space.get(), CLONE_NEWNET), "enter the pod's namespace");
    if (probe.how == "flow")
      keep_flowing(probe);
    else if (probe.pass)
      must_pass(probe);
    else
      must_not_pass(probe);
  } catch (const std::exception& problem) {
    misjudge(probe, steady_clock::now());
    probe.broken = problem.what();
  }
}

std::vector<Probe> read_probes() {
  std::vector<Probe> out;
  for (std::string line; std::getline(std::cin, line);) {
    Probe probe;
    std::string expected, address;
    std::istringstream words(line);
    words >> expected >> probe.name >> probe.process >> probe.how >> address >> probe.port;
    const std::optional<Address> parsed = parse_address(address);
    if (!words || !parsed || (expected != "pass" && expected != "drop"))
      throw std::runtime_error("not a probe: " + line);
    probe.pass = expected == "pass";
    probe.address = *parsed;
    out.push_back(std::move(probe));
  }
  if (out.empty()) throw std::runtime_error("no probes");
  return out;
}

// Exit code.
int report(const std::vector<Probe>& probes) {
  int code = 0;
  for (const Probe& probe : probes) {
    std::string when;
    for (const std::string& each : probe.when)
      when += (when.empty() ? "" : ",") + each;
    fmt::print(R"({{"probe":"{}","expected":"{}","sent":{},"answered":{},"misjudged":{},"at":[{}],"broken":"{}"}})",
               probe.name, probe.pass ? "pass" : "drop", probe.sent, probe.answered, probe.misjudged, when,
               probe.broken);
    fmt::print("\n");
    if (probe.sent == 0) code = 2;
    if (probe.misjudged > 0 && code == 0) code = 1;
  }
  return code;
}

}  // namespace

int main() {
  try {
    sigset_t signals{};
    ::sigemptyset(&signals);
    ::sigaddset(&signals, SIGTERM);
    ::sigaddset(&signals, SIGINT);
    ::pthread_sigmask(SIG_BLOCK, &signals, nullptr);
    std::vector<Probe> probes = read_probes();
    begin = steady_clock::now();
    std::vector<std::thread> threads;
    for (Probe& probe : probes)
      threads.emplace_back([&probe] { run(probe); });
    int signal = 0;
    ::sigwait(&signals, &signal);
    ending = true;
    for (std::thread& thread : threads)
      thread.join();
    return report(probes);
  } catch (const std::exception& problem) {
    fmt::print(stderr, "prober: {}\n", problem.what());
    return 2;
  }
}
