#include "tests/harness/traffic_responder.hpp"

#include <sys/epoll.h>
#include <sys/eventfd.h>

#include <array>
#include <chrono>

#include "tests/harness/traffic_sockets.hpp"

namespace omnitide::test {

Responder::Responder()
    : epoll_(must(::epoll_create1(EPOLL_CLOEXEC), "make an epoll")),
      wake_(must(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK), "make an eventfd")) {
  add(UniqueFd(must(::dup(wake_.get()), "copy a descriptor")), Kind::wake, {});
  thread_ = std::thread([this] { run(); });
}

Responder::~Responder() {
  ending_ = true;
  (void)::eventfd_write(wake_.get(), 1);
  thread_.join();
}

void Responder::add(UniqueFd fd, Kind kind, const std::string& name) {
  const std::scoped_lock lock(mutex_);
  epoll_event event{};
  event.events = EPOLLIN;
  event.data.fd = fd.get();
  must(::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd.get(), &event), "watch a socket");
  const int number = fd.get();
  servers_[number] = {.fd = std::move(fd), .kind = kind, .name = name};
}

void Responder::serve(const std::string& name, const std::vector<std::uint16_t>& ports) {
  for (const std::uint16_t port : ports) {
    add(tcp_listener(port), Kind::listener, name);
    add(udp_server(port), Kind::udp, name);
  }
  add(sctp_socket(AF_INET), Kind::sctp4, name);
  add(sctp_socket(AF_INET6), Kind::sctp6, name);
}

void Responder::stop(const std::string& name) {
  const std::scoped_lock lock(mutex_);
  std::erase_if(servers_, [&name](const auto& entry) { return entry.second.name == name; });
}

// Two rounds: the one under way may have looked before the last packet came.
void Responder::catch_up() {
  for (int i = 0; i < 2; ++i) {
    const std::uint64_t before = rounds_;
    (void)::eventfd_write(wake_.get(), 1);
    while (rounds_ == before)
      std::this_thread::sleep_for(std::chrono::microseconds(200));
  }
}

void Responder::run() {
  std::array<epoll_event, 256> events{};
  while (!ending_) {
    const int ready = ::epoll_wait(epoll_.get(), events.data(), static_cast<int>(events.size()), -1);
    for (int i = 0; i < ready; ++i) {
      std::unique_lock lock(mutex_);
      const auto found = servers_.find(events[static_cast<std::size_t>(i)].data.fd);
      if (found == servers_.end()) continue;
      if (found->second.kind == Kind::listener) {
        const Server server{UniqueFd(::dup(found->first)), found->second.kind, found->second.name};
        lock.unlock();
        accept_all(server);
      } else {
        answer(found->second);
      }
    }
    if (ready < static_cast<int>(events.size())) ++rounds_;
  }
}

void Responder::accept_all(const Server& server) {
  while (true) {
    SocketAddress from;
    UniqueFd fd(::accept4(server.fd.get(), from.data(), &from.size, SOCK_NONBLOCK | SOCK_CLOEXEC));
    if (!fd) return;
    const std::string greeting = server.name + " " + format(from.address()) + "\n";
    (void)::send(fd.get(), greeting.data(), greeting.size(), MSG_NOSIGNAL);
    add(std::move(fd), Kind::connection, server.name);
  }
}

void Responder::answer(const Server& server) {
  const int fd = server.fd.get();
  if (server.kind == Kind::wake) {
    eventfd_t count = 0;
    (void)::eventfd_read(wake_.get(), &count);
    return;
  }
  if (server.kind == Kind::connection) {
    std::array<char, 65536> bytes{};
    const ssize_t got = ::recv(fd, bytes.data(), bytes.size(), 0);
    if (got > 0) (void)::send(fd, bytes.data(), static_cast<std::size_t>(got), MSG_NOSIGNAL);
    if (got == 0 || (got < 0 && errno != EAGAIN)) servers_.erase(fd);
    return;
  }
  while (const std::optional<Datagram> asked = receive(fd)) {
    const std::string greeting = server.name + " " + format(asked->from.address()) + "\n";
    if (server.kind == Kind::udp) {
      test::answer(fd, *asked, greeting + asked->bytes);
      continue;
    }
    const auto packet = decode_sctp(without_header(asked->bytes, server.kind == Kind::sctp4));
    if (!packet || packet->chunk != Chunk::init) continue;
    const SctpPacket reply{.source = packet->destination,
                           .destination = packet->source,
                           .tag = packet->init_tag,
                           .init_tag = packet->init_tag,
                           .chunk = Chunk::init_ack,
                           .text = greeting};
    test::answer(fd, *asked, encode_sctp(reply));
  }
}

}  // namespace omnitide::test
