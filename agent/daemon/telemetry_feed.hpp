// What telemetry tells of: takes facts, conditions, events, flows and metrics where they come up, and gives them to the
// publisher as records. Used on the daemon's loop only.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "agent/base/log.hpp"
#include "agent/config/telemetry_config.hpp"
#include "agent/daemon/log_sinks.hpp"
#include "agent/daemon/policy_part.hpp"
#include "agent/daemon/telemetry_messages.hpp"
#include "agent/metrics/collection.hpp"
#include "agent/model/condition.hpp"
#include "agent/model/node_facts.hpp"
#include "agent/telemetry/metric_selector.hpp"
#include "agent/telemetry/publisher.hpp"

namespace omnitide::daemon {

class TelemetryFeed {
 public:
  // What it asks the agent for.
  struct Sources {
    std::function<boost::asio::awaitable<std::shared_ptr<const metrics::Collection>>()> collect;
    std::function<bool()> settled;                   // what comes up at the start is there: the first birth is whole
    std::function<const model::NodeFacts*()> facts;  // null: not known yet
    std::function<std::vector<model::Condition>(const std::vector<model::Condition>& before)> conditions;
    std::function<PolicyPart*()> policy;  // null: off
  };
  struct About {
    std::string node_name;  // in flows
    WallTime started{};     // of the agent
  };

  TelemetryFeed(boost::asio::io_context& context, Sources sources, std::shared_ptr<EventRing> ring, About about,
                std::function<void(std::string)> on_failure);
  ~TelemetryFeed();
  TelemetryFeed(const TelemetryFeed&) = delete;
  TelemetryFeed& operator=(const TelemetryFeed&) = delete;

  // From now on everything goes to this publisher, which outlives the next close(). Facts, conditions and the events
  // that were not taken yet go first.
  void open(telemetry::Publisher& publisher, const config::TelemetryConfig& config, const std::string& node);
  void close();

  void adjust(const config::TelemetryConfig& config);  // intervals and rates
  void set_interval(std::chrono::milliseconds interval);
  [[nodiscard]] std::chrono::milliseconds interval() const { return config_.sparkplug.interval; }
  void facts_changed(const std::string& sha256);
  void conditions_changed();
  void take_events();

  struct Lost {
    std::uint64_t events = 0, flows = 0, metrics = 0;  // metrics: beyond what Sparkplug may have
  };
  [[nodiscard]] const Lost& lost() const { return lost_; }

 private:
  class Waker;
  [[nodiscard]] bool wants(telemetry::Stream stream) const;
  [[nodiscard]] bool is_open(std::uint64_t session) const { return publisher_ != nullptr && session_ == session; }
  void spawn(boost::asio::awaitable<void> work);
  void record(telemetry::Stream stream, WallTime time, std::string payload);
  void record_facts();
  void record_conditions();
  [[nodiscard]] boost::asio::awaitable<void> collect(std::uint64_t session);
  void give_metrics(const metrics::Collection& collection, bool sparkplug, bool plain, WallTime time);
  [[nodiscard]] boost::asio::awaitable<void> watch_conditions(std::uint64_t session);
  [[nodiscard]] boost::asio::awaitable<void> watch_flows(std::uint64_t session);
  [[nodiscard]] boost::asio::awaitable<void> take_flows(PolicyPart& policy, std::uint64_t session);
  [[nodiscard]] boost::asio::awaitable<void> settle(std::uint64_t session);

  boost::asio::io_context& context_;
  Sources sources_;
  std::shared_ptr<EventRing> ring_;
  About about_;
  std::function<void(std::string)> on_failure_;
  std::shared_ptr<Waker> waker_;

  telemetry::Publisher* publisher_ = nullptr;
  std::uint64_t session_ = 0;  // counts open()
  config::TelemetryConfig config_;
  std::optional<TelemetryMessages> messages_;
  std::optional<telemetry::MetricSelector> selector_;
  boost::asio::steady_timer collect_timer_, conditions_timer_, flows_timer_;

  std::string facts_sha256_, sent_facts_;
  std::vector<model::Condition> conditions_;
  bool conditions_dirty_ = false, conditions_sent_ = false;
  std::uint64_t last_event_ = 0, last_flow_ = 0;
  Lost lost_;
  std::uint64_t flows_lost_before_ = 0;  // not told in a report yet
  log::Throttle complaint_{std::chrono::minutes(1)};
};

}  // namespace omnitide::daemon
