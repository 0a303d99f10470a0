#include "tests/harness/traffic_prober.hpp"

#include <linux/tcp.h>
#include <poll.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <deque>
#include <set>
#include <stdexcept>
#include <string_view>

#include "agent/base/text.hpp"

namespace omnitide::test {

namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

constexpr milliseconds kPatience{900};  // below TCP's first retransmission of a SYN

bool readable(int fd, milliseconds wait) {
  pollfd poll{fd, POLLIN, 0};
  return ::poll(&poll, 1, static_cast<int>(wait.count())) == 1;
}

// A socket made in the namespace that this thread has entered for good.
UniqueFd connected(const Probe& to) {
  const bool tcp = to.protocol == policy::Protocol::tcp;
  UniqueFd fd = make_socket(to.destination.is_v4() ? AF_INET : AF_INET6, tcp ? SOCK_STREAM : SOCK_DGRAM, 0);
  if (to.source != Address{}) {
    const SocketAddress source(to.source, 0);
    must(::bind(fd.get(), source.data(), source.size), "bind");
  }
  const SocketAddress destination(to.destination, to.port);
  if (::connect(fd.get(), destination.data(), destination.size) != 0 && errno != EINPROGRESS) return UniqueFd();
  return fd;
}

bool say(int fd, std::string_view text) {
  return ::send(fd, text.data(), text.size(), MSG_NOSIGNAL) == static_cast<ssize_t>(text.size());
}

std::string hear(int fd) {
  std::array<char, 4096> bytes{};
  const ssize_t got = ::recv(fd, bytes.data(), bytes.size(), 0);
  return got > 0 ? std::string(bytes.data(), static_cast<std::size_t>(got)) : std::string();
}

// Whether the other end says who it is. TCP: it does so by itself.
bool answers(const Probe& to, milliseconds patience) {
  const UniqueFd fd = connected(to);
  if (!fd) return false;
  if (to.protocol == policy::Protocol::udp && !say(fd.get(), "?")) return false;
  return readable(fd.get(), patience) && !hear(fd.get()).empty();
}

// Segments that were lost on the way: sent again, and not because their acknowledgement was late (RFC 2883).
std::uint64_t lost_segments(int fd) {
  tcp_info info{};
  socklen_t size = sizeof info;
  must(::getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &size), "ask about a connection");
  return info.tcpi_total_retrans > info.tcpi_dsack_dups ? info.tcpi_total_retrans - info.tcpi_dsack_dups : 0;
}

// Counts the first call only.
class Once {
 public:
  explicit Once(std::atomic<std::size_t>& count) : count_(count) {}
  void operator()() {
    if (!done_) ++count_;
    done_ = true;
  }

 private:
  std::atomic<std::size_t>& count_;
  bool done_ = false;
};

// The datagrams of one flow that have not come back yet.
class Window {
 public:
  [[nodiscard]] bool full() const { return under_way_.size() >= 16; }
  [[nodiscard]] bool empty() const { return under_way_.empty(); }
  std::string next() {
    under_way_.insert(++last_);
    return std::to_string(last_);
  }
  // The echo is "NAME CLIENT\nNUMBER".
  bool take(std::string_view text) {
    const auto number = parse_number<std::uint64_t>(text.substr(text.find('\n') + 1));
    return number && under_way_.erase(*number) == 1;
  }
  std::uint64_t give_up() {
    const std::uint64_t out = under_way_.size();
    under_way_.clear();
    return out;
  }

 private:
  std::uint64_t last_ = 0;
  std::set<std::uint64_t> under_way_;
};

}  // namespace

template <class Body>
void Prober::start(Body body) {
  threads_.emplace_back(std::move(body));
}

void Prober::udp_stream(const Probe& to) {
  start([this, to] {
    to.from->run([this, &to] {
      const UniqueFd fd = connected(to);
      Window window;
      Once begin(begun_);
      while (!ending_ || !window.empty()) {
        while (!window.full() && !ending_)
          if (!say(fd.get(), window.next())) break;
        if (!readable(fd.get(), kPatience)) {
          lost_ += window.give_up();
          continue;
        }
        for (std::string text = hear(fd.get()); !text.empty(); text = hear(fd.get()))
          answered_ += window.take(text) ? 1 : 0;
        begin();
        std::this_thread::sleep_for(std::chrono::microseconds(500));
      }
    });
  });
}

void Prober::tcp_stream(const Probe& to) {
  start([this, to] {
    to.from->run([this, &to] {
      const UniqueFd fd = connected(to);
      if (!readable(fd.get(), kPatience)) {
        ++lost_;
        return;
      }
      (void)hear(fd.get());  // the greeting
      ++begun_;
      while (!ending_) {
        if (!say(fd.get(), "?") || !readable(fd.get(), kPatience) || hear(fd.get()).empty()) {
          ++lost_;
          return;
        }
        ++answered_;
        std::this_thread::sleep_for(std::chrono::microseconds(500));
      }
      lost_ += lost_segments(fd.get());
    });
  });
}

void Prober::new_flows(const Probe& to) {
  start([this, to] {
    to.from->run([this, &to] {
      Once begin(begun_);
      while (!ending_) {
        ++(answers(to, kPatience) ? answered_ : lost_);
        begin();
        std::this_thread::sleep_for(std::chrono::milliseconds(1));
      }
    });
  });
}

// Attempts stay open for a while, so that a late answer is seen, too.
void Prober::never(const Probe& to) {
  start([this, to] {
    to.from->run([this, &to] {
      constexpr std::size_t kOpen = 64;
      std::deque<UniqueFd> open;
      Once begin(begun_);
      while (!ending_) {
        UniqueFd fd = connected(to);
        if (fd && to.protocol == policy::Protocol::udp) (void)say(fd.get(), "?");
        ++sent_;
        begin();
        open.push_back(std::move(fd));
        if (open.size() > kOpen) {
          if (open.front() && readable(open.front().get(), milliseconds(0))) ++leaked_;
          open.pop_front();
        }
        std::this_thread::sleep_for(std::chrono::milliseconds(1));
      }
      for (const UniqueFd& fd : open)
        if (fd && readable(fd.get(), milliseconds(2))) ++leaked_;
    });
  });
}

void Prober::wait_until_begun() {
  const auto end = steady_clock::now() + std::chrono::seconds(5);
  while (begun_ < threads_.size()) {
    if (steady_clock::now() > end) throw std::runtime_error("some traffic does not begin");
    std::this_thread::sleep_for(milliseconds(1));
  }
}

ProberCounts Prober::stop() {
  ending_ = true;
  for (std::thread& thread : threads_)
    thread.join();
  threads_.clear();
  return {.answered = answered_, .lost = lost_, .sent = sent_, .leaked = leaked_};
}

}  // namespace omnitide::test
