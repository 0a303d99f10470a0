#include "tests/harness/traffic_probe.hpp"

#include <netinet/icmp6.h>
#include <netinet/ip_icmp.h>
#include <poll.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <map>
#include <memory>

#include "agent/base/text.hpp"

namespace omnitide::test {

namespace {

using policy::Protocol;
using std::chrono::milliseconds;
using std::chrono::steady_clock;

constexpr milliseconds kPatience{900};  // below the second after which TCP tries again: a lost packet is no answer
constexpr milliseconds kTransit{100};   // what a packet may take
constexpr std::uint32_t kInitTag = 77;

// One probe under way.
class Attempt {
 public:
  explicit Attempt(const Probe& probe) : probe_(probe) {}

  // On a thread in the namespace.
  void start() {
    const bool four = probe_.destination.is_v4();
    const int family = four ? AF_INET : AF_INET6;
    switch (probe_.protocol) {
      case Protocol::tcp: fd_ = make_socket(family, SOCK_STREAM, 0); break;
      case Protocol::udp: fd_ = make_socket(family, SOCK_DGRAM, 0); break;
      case Protocol::sctp: fd_ = sctp_socket(family); break;
      default: fd_ = make_socket(family, SOCK_DGRAM, four ? int{IPPROTO_ICMP} : int{IPPROTO_ICMPV6});
    }
    if (probe_.source != Address{}) {
      const SocketAddress source(probe_.source, 0);
      must(::bind(fd_.get(), source.data(), source.size), "bind to " + format(probe_.source));
    }
    const bool raw = probe_.protocol == Protocol::sctp;
    const SocketAddress to(probe_.destination, raw ? std::uint16_t{0} : probe_.port);
    if (::connect(fd_.get(), to.data(), to.size) != 0 && errno != EINPROGRESS) return fail();
    if (probe_.protocol == Protocol::tcp) return;
    const std::string bytes = request();
    if (::send(fd_.get(), bytes.data(), bytes.size(), 0) < 0) fail();
  }

  // When poll() says that there is something.
  void proceed() {
    std::array<char, 65536> bytes{};
    const ssize_t got = ::recv(fd_.get(), bytes.data(), bytes.size(), 0);
    if (got < 0) {
      if (errno != EAGAIN) fail();
      return;
    }
    read(std::string_view(bytes.data(), static_cast<std::size_t>(got)));
  }

  [[nodiscard]] int fd() const { return done_ ? -1 : fd_.get(); }
  [[nodiscard]] bool done() const { return done_; }
  [[nodiscard]] bool hopeful() const { return probe_.hopeful; }
  [[nodiscard]] Answer finish() {
    if (!done_) answer_.how = "no answer";
    return answer_;
  }

 private:
  void fail() {
    answer_.how = std::strerror(errno);
    done_ = true;
  }

  // Raw sockets see all of their protocol: this one's port is told by its number.
  [[nodiscard]] std::uint16_t own_port() const { return static_cast<std::uint16_t>(20000 + fd_.get()); }

  [[nodiscard]] std::string request() const {
    if (probe_.protocol == Protocol::udp) return std::string(probe_.bytes, '?');
    if (probe_.protocol == Protocol::sctp) {
      return encode_sctp({.source = own_port(),
                          .destination = probe_.port,
                          .tag = 0,
                          .init_tag = kInitTag,
                          .chunk = Chunk::init,
                          .text = {}});
    }
    std::string echo(sizeof(icmphdr) + probe_.bytes, '\0');  // the kernel fills in identifier and checksum
    echo[0] = static_cast<char>(probe_.destination.is_v4() ? int{ICMP_ECHO} : int{ICMP6_ECHO_REQUEST});
    return echo;
  }

  void read(std::string_view bytes) {
    if (probe_.protocol == Protocol::sctp) {
      const auto packet = decode_sctp(without_header(bytes, probe_.destination.is_v4()));
      if (!packet || packet->chunk != Chunk::init_ack || packet->destination != own_port()) return;
      if (packet->source != probe_.port) return;
      read_greeting(packet->text, answer_);
    } else if (probe_.protocol == Protocol::tcp || probe_.protocol == Protocol::udp) {
      read_greeting(bytes, answer_);
      if (probe_.protocol == Protocol::udp && !bytes.ends_with(std::string(probe_.bytes, '?'))) answer_.how = "cut off";
    }
    answer_.reached = true;
    if (answer_.how.empty()) answer_.how = "answered";
    done_ = true;
  }

  const Probe& probe_;
  UniqueFd fd_;
  Answer answer_;
  bool done_ = false;
};

void start_all(std::vector<Attempt>& attempts, const std::vector<Probe>& probes) {
  std::map<const PodNamespace*, std::vector<std::size_t>> by_namespace;
  for (std::size_t i = 0; i < probes.size(); ++i)
    by_namespace[probes[i].from].push_back(i);
  for (const auto& [space, indices] : by_namespace) {
    const auto start = [&attempts, &indices = indices] {
      for (const std::size_t i : indices)
        attempts[i].start();
    };
    if (space == nullptr) {
      start();
    } else {
      space->run(start);
    }
  }
}

void poll_once(std::vector<Attempt>& attempts, milliseconds wait) {
  std::vector<pollfd> polls;
  polls.reserve(attempts.size());
  for (const Attempt& attempt : attempts)
    polls.push_back({attempt.fd(), POLLIN, 0});
  if (::poll(polls.data(), polls.size(), static_cast<int>(wait.count())) <= 0) return;
  for (std::size_t i = 0; i < polls.size(); ++i) {
    if (polls[i].revents != 0) attempts[i].proceed();
  }
}

}  // namespace

void read_greeting(std::string_view text, Answer& answer) {
  const std::vector<std::string_view> words = split_words(text.substr(0, text.find('\n')));
  if (words.size() < 2) return;
  answer.server = words[0];
  answer.client = words[1];
}

std::vector<Answer> ask(const std::vector<Probe>& probes, Responder& responder) {
  std::vector<Attempt> attempts;
  attempts.reserve(probes.size());
  for (const Probe& probe : probes)
    attempts.emplace_back(probe);
  const auto begin = steady_clock::now();
  start_all(attempts, probes);
  const auto waits = [&attempts](bool hopeful) {
    for (const Attempt& attempt : attempts) {
      if (attempt.hopeful() == hopeful && !attempt.done()) return true;
    }
    return false;
  };
  while (waits(true) && steady_clock::now() < begin + kPatience)
    poll_once(attempts, milliseconds(20));
  const auto transit = steady_clock::now() + kTransit;
  while (waits(false) && steady_clock::now() < transit)
    poll_once(attempts, milliseconds(20));
  if (waits(false)) {
    responder.catch_up();
    poll_once(attempts, milliseconds(0));
  }
  std::vector<Answer> out;
  for (Attempt& attempt : attempts)
    out.push_back(attempt.finish());
  return out;
}

}  // namespace omnitide::test
