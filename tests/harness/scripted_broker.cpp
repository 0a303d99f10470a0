#include "tests/harness/scripted_broker.hpp"

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <stdexcept>
#include <utility>

#include "tests/harness/tcp.hpp"

namespace omnitide::test {

using namespace std::chrono_literals;

ScriptedBroker::ScriptedBroker(BrokerRules rules, std::uint16_t port)
    : listener_(bound_socket(SOCK_STREAM, "127.0.0.1", port, 64)), rules_(std::move(rules)) {
  if (!listener_) throw std::runtime_error("the scripted broker cannot listen");
  sockaddr_in address{};
  socklen_t size = sizeof address;
  ::getsockname(listener_.get(), reinterpret_cast<sockaddr*>(&address), &size);
  port_ = ntohs(address.sin_port);
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC | O_NONBLOCK) != 0) throw std::runtime_error("no pipe");
  wake_read_.reset(ends[0]);
  wake_write_.reset(ends[1]);
  thread_ = std::thread([this] { run(); });
}

ScriptedBroker::~ScriptedBroker() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  wake();
  thread_.join();
}

void ScriptedBroker::wake() { (void)!::write(wake_write_.get(), "", 1); }

void ScriptedBroker::change(const std::function<void(BrokerRules&)>& how) {
  const std::lock_guard lock(mutex_);
  how(rules_);
  wake();
}

SeenByBroker ScriptedBroker::seen() const {
  const std::lock_guard lock(mutex_);
  return seen_;
}

void ScriptedBroker::forget() {
  const std::lock_guard lock(mutex_);
  seen_ = SeenByBroker{.connects = {}, .publishes = {}, .subscribes = {}, .disconnects = {}, .open = seen_.open};
}

bool ScriptedBroker::wait(const std::function<bool(const SeenByBroker&)>& ready,
                          std::chrono::milliseconds longest) const {
  std::unique_lock lock(mutex_);
  return changed_.wait_for(lock, longest, [this, &ready] { return ready(seen_); });
}

void ScriptedBroker::send(std::string_view bytes) {
  const std::lock_guard lock(mutex_);
  for (Client& client : clients_) {
    if (client.number != 0) client.out += bytes;
  }
  wake();
}

void ScriptedBroker::publish(std::string_view topic, std::string_view payload, std::uint8_t qos, bool retain) {
  const std::lock_guard lock(mutex_);
  for (Client& client : clients_) {
    if (client.number == 0) continue;
    std::string body = wire::text(topic);
    if (qos > 0) body += wire::u16(1);
    if (client.version == 5) body += '\0';
    client.out +=
        wire::packet(0x30U | static_cast<unsigned>(qos) << 1U | (retain ? 1U : 0U), body + std::string(payload));
  }
  wake();
}

void ScriptedBroker::disconnect(std::uint8_t reason) {
  send(wire::packet(0xE0, std::string(1, static_cast<char>(reason))));
}

void ScriptedBroker::cut(bool reset) {
  const std::lock_guard lock(mutex_);
  for (Client& client : clients_)
    end(client, reset);
  wake();
}

void ScriptedBroker::end(Client& client, bool reset) {
  if (client.gone) return;
  if (reset) {
    const linger now{.l_onoff = 1, .l_linger = 0};
    (void)::setsockopt(client.fd.get(), SOL_SOCKET, SO_LINGER, &now, sizeof now);
  }
  client.fd.reset();
  client.gone = true;
}

void ScriptedBroker::run() {
  std::vector<pollfd> polled;
  while (true) {
    polled.clear();
    polled.push_back({.fd = wake_read_.get(), .events = POLLIN, .revents = 0});
    polled.push_back({.fd = listener_.get(), .events = POLLIN, .revents = 0});
    bool dribbling = false;
    {
      const std::lock_guard lock(mutex_);
      if (stopping_) return;
      seen_.open = clients_.size();
      changed_.notify_all();
      dribbling = rules_.dribble > 0;
      for (const Client& client : clients_) {
        const bool writes = !client.out.empty() && !dribbling;
        const int events = (rules_.read ? POLLIN : 0) | (writes ? POLLOUT : 0);
        polled.push_back({.fd = client.fd.get(), .events = static_cast<short>(events), .revents = 0});
      }
    }
    (void)::poll(polled.data(), polled.size(), dribbling ? 1 : 1'000);
    const std::lock_guard lock(mutex_);
    std::array<char, 64> drained{};
    while (::read(wake_read_.get(), drained.data(), drained.size()) > 0) {
    }
    std::size_t at = 2;
    for (Client& client : clients_) {
      const short events = polled[at++].revents;
      if (!client.gone && rules_.read && (events & (POLLIN | POLLHUP | POLLERR)) != 0) receive(client);
      if (!client.gone && !client.out.empty()) flush(client);
    }
    clients_.remove_if([](const Client& client) { return client.gone; });
    if ((polled[1].revents & POLLIN) != 0) accept_client();
  }
}

void ScriptedBroker::accept_client() {
  UniqueFd fd(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
  if (!fd || !rules_.accept) return;
  clients_.emplace_back().fd = std::move(fd);
}

void ScriptedBroker::receive(Client& client) {
  std::array<char, 65'536> buffer{};
  const ssize_t got = ::recv(client.fd.get(), buffer.data(), buffer.size(), 0);
  if (got == 0 || (got < 0 && errno != EAGAIN)) return end(client, false);
  if (got < 0) return;
  client.in.append(buffer.data(), static_cast<std::size_t>(got));
  try {
    while (!client.gone) {
      const auto packet = wire::take_packet(client.in);
      if (!packet) break;
      handle(client, *packet);
    }
  } catch (const std::exception&) {
    end(client, true);  // not MQTT
  }
}

void ScriptedBroker::flush(Client& client) {
  const std::size_t most = rules_.dribble > 0 ? std::min(rules_.dribble, client.out.size()) : client.out.size();
  const ssize_t wrote = ::send(client.fd.get(), client.out.data(), most, MSG_NOSIGNAL);
  if (wrote > 0) client.out.erase(0, static_cast<std::size_t>(wrote));
  if (wrote < 0 && errno != EAGAIN) end(client, false);
}

void ScriptedBroker::handle(Client& client, const wire::Packet& packet) {
  switch (packet.first >> 4U) {
    case 1: return on_connect(client, packet.body);
    case 3: return on_publish(client, packet);
    case 8: return on_subscribe(client, packet.body);
    case 12:
      ++seen_.pings;
      if (rules_.answer_ping) client.out += wire::packet(0xD0, "");
      return;
    case 14: {
      const auto reason = packet.body.empty() ? std::uint8_t{0} : static_cast<std::uint8_t>(packet.body[0]);
      seen_.disconnects.push_back(
          {.connection = client.number, .reason = reason, .after_publishes = seen_.publish_count});
      return end(client, false);
    }
    default: return;  // PUBACK of what we published
  }
}

void ScriptedBroker::on_connect(Client& client, std::string_view body) {
  wire::Reader reader(body);
  SeenConnect seen;
  (void)reader.text();
  seen.version = client.version = reader.u8();
  const std::uint8_t flags = reader.u8();
  seen.clean = (flags & 0x02U) != 0;
  seen.keep_alive = reader.u16();
  if (client.version == 5) seen.properties = wire::properties(reader);
  seen.client_id = reader.text();
  seen.has_will = (flags & 0x04U) != 0;
  seen.will_qos = flags >> 3U & 3U;
  seen.will_retain = (flags & 0x20U) != 0;
  if (seen.has_will) {
    if (client.version == 5) (void)wire::properties(reader);
    seen.will_topic = reader.text();
    seen.will_payload = reader.text();
  }
  if ((flags & 0x80U) != 0) seen.username = reader.text();
  if ((flags & 0x40U) != 0) seen.password = reader.text();
  seen.connection = client.number = ++connections_;
  seen_.connects.push_back(std::move(seen));
  if (!rules_.instead_of_connack.empty()) {
    client.out += rules_.instead_of_connack;
  } else if (rules_.answer_connect) {
    std::string answer{'\0', static_cast<char>(rules_.connack)};
    if (client.version == 5) answer += wire::varint(rules_.connack_properties.size()) + rules_.connack_properties;
    client.out += wire::packet(0x20, answer);
  }
}

void ScriptedBroker::on_publish(Client& client, const wire::Packet& packet) {
  wire::Reader reader(packet.body);
  SeenPublish seen;
  seen.connection = client.number;
  seen.qos = packet.first >> 1U & 3U;
  seen.retain = (packet.first & 1U) != 0;
  seen.duplicate = (packet.first & 8U) != 0;
  seen.at = std::chrono::steady_clock::now();
  seen.topic = reader.text();
  if (seen.qos > 0) seen.id = reader.u16();
  if (client.version == 5) (void)wire::properties(reader);
  seen.payload = std::string(reader.rest());
  ++seen_.publish_count;
  if (rules_.keep_publishes) seen_.publishes.push_back(seen);
  const int reason = rules_.puback ? rules_.puback(seen) : 0;
  if (rules_.reset_after_publishes > 0 && ++client.publishes >= rules_.reset_after_publishes) return end(client, true);
  if (seen.qos != 1 || reason < 0) return;
  std::string answer = wire::u16(seen.id);
  if (client.version == 5 && reason > 0) answer += std::string{static_cast<char>(reason), '\0'};
  client.out += wire::packet(0x40, answer);
}

void ScriptedBroker::on_subscribe(Client& client, std::string_view body) {
  wire::Reader reader(body);
  const std::uint16_t id = reader.u16();
  if (client.version == 5) (void)wire::properties(reader);
  SeenSubscribe seen{.connection = client.number, .filters = {}, .options = 0, .after_publishes = seen_.publish_count};
  std::string answer = wire::u16(id);
  if (client.version == 5) answer += '\0';
  while (!reader.empty()) {
    seen.filters.push_back(reader.text());
    const std::uint8_t options = reader.u8();
    if (seen.filters.size() == 1) seen.options = options;
    answer += static_cast<char>(rules_.suback != 0 ? rules_.suback : options & 3U);
  }
  seen_.subscribes.push_back(std::move(seen));
  if (rules_.answer_subscribe) client.out += wire::packet(0x90, answer);
}

}  // namespace omnitide::test
