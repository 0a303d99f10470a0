// Load for one path between two namespaces, one measurement a start:
//   traffic_load serve ADDRESS PORT                 TCP and UDP, until the client is done or 30 s are over
//   traffic_load connect ADDRESS PORT SECONDS       prints connections a second: connect, a byte there and back, close
//   traffic_load packets ADDRESS PORT SECONDS       prints UDP packets a second that arrived, 64 bytes of payload each
// The server closes first, so that the client's port is free again.
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

namespace {

using std::chrono::steady_clock;

constexpr unsigned kBatch = 64, kPayload = 64;
constexpr int kLongest = 30;  // seconds that a server waits for its client
constexpr char kEcho = 'e', kCount = 'c', kEnd = 'q';

class Socket {
 public:
  Socket(int type, const sockaddr_in& address) : address_(address), fd_(::socket(AF_INET, type | SOCK_CLOEXEC, 0)) {
    need(fd_ >= 0, "socket");
  }
  explicit Socket(int fd) : fd_(fd) {}
  Socket(const Socket&) = delete;
  Socket& operator=(const Socket&) = delete;
  ~Socket() { ::close(fd_); }

  static void need(bool good, const char* what) {
    if (!good) throw std::runtime_error(std::string(what) + ": " + std::strerror(errno));
  }
  void set(int level, int option, int value) const {
    need(::setsockopt(fd_, level, option, &value, sizeof value) == 0, "setsockopt");
  }
  void patience(int seconds) const {
    const timeval time{.tv_sec = seconds, .tv_usec = 0};
    need(::setsockopt(fd_, SOL_SOCKET, SO_RCVTIMEO, &time, sizeof time) == 0, "SO_RCVTIMEO");
    need(::setsockopt(fd_, SOL_SOCKET, SO_SNDTIMEO, &time, sizeof time) == 0, "SO_SNDTIMEO");
  }
  void bind() const { need(::bind(fd_, generic(), sizeof address_) == 0, "bind"); }
  void connect() const { need(::connect(fd_, generic(), sizeof address_) == 0, "connect"); }
  [[nodiscard]] int fd() const { return fd_; }

 private:
  [[nodiscard]] const sockaddr* generic() const { return reinterpret_cast<const sockaddr*>(&address_); }
  sockaddr_in address_{};
  int fd_;
};

struct Batch {
  Batch() {
    for (unsigned i = 0; i < kBatch; ++i) {
      parts[i] = {.iov_base = bytes[i].data(), .iov_len = kPayload};
      messages[i].msg_hdr.msg_iov = &parts[i];
      messages[i].msg_hdr.msg_iovlen = 1;
    }
  }
  std::array<std::array<char, kPayload>, kBatch> bytes{};
  std::array<iovec, kBatch> parts{};
  std::array<mmsghdr, kBatch> messages{};
};

int serve(const sockaddr_in& address) {
  const Socket listener(SOCK_STREAM, address), packets(SOCK_DGRAM, address);
  for (const Socket* socket : {&listener, &packets}) {
    socket->set(SOL_SOCKET, SO_REUSEADDR, 1);
    socket->bind();
  }
  packets.set(SOL_SOCKET, SO_RCVBUFFORCE, 8 << 20);
  const timeval tick{.tv_sec = 0, .tv_usec = 50'000};
  Socket::need(::setsockopt(packets.fd(), SOL_SOCKET, SO_RCVTIMEO, &tick, sizeof tick) == 0, "SO_RCVTIMEO");
  listener.patience(kLongest);
  Socket::need(::listen(listener.fd(), 1024) == 0, "listen");
  std::atomic<std::uint64_t> received{0};
  std::atomic<bool> stop{false};
  std::thread counter([&] {
    Batch batch;
    while (!stop) {
      sockaddr_in from{};
      socklen_t length = sizeof from;
      const bool first = received == 0;
      const auto got = first ? ::recvfrom(packets.fd(), batch.bytes[0].data(), kPayload, 0,
                                          reinterpret_cast<sockaddr*>(&from), &length)
                             : ::recvmmsg(packets.fd(), batch.messages.data(), kBatch, MSG_WAITFORONE, nullptr);
      if (got <= 0) continue;
      if (first) ::sendto(packets.fd(), "", 1, 0, reinterpret_cast<const sockaddr*>(&from), length);
      received += first ? 1 : static_cast<std::uint64_t>(got);
    }
  });
  char asked = 0;
  while (asked != kEnd) {
    const Socket client(::accept(listener.fd(), nullptr, nullptr));
    if (client.fd() < 0) break;
    client.patience(2);
    if (::recv(client.fd(), &asked, 1, 0) != 1) continue;
    const std::uint64_t count = received;
    (void)::send(client.fd(), &count, asked == kCount ? sizeof count : 1, MSG_NOSIGNAL);
  }
  stop = true;
  counter.join();
  return asked == kEnd ? 0 : 1;
}

std::uint64_t ask(const sockaddr_in& address, char what) {
  const Socket socket(SOCK_STREAM, address);
  socket.patience(5);
  socket.connect();
  std::uint64_t answer = 0;
  char more = 0;
  const std::size_t size = what == kCount ? sizeof answer : 1;
  Socket::need(::send(socket.fd(), &what, 1, MSG_NOSIGNAL) == 1, "send");
  Socket::need(::recv(socket.fd(), &answer, size, MSG_WAITALL) == static_cast<ssize_t>(size), "recv");
  Socket::need(::recv(socket.fd(), &more, 1, 0) == 0, "the end of the connection");
  return answer;
}

double per_second(std::uint64_t count, steady_clock::time_point begin) {
  return static_cast<double>(count) / std::chrono::duration<double>(steady_clock::now() - begin).count();
}

double connections(const sockaddr_in& address, std::chrono::duration<double> time) {
  const auto begin = steady_clock::now();
  std::uint64_t count = 0;
  for (; steady_clock::now() - begin < time; ++count)
    ask(address, kEcho);
  return per_second(count, begin);
}

// What was sent and is still on its way when the time is over is not counted.
double packets(const sockaddr_in& address, std::chrono::duration<double> time) {
  const Socket socket(SOCK_DGRAM, address);
  socket.connect();
  socket.patience(5);
  Batch batch;
  Socket::need(::send(socket.fd(), "", 1, 0) == 1, "send");
  Socket::need(::recv(socket.fd(), batch.bytes[0].data(), 1, 0) == 1, "the answer to the first packet");
  const std::uint64_t before = ask(address, kCount);
  const auto begin = steady_clock::now();
  while (steady_clock::now() - begin < time) {
    if (::sendmmsg(socket.fd(), batch.messages.data(), kBatch, 0) < 0 && errno != ENOBUFS && errno != EAGAIN)
      throw std::runtime_error(std::string("sendmmsg: ") + std::strerror(errno));
  }
  return per_second(ask(address, kCount) - before, begin);
}

int run(const std::vector<std::string>& words) {
  const bool serves = words.size() == 3 && words[0] == "serve";
  if (!serves && !(words.size() == 4 && (words[0] == "connect" || words[0] == "packets")))
    throw std::invalid_argument("see the head of traffic_load.cpp");
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<std::uint16_t>(std::stoul(words[2])));
  if (::inet_pton(AF_INET, words[1].c_str(), &address.sin_addr) != 1) throw std::invalid_argument("no IPv4 address");
  if (serves) return serve(address);
  const std::chrono::duration<double> time(std::min(std::stod(words[3]), static_cast<double>(kLongest) / 2));
  std::printf("%.0f\n", words[0] == "connect" ? connections(address, time) : packets(address, time));
  ask(address, kEnd);
  return 0;
}

}  // namespace

int main(int count, char** arguments) {
  try {
    return run({arguments + 1, arguments + count});
  } catch (const std::exception& problem) {
    std::fprintf(stderr, "traffic_load: %s\n", problem.what());
    return 1;
  }
}
