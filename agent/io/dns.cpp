#include "agent/io/dns.hpp"

#include <netdb.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <memory>

#include "agent/base/clock.hpp"
#include "agent/base/error.hpp"
#include "agent/base/fd.hpp"
#include "agent/base/random.hpp"

namespace omnitide::io {

using namespace std::chrono_literals;
using std::chrono::milliseconds;
using std::chrono::steady_clock;

namespace {

constexpr std::size_t kHeader = 12, kLongestDatagram = 4096;
constexpr unsigned kTries = 3;

constexpr unsigned byte_at(std::string_view text, std::size_t at) { return static_cast<unsigned char>(text[at]); }

// One server while it is asked.
struct Asked {
  NameServerSight sight;
  UniqueFd socket;
  std::string question;
  bool done = false;

  void end(std::string problem) {
    sight.problem = std::move(problem);
    done = true;
  }
};

void connect_to(Asked& asked, std::uint16_t port) {
  addrinfo wanted{}, *found = nullptr;
  wanted.ai_socktype = SOCK_DGRAM;
  wanted.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV;
  if (::getaddrinfo(asked.sight.server.c_str(), std::to_string(port).c_str(), &wanted, &found) != 0)
    return asked.end("it is no address");
  const std::unique_ptr<addrinfo, decltype(&::freeaddrinfo)> owner(found, &::freeaddrinfo);
  asked.socket.reset(::socket(found->ai_family, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  // Connected: the kernel takes datagrams of this server alone, and tells that nobody listens there.
  if (!asked.socket || ::connect(asked.socket.get(), found->ai_addr, found->ai_addrlen) != 0)
    return asked.end(fail_errno(errno, "cannot be asked").message);
  asked.question = dns_root_question(static_cast<std::uint16_t>(random_u64()));
}

void send_to(Asked& asked) {
  if (::send(asked.socket.get(), asked.question.data(), asked.question.size(), MSG_NOSIGNAL) < 0 && errno != EAGAIN)
    asked.end(fail_errno(errno, "cannot be asked").message);
}

void take_answers(Asked& asked) {
  std::array<char, kLongestDatagram> buffer{};
  while (!asked.done) {
    const ssize_t got = ::recv(asked.socket.get(), buffer.data(), buffer.size(), 0);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0 && errno == EAGAIN) return;
    if (got < 0) return asked.end(fail_errno(errno, "does not listen").message);
    const std::string_view datagram(buffer.data(), static_cast<std::size_t>(got));
    asked.sight.code = dns_response_code(datagram, asked.question);
    asked.done = asked.sight.code.has_value();
  }
}

void wait_for_any(std::vector<Asked>& all, milliseconds time) {
  std::vector<pollfd> ready;
  for (const Asked& each : all)
    if (!each.done) ready.push_back({each.socket.get(), POLLIN, 0});
  (void)::poll(ready.data(), ready.size(), static_cast<int>(time.count()));
  for (Asked& each : all)
    if (!each.done) take_answers(each);
}

}  // namespace

std::string dns_root_question(std::uint16_t id) {
  // ID, flags with RD, one question; the root as an empty name, type NS, class IN.
  std::string out;
  for (const unsigned word : {unsigned{id}, 0x0100U, 1U, 0U, 0U, 0U}) {
    out += static_cast<char>(word >> 8U);
    out += static_cast<char>(word & 0xffU);
  }
  return out + std::string("\0\0\2\0\1", 5);
}

std::optional<unsigned> dns_response_code(std::string_view datagram, std::string_view question) {
  if (datagram.size() < kHeader || datagram.substr(0, 2) != question.substr(0, 2)) return std::nullopt;
  const bool response = (byte_at(datagram, 2) & 0x80U) != 0, query = (byte_at(datagram, 2) & 0x78U) == 0;
  if (!response || !query) return std::nullopt;
  const unsigned code = byte_at(datagram, 3) & 0x0fU, questions = byte_at(datagram, 4) << 8U | byte_at(datagram, 5);
  // Who refuses may leave the question out.
  if (questions == 0) return code == 0 ? std::nullopt : std::optional(code);
  const std::string_view asked = question.substr(kHeader);
  return datagram.substr(kHeader, asked.size()) == asked ? std::optional(code) : std::nullopt;
}

std::string_view dns_response_name(unsigned code) {
  constexpr std::array<std::string_view, 6> kNames{"NOERROR", "FORMERR", "SERVFAIL", "NXDOMAIN", "NOTIMP", "REFUSED"};
  return code < kNames.size() ? kNames.at(code) : "an error";
}

std::vector<NameServerSight> ask_name_servers(const std::vector<std::string>& servers, std::uint16_t port,
                                              milliseconds patience, const std::atomic<bool>& stop) {
  constexpr milliseconds kSlice = 200ms;
  std::vector<Asked> all(servers.size());
  for (std::size_t i = 0; i < all.size(); ++i) {
    all[i].sight.server = servers[i];
    connect_to(all[i], port);
  }
  const auto began = steady_clock::now();
  const auto open = [&all] { return std::ranges::any_of(all, [](const Asked& each) { return !each.done; }); };
  unsigned tries = 0;
  while (open() && !stop) {
    const auto passed = std::chrono::floor<milliseconds>(steady_clock::now() - began);
    if (passed >= patience) break;
    if (tries < kTries && passed >= patience * tries / kTries) {
      ++tries;
      for (Asked& each : all)
        if (!each.done) send_to(each);
    }
    wait_for_any(all, std::min(kSlice, patience - passed));
  }
  std::vector<NameServerSight> out;
  for (Asked& each : all) {
    if (!each.done) each.end("no answer within " + format_duration(patience));
    out.push_back(std::move(each.sight));
  }
  return out;
}

}  // namespace omnitide::io
