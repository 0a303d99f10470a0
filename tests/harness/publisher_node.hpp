// A publisher on a test's loop, with its folder in a tree and its brokers on loopback.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "agent/telemetry/publisher.hpp"
#include "tests/harness/fixture.hpp"
#include "tests/harness/loop.hpp"

namespace omnitide::test {

using telemetry::Publisher;
using telemetry::PublisherOptions;
using telemetry::PublisherStatus;
using telemetry::Stream;

inline PublisherOptions publisher_options(const TempTree& tree, const std::vector<std::uint16_t>& ports) {
  PublisherOptions out;
  out.folder = tree.path() + "/telemetry";
  for (const std::uint16_t port : ports) {
    io::MqttOptions broker;
    broker.host = "127.0.0.1";
    broker.port = port;
    broker.client_id = "omnitide-test";
    broker.connect_timeout = std::chrono::seconds(5);
    broker.answer_timeout = std::chrono::seconds(1);
    out.brokers.push_back(std::move(broker));
  }
  out.plain.enabled = true;
  for (std::size_t i = 0; i < telemetry::kStreams; ++i)
    out.plain.topics[i] = "t/" + std::string(telemetry::kStreamNames[i]);
  out.sync_interval = std::chrono::milliseconds(50);
  out.backoff_base = std::chrono::milliseconds(20);
  out.backoff_cap = std::chrono::milliseconds(100);
  out.drain_records_per_second = 0;
  return out;
}

class PublisherNode {
 public:
  PublisherNode(Loop& loop, PublisherOptions options) : loop_(loop) {
    Publisher::Handlers handlers;
    handlers.on_command = [this](std::string name, std::string value) {
      commands.emplace_back(std::move(name), std::move(value));
    };
    publisher = std::make_unique<Publisher>(loop.context, loop.pool, std::move(options), std::move(handlers));
    if (Result<> started = publisher->start(); started.has_error()) throw std::runtime_error(started.error().text());
  }
  ~PublisherNode() {
    publisher.reset();
    loop_.run_for(std::chrono::milliseconds(5));
  }
  PublisherNode(const PublisherNode&) = delete;
  PublisherNode& operator=(const PublisherNode&) = delete;

  void stop() { loop_.run(publisher->stop(std::chrono::seconds(5))); }
  [[nodiscard]] bool connected() {
    return loop_.until([this] { return publisher->status().link == PublisherStatus::Link::connected; });
  }
  [[nodiscard]] std::uint64_t backlog() const {
    std::uint64_t out = 0;
    for (const auto& stream : publisher->status().spool.streams)
      out += stream.records;
    return out;
  }
  // Everything is confirmed and has left the spool.
  [[nodiscard]] bool empties(std::chrono::milliseconds longest = std::chrono::seconds(20)) {
    return loop_.until([this] { return backlog() == 0; }, longest);
  }
  // Records "first" to "last" of one stream, one after the other.
  void give(Stream stream, int first, int last) {
    for (int i = first; i <= last; ++i)
      (void)publisher->record(stream, wall_now(), std::to_string(i));
  }

  std::unique_ptr<Publisher> publisher;
  std::vector<std::pair<std::string, std::string>> commands;

 private:
  Loop& loop_;
};

}  // namespace omnitide::test
