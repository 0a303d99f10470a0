// When the kernel judges by a change, seen from outside: looks into the pinned maps of an agent until the identity of
// an address is another one than it was, and listens to what comes from the API server meanwhile.
//
//   kubernetes_lag PINS DEVICE PORT     PINS: policy.pin_dir; PORT: the agent's end of its connection to the API server
//
// On the standard input "0 ADDRESS 0": what this address is now, is what it was before; "NUMBER ADDRESS SENT": its
// identity is about to change. The answer is "NUMBER ENFORCED ARRIVED": ARRIVED is when the first packet came to that
// port, since SENT, that can be an event. Nanoseconds of CLOCK_REALTIME; 0: not seen.
#include <arpa/inet.h>
#include <linux/filter.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <netinet/ip.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstring>
#include <deque>
#include <map>
#include <string_view>
#include <vector>

#include "agent/base/text.hpp"
#include "tests/bench/pinned_policy.hpp"
#include "tests/bench/rows.hpp"

namespace {

using namespace omnitide;

constexpr std::int64_t kForget = 10'000'000'000;  // nobody waits longer
constexpr long kLookEvery = 400'000;              // nanoseconds; finer would take CPU from those who are measured
constexpr std::uint16_t kServerPort = 6443;
// An event of the kinds that are followed is longer; acknowledgements, PINGs and answers to a renewal are not.
constexpr std::size_t kLeastEvent = 600;

std::int64_t nanoseconds(const timespec& time) { return time.tv_sec * 1'000'000'000LL + time.tv_nsec; }

std::int64_t now() {
  timespec time{};
  ::clock_gettime(CLOCK_REALTIME, &time);
  return nanoseconds(time);
}

// Packets from the API server to one port, by the kernel's times.
class Arrivals {
 public:
  Arrivals(const std::string& device, std::uint16_t port)
      : socket_(::socket(AF_PACKET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, htons(ETH_P_IP))) {
    // From the IP header on, which has no options here: source port, destination port.
    std::array<sock_filter, 6> code{{{BPF_LD | BPF_H | BPF_ABS, 0, 0, 20},
                                     {BPF_JMP | BPF_JEQ | BPF_K, 0, 3, kServerPort},
                                     {BPF_LD | BPF_H | BPF_ABS, 0, 0, 22},
                                     {BPF_JMP | BPF_JEQ | BPF_K, 0, 1, port},
                                     {BPF_RET | BPF_K, 0, 0, 80},
                                     {BPF_RET | BPF_K, 0, 0, 0}}};
    const sock_fprog program{code.size(), code.data()};
    sockaddr_ll address{};
    address.sll_family = AF_PACKET;
    address.sll_protocol = htons(ETH_P_IP);
    address.sll_ifindex = static_cast<int>(::if_nametoindex(device.c_str()));
    const int on = 1;
    if (!socket_ || address.sll_ifindex == 0 ||
        ::setsockopt(socket_.get(), SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof program) != 0 ||
        ::setsockopt(socket_.get(), SOL_SOCKET, SO_TIMESTAMPNS, &on, sizeof on) != 0 ||
        ::bind(socket_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0)
      throw std::runtime_error("cannot listen on " + device);
  }
  [[nodiscard]] int fd() const { return socket_.get(); }

  void read() {
    while (const std::optional<std::int64_t> time = next())
      if (*time > 0) times_.push_back(*time);
    while (!times_.empty() && times_.front() < now() - kForget)
      times_.pop_front();
  }
  [[nodiscard]] std::int64_t first_since(std::int64_t time) const {
    const auto found = std::lower_bound(times_.begin(), times_.end(), time);
    return found == times_.end() ? 0 : *found;
  }

 private:
  // 0: of a packet that is no event.
  std::optional<std::int64_t> next() {
    std::array<char, 80> packet{};
    std::array<char, 64> extra{};
    iovec part{packet.data(), packet.size()};
    msghdr message{};
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    message.msg_control = extra.data();
    message.msg_controllen = extra.size();
    const ssize_t size = ::recvmsg(socket_.get(), &message, 0);
    if (size < 0) return std::nullopt;
    iphdr ip{};
    tcphdr tcp{};
    if (static_cast<std::size_t>(size) < sizeof ip + sizeof tcp) return 0;
    std::memcpy(&ip, packet.data(), sizeof ip);
    std::memcpy(&tcp, packet.data() + sizeof ip, sizeof tcp);
    if (ip.protocol != IPPROTO_TCP || ntohs(ip.tot_len) < sizeof ip + tcp.doff * 4U + kLeastEvent) return 0;
    for (const cmsghdr* each = CMSG_FIRSTHDR(&message); each != nullptr;
         each = CMSG_NXTHDR(&message, const_cast<cmsghdr*>(each))) {
      if (each->cmsg_level != SOL_SOCKET || each->cmsg_type != SCM_TIMESTAMPNS) continue;
      timespec time{};
      std::memcpy(&time, CMSG_DATA(each), sizeof time);
      return nanoseconds(time);
    }
    return 0;
  }

  UniqueFd socket_;
  std::deque<std::int64_t> times_;
};

class Lag {
 public:
  Lag(const std::string& pins, const std::string& device, std::uint16_t port)
      : policy_(pins), arrivals_(device, port) {}

  // Until the standard input ends.
  void run() {
    std::array<pollfd, 2> polls{{{STDIN_FILENO, POLLIN, 0}, {arrivals_.fd(), POLLIN, 0}}};
    while (true) {
      const timespec pause{0, kLookEvery};
      ::ppoll(polls.data(), polls.size(), outstanding_.empty() ? nullptr : &pause, nullptr);
      if (polls[1].revents != 0) arrivals_.read();
      if (polls[0].revents != 0 && !read_lines()) return;
      look();
    }
  }

 private:
  struct Expected {
    std::string number;
    Address address;
    std::int64_t sent = 0;
  };

  bool read_lines() {
    std::array<char, 4096> buffer{};
    const ssize_t size = ::read(STDIN_FILENO, buffer.data(), buffer.size());
    if (size <= 0) return false;
    text_.append(buffer.data(), static_cast<std::size_t>(size));
    std::size_t begin = 0;
    for (std::size_t end = text_.find('\n'); end != std::string::npos; end = text_.find('\n', begin)) {
      take(std::string_view(text_).substr(begin, end - begin));
      begin = end + 1;
    }
    text_.erase(0, begin);
    return true;
  }

  void take(std::string_view line) {
    const std::vector<std::string_view> words = split(line, ' ');
    const auto address = words.size() == 3 ? parse_address(words[1]) : std::nullopt;
    const auto sent = words.size() == 3 ? parse_number<std::int64_t>(words[2]) : std::nullopt;
    if (!address || !sent) throw std::invalid_argument("not understood: " + std::string(line));
    if (words[0] == "0")
      known_[*address] = policy_.identity(*address);
    else
      outstanding_.push_back({std::string(words[0]), *address, *sent});
  }

  void look() {
    std::erase_if(outstanding_, [this](const Expected& each) {
      const std::uint32_t identity = policy_.identity(each.address);
      if (identity == known_[each.address] || !policy_.at_rest()) return now() - each.sent > kForget;
      const std::int64_t enforced = now();
      arrivals_.read();
      known_[each.address] = identity;
      fmt::print("{} {} {}\n", each.number, enforced, arrivals_.first_since(each.sent));
      std::fflush(stdout);
      return true;
    });
  }

  bench::PinnedPolicy policy_;
  Arrivals arrivals_;
  std::map<Address, std::uint32_t> known_;
  std::vector<Expected> outstanding_;
  std::string text_;
};

}  // namespace

int main(int count, char** arguments) {
  try {
    const auto port = count == 4 ? parse_number<std::uint16_t>(arguments[3]) : std::nullopt;
    if (!port) throw std::invalid_argument("see the head of kubernetes_lag.cpp");
    Lag(arguments[1], arguments[2], *port).run();
    return 0;
  } catch (const std::exception& problem) {
    fmt::print(stderr, "kubernetes_lag: {}\n", problem.what());
    return 1;
  }
}
