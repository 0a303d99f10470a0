// Telemetry in the daemon: makes the publisher from the configuration, makes it anew when that or a certificate
// changes, does what hosts command, and tells how it stands. Whatever fails here leaves every other part as it is.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "agent/daemon/telemetry_feed.hpp"
#include "agent/daemon/telemetry_options.hpp"
#include "agent/daemon/telemetry_report.hpp"
#include "agent/daemon/telemetry_tail.hpp"
#include "agent/io/worker_pool.hpp"
#include "agent/model/part_status.hpp"

namespace omnitide::daemon {

class TelemetryPart {
 public:
  using OnState = std::function<void(model::PartState, std::string reason, std::vector<std::string> urls)>;

  // `on_state` is called on the loop whenever the state of the part changed; `rediscover` when a host asks for it.
  TelemetryPart(boost::asio::io_context& context, io::WorkerPool& pool, config::TelemetryConfig config,
                TelemetryPlace place, TelemetryFeed::Sources sources, std::shared_ptr<EventRing> ring,
                TelemetryFeed::About about, OnState on_state, std::function<void()> rediscover);
  void start();
  // Deaths and DISCONNECT, within two seconds; what is not confirmed stays in the spool.
  void stop();

  // What a reload or the registration brings. Intervals, dead bands and rates change in place; anything else, also a
  // secret with another content, makes the connection anew.
  void set_config(config::TelemetryConfig config);
  void certificate_changed();

  [[nodiscard]] TelemetryFeed& feed() { return feed_; }
  [[nodiscard]] bool enabled() const { return !config_.brokers.empty(); }
  void fill(node::v1::TelemetryStatus& out) const;
  void add_samples(model::SampleBatch& out) const;
  [[nodiscard]] boost::asio::awaitable<void> messages(std::uint64_t after, std::chrono::milliseconds patience,
                                                      node::v1::TelemetryMessageList& out);

 private:
  [[nodiscard]] boost::asio::awaitable<void> run();
  [[nodiscard]] boost::asio::awaitable<void> one_publisher();
  [[nodiscard]] boost::asio::awaitable<void> note_rates();
  [[nodiscard]] boost::asio::awaitable<void> reboot();
  void spawn(boost::asio::awaitable<void> work);
  void again();  // ends the publisher of now and makes the next one
  void failed(std::string reason);
  void publisher_changed();
  void command(const std::string& name, const std::string& value);
  void tell_settings();
  Result<> change_interval(const std::string& value);
  Result<> change_dead_bands(const std::string& value);
  [[nodiscard]] TelemetryAbout about() const;

  boost::asio::io_context& context_;
  io::WorkerPool& pool_;
  config::TelemetryConfig config_;
  TelemetryPlace place_;
  OnState on_state_;
  std::function<void()> rediscover_;
  std::unique_ptr<telemetry::Publisher> publisher_;
  telemetry::PublisherStatus last_;  // of the publisher before
  TelemetryFeed feed_;
  TelemetryTail tail_;
  TelemetryRates rates_;
  boost::asio::steady_timer wake_, rates_timer_;
  bool again_ = false, stopping_ = false, running_ = false;
  std::string secret_;  // password that the publisher has
};

}  // namespace omnitide::daemon
