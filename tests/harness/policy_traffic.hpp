// Traffic between pods on routed veths, and an account of what arrived: bursts of UDP by which one sees which policy
// was in force, and iperf3.
#pragma once

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <cstring>
#include <optional>
#include <sstream>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "agent/base/fd.hpp"
#include "tests/harness/child.hpp"
#include "tests/harness/links.hpp"

namespace omnitide::test {

// The pod 10.50.NUMBER.2 behind the device podNUMBER, with a host route; the node has 10.50.NUMBER.1 and forwards.
class RoutedPod {
 public:
  explicit RoutedPod(unsigned number) : number_(number), pod_(device(), {address() + "/24"}) {
    add_address(index_of(device()), gateway() + "/24");
    add_route(address() + "/32", index_of(device()));
    write_sysctl("ipv4/ip_forward", "1");
    pod_.run([this] { add_route("0.0.0.0/0", index_of("eth0"), RT_TABLE_MAIN, gateway()); });
  }
  [[nodiscard]] std::string device() const { return "pod" + std::to_string(number_); }
  [[nodiscard]] std::string address() const { return "10.50." + std::to_string(number_) + ".2"; }
  template <class Body>
  void run(Body body) const {
    pod_.run(body);
  }

 private:
  [[nodiscard]] std::string gateway() const { return "10.50." + std::to_string(number_) + ".1"; }
  unsigned number_;
  PodNamespace pod_;
};

inline sockaddr_in socket_address(const std::string& address, std::uint16_t port) {
  sockaddr_in out{};
  out.sin_family = AF_INET;
  out.sin_port = htons(port);
  if (::inet_pton(AF_INET, address.c_str(), &out.sin_addr) != 1) throw std::runtime_error("no address: " + address);
  return out;
}

// One pod sends bursts to another: a datagram to the port 7001, one to 7002, one to 7001 again, and one to a port that
// no policy opens. Now and then it tries to connect by TCP, which no policy allows either.
class Bursts {
 public:
  static constexpr std::uint16_t kFirst = 7001, kSecond = 7002, kNever = 9, kTcp = 5201;

  Bursts(const RoutedPod& from, const RoutedPod& to)
      : to_(to.address()), receiver_([this, &to] { to.run([this] { receive(); }); }) {
    while (!listening_) {
      if (failed_) break;
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    sender_ = std::thread([this, &from] { from.run([this] { send(); }); });
  }
  Bursts(const Bursts&) = delete;
  Bursts& operator=(const Bursts&) = delete;
  ~Bursts() { stop(); }

  void stop() {
    sending_ = false;
    if (sender_.joinable()) sender_.join();
    if (receiver_.joinable()) {
      std::this_thread::sleep_for(std::chrono::milliseconds(200));
      receiving_ = false;
      receiver_.join();
    }
  }

  // What the bursts from `begin` on say of the policy that judged them: only the first port is open, only the second
  // one, one after the other, or parts of both. A burst that took so long that two changes may have been in it is
  // `slow` and says nothing.
  struct Account {
    std::uint64_t first = 0, second = 0, changed = 0, mixed = 0, slow = 0;
    [[nodiscard]] std::uint64_t all() const { return first + second + changed + mixed + slow; }
  };
  [[nodiscard]] Account account(std::uint32_t begin = 0, std::uint32_t end = 0xffffffffU,
                                std::uint32_t slow_us = 10'000) const {
    Account out;
    for (std::uint32_t i = begin; i < std::min<std::uint32_t>(end, sent_); ++i) {
      const bool a = (arrived_[i] & 1U) != 0, b = (arrived_[i] & 2U) != 0, c = (arrived_[i] & 4U) != 0;
      const bool mixed = a == b && b == c;
      if (took_us_[i] > slow_us) {
        ++out.slow;
      } else if (mixed) {
        ++out.mixed;
      } else if (a && !b && c) {
        ++out.first;
      } else if (!a && b && !c) {
        ++out.second;
      } else {
        ++out.changed;
      }
    }
    return out;
  }
  // Whether the next bursts show that only the first port is open, or only the second one. What is sent needs a moment
  // until it is counted.
  [[nodiscard]] bool show(bool first) const {
    constexpr std::uint32_t kEnough = 50;
    const auto within = [](auto done) {
      const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(10);
      while (!done() && std::chrono::steady_clock::now() < deadline)
        std::this_thread::sleep_for(std::chrono::milliseconds(10));
      return done();
    };
    const std::uint32_t begin = sent_ + 1, end = begin + kEnough;
    return within([&] { return sent_ >= end; }) && within([&] {
             const Account seen = account(begin, end, 0xffffffffU);
             return (first ? seen.first : seen.second) == kEnough;
           });
  }
  [[nodiscard]] std::uint32_t sent() const { return sent_; }
  [[nodiscard]] std::uint64_t never() const { return never_; }          // what should not have arrived
  [[nodiscard]] std::uint64_t connected() const { return connected_; }  // TCP connections that should not be
  [[nodiscard]] bool failed() const { return failed_; }

 private:
  static constexpr std::size_t kMost = 1U << 20U, kSockets = 8;
  struct Datagram {
    std::uint32_t burst = 0, position = 0;
  };

  static UniqueFd udp_socket() {
    UniqueFd out(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    const int bytes = 16 << 20;
    if (!out || ::setsockopt(out.get(), SOL_SOCKET, SO_RCVBUFFORCE, &bytes, sizeof bytes) != 0)
      throw std::runtime_error("cannot make a socket (root is needed)");
    return out;
  }

  void receive() {
    std::array<UniqueFd, 3> sockets;
    std::array<pollfd, 3> polls{};
    const std::array<std::uint16_t, 3> ports{kFirst, kSecond, kNever};
    for (std::size_t i = 0; i < ports.size(); ++i) {
      sockets.at(i) = udp_socket();
      const sockaddr_in here = socket_address("0.0.0.0", ports.at(i));
      if (::bind(sockets.at(i).get(), reinterpret_cast<const sockaddr*>(&here), sizeof here) != 0) {
        failed_ = true;
        return;
      }
      polls.at(i) = {sockets.at(i).get(), POLLIN, 0};
    }
    listening_ = true;
    while (receiving_) {
      (void)::poll(polls.data(), polls.size(), 20);
      for (std::size_t i = 0; i < ports.size(); ++i) {
        Datagram got;
        while (::recv(sockets.at(i).get(), &got, sizeof got, 0) == static_cast<ssize_t>(sizeof got)) {
          if (i == 2) {
            ++never_;
          } else if (got.burst < kMost) {
            arrived_[got.burst] = static_cast<std::uint8_t>(arrived_[got.burst] | 1U << got.position);
          }
        }
      }
    }
  }

  void send() {
    std::array<UniqueFd, kSockets> sockets;
    std::array<sockaddr_in, 4> targets{socket_address(to_, kFirst), socket_address(to_, kSecond),
                                       socket_address(to_, kFirst), socket_address(to_, kNever)};
    for (UniqueFd& socket : sockets)
      socket = udp_socket();
    UniqueFd attempt;
    for (std::uint32_t i = 0; sending_ && i < kMost; ++i) {
      const int fd = sockets.at(i % kSockets).get();
      const auto begin = std::chrono::steady_clock::now();
      for (std::uint32_t position = 0; position < targets.size(); ++position) {
        const Datagram datagram{i, position};
        (void)::sendto(fd, &datagram, sizeof datagram, 0, reinterpret_cast<const sockaddr*>(&targets.at(position)),
                       sizeof(sockaddr_in));
      }
      took_us_[i] = static_cast<std::uint32_t>(
          std::chrono::duration_cast<std::chrono::microseconds>(std::chrono::steady_clock::now() - begin).count());
      sent_ = i + 1;
      if (i % 32 == 0) attempt = try_tcp(std::move(attempt));
      std::this_thread::sleep_for(std::chrono::milliseconds(2));
    }
  }

  // Counts the last attempt when it succeeded, and makes another one.
  UniqueFd try_tcp(UniqueFd last) {
    pollfd poll{last.get(), POLLOUT, 0};
    int error = 0;
    socklen_t size = sizeof error;
    if (last && ::poll(&poll, 1, 0) == 1 && (poll.revents & POLLOUT) != 0 &&
        ::getsockopt(last.get(), SOL_SOCKET, SO_ERROR, &error, &size) == 0 && error == 0 &&
        (poll.revents & POLLERR) == 0)
      ++connected_;
    UniqueFd out(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    const sockaddr_in there = socket_address(to_, kTcp);
    (void)::connect(out.get(), reinterpret_cast<const sockaddr*>(&there), sizeof there);
    return out;
  }

  std::string to_;
  std::vector<std::atomic<std::uint8_t>> arrived_ = std::vector<std::atomic<std::uint8_t>>(kMost);
  std::vector<std::uint32_t> took_us_ = std::vector<std::uint32_t>(kMost);
  std::atomic<std::uint32_t> sent_{0};
  std::atomic<std::uint64_t> never_{0}, connected_{0};
  std::atomic<bool> sending_{true}, receiving_{true}, listening_{false}, failed_{false};
  std::thread receiver_, sender_;
};

// One connection from pod to pod that lives until end().
class Iperf {
 public:
  Iperf(const RoutedPod& from, const RoutedPod& to, const std::string& folder)
      : server_(in(to, {"iperf3", "-s", "-1", "-p", std::to_string(Bursts::kTcp)}, folder + "/iperf-server")),
        client_(connect(from, to, folder + "/iperf-client")) {}

  struct Result {
    int code = 0;
    std::vector<double> kbits;  // of each second
    std::string text;
    [[nodiscard]] double least() const { return kbits.empty() ? 0 : *std::min_element(kbits.begin(), kbits.end()); }
  };
  // Lets it finish the second that it is in.
  Result end() {
    Result out;
    out.code = client_.end(SIGINT);
    out.text = read_text(client_.log());
    std::istringstream lines(out.text);
    for (std::string line; std::getline(lines, line);) {
      const auto unit = line.find(" Kbits/sec");
      if (unit == std::string::npos || line.find("sender") != std::string::npos ||
          line.find("receiver") != std::string::npos)
        continue;
      const auto begin = line.find_last_of(' ', unit - 1);
      out.kbits.push_back(std::stod(line.substr(begin + 1, unit - begin - 1)));
    }
    if (out.kbits.size() > 1) out.kbits.pop_back();  // a part of a second
    return out;
  }
  [[nodiscard]] bool running() { return !client_.wait_for(std::chrono::milliseconds(0)).has_value(); }

 private:
  static Process in(const RoutedPod& pod, const std::vector<std::string>& words, const std::string& log) {
    std::optional<Process> out;
    pod.run([&] { out.emplace(words, log); });
    return std::move(*out);
  }
  // The server may not listen yet.
  static Process connect(const RoutedPod& from, const RoutedPod& to, const std::string& log) {
    for (int attempt = 0;; ++attempt) {
      ::unlink(log.c_str());
      Process client = in(from,
                          {"iperf3", "-c", to.address(), "-p", std::to_string(Bursts::kTcp), "-t", "7200", "-i", "1",
                           "-b", "40M", "-f", "k", "--forceflush", "--connect-timeout", "3000"},
                          log);
      if (!client.wait_for(std::chrono::milliseconds(1500))) return client;
      if (attempt == 5) throw std::runtime_error("iperf3: " + read_text(log));
    }
  }

  Process server_, client_;
};

}  // namespace omnitide::test
