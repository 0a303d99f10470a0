#include "agent/daemon/telemetry_part.hpp"

#include <fmt/format.h>
#include <malloc.h>

#include <utility>

#include "agent/base/log.hpp"
#include "agent/daemon/spawn.hpp"
#include "agent/daemon/tuple.hpp"

namespace omnitide::daemon {

namespace asio = boost::asio;
using namespace std::chrono_literals;
using log::Part;
using model::PartState;

namespace {

constexpr std::chrono::milliseconds kStopPatience = 2s;
constexpr std::chrono::milliseconds kAnotherTry = 30s;  // when a file or the spool could not be opened
constexpr std::chrono::milliseconds kRatesEvery = 10s;

// What changes in place.
config::TelemetryConfig with_soft_keys_of(config::TelemetryConfig config, const config::TelemetryConfig& other) {
  config.sparkplug.interval = other.sparkplug.interval;
  config.sparkplug.dead_bands = other.sparkplug.dead_bands;
  config.plain.metrics_interval = other.plain.metrics_interval;
  config.plain.flow_rate = other.plain.flow_rate;
  return config;
}

// What stands in files: another one may stand in the same file.
std::string secret_of(const telemetry::PublisherOptions& options) {
  if (options.brokers.empty()) return {};
  const io::MqttOptions& broker = options.brokers.front();
  return broker.password + '\n' + broker.tls.psk_identity + '\n' + broker.tls.psk_hex;
}

}  // namespace

TelemetryPart::TelemetryPart(asio::io_context& context, io::WorkerPool& pool, config::TelemetryConfig config,
                             TelemetryPlace place, TelemetryFeed::Sources sources, std::shared_ptr<EventRing> ring,
                             TelemetryFeed::About about, OnState on_state, std::function<void()> rediscover)
    : context_(context),
      pool_(pool),
      config_(std::move(config)),
      place_(std::move(place)),
      on_state_(std::move(on_state)),
      rediscover_(std::move(rediscover)),
      feed_(context, std::move(sources), std::move(ring), std::move(about),
            [this](std::string reason) { failed(std::move(reason)); }),
      tail_(context),
      wake_(context),
      rates_timer_(context) {}

void TelemetryPart::start() {
  if (!enabled()) return on_state_(PartState::off, "telemetry.brokers names no broker", {});
  if (std::exchange(running_, true)) return;
  spawn(run());
}

void TelemetryPart::stop() {
  stopping_ = true;
  tail_.stop();
  wake_.cancel();
  rates_timer_.cancel();
}

void TelemetryPart::spawn(asio::awaitable<void> work) {
  spawn_on(context_, std::move(work), [this](std::string reason) { failed(std::move(reason)); });
}

void TelemetryPart::failed(std::string reason) {
  if (stopping_) return;
  log::error(Part::telemetry, "telemetry failed and is off until a restart", {{"reason", reason}});
  feed_.close();
  on_state_(PartState::failed, std::move(reason), {});
}

void TelemetryPart::again() {
  again_ = true;
  wake_.cancel();
}

void TelemetryPart::set_config(config::TelemetryConfig config) {
  const config::TelemetryConfig before = std::exchange(config_, std::move(config));
  if (!running_) return start();
  const bool hard = with_soft_keys_of(before, config_) != config_;
  const Result<telemetry::PublisherOptions> options = publisher_options(config_, place_);
  // A secret that cannot be read now is told by the next try; the connection of now stays meanwhile.
  if (hard || publisher_ == nullptr || (options.has_value() && secret_of(*options) != secret_)) return again();
  feed_.adjust(config_);
  tell_settings();
}

void TelemetryPart::certificate_changed() {
  const bool used = config_.tls.certificate == config::kRegistrationCertificate;
  if (running_ && used) again();
}

// One publisher after the other, until the agent stops.
asio::awaitable<void> TelemetryPart::run() {
  spawn(note_rates());
  while (!stopping_) {
    again_ = false;
    if (enabled())
      co_await one_publisher();
    else
      on_state_(PartState::off, "telemetry.brokers names no broker", {});
    if (stopping_ || again_) continue;
    wake_.expires_after(kAnotherTry);
    co_await wake_.async_wait(kTuple);
  }
}

asio::awaitable<void> TelemetryPart::one_publisher() {
  Result<telemetry::PublisherOptions> options = publisher_options(config_, place_);
  if (options.has_error()) {
    const bool waits = options.error().code == Code::failed_precondition;
    on_state_(waits ? PartState::starting : PartState::failed, options.error().text(), {});
    if (!waits) log::error(Part::telemetry, "telemetry is off, trying again", {{"reason", options.error().text()}});
    co_return;
  }
  secret_ = secret_of(*options);
  on_state_(PartState::starting, "opening the spool", {});
  publisher_ = std::make_unique<telemetry::Publisher>(
      context_, pool_, std::move(*options),
      telemetry::Publisher::Handlers{
          .on_change = [this] { publisher_changed(); },
          .on_command = [this](std::string name, std::string value) { command(name, value); },
          .on_sent = [this](std::string_view topic, std::string_view payload) { tail_.sent(topic, payload); }});
  if (const Result<> started = publisher_->start(); started.has_error()) {
    log::error(Part::telemetry, "telemetry is off, trying again", {{"reason", started.error().text()}});
    on_state_(PartState::failed, started.error().text(), {});
    publisher_.reset();
    co_return;
  }
  tell_settings();
  feed_.open(*publisher_, config_, telemetry_node(config_, place_));
  while (!stopping_ && !again_) {
    wake_.expires_at(asio::steady_timer::time_point::max());
    co_await wake_.async_wait(kTuple);
  }
  feed_.close();
  co_await publisher_->stop(kStopPatience);
  last_ = publisher_->status();
  publisher_.reset();
}

void TelemetryPart::publisher_changed() {
  using Link = telemetry::PublisherStatus::Link;
  using Phase = telemetry::SparkplugSession::Phase;
  if (publisher_ == nullptr || stopping_) return;
  const telemetry::PublisherStatus status = publisher_->status();
  std::vector<std::string> urls;
  for (const config::BrokerConfig& broker : config_.brokers)
    if (broker.url.ends_with(status.broker) || status.broker == fmt::format("{}:{}", broker.host, broker.port))
      urls.assign(1, broker.url);
  if (status.link != Link::connected) {
    const bool trying = status.problem.empty();
    return on_state_(trying ? PartState::starting : PartState::degraded,
                     trying ? "connecting" : status.problem + "; records wait in the spool", std::move(urls));
  }
  if (status.sparkplug == Phase::waiting_for_host)
    return on_state_(PartState::degraded, fmt::format("waits for the primary host {}", config_.sparkplug.primary_host),
                     std::move(urls));
  on_state_(PartState::on, {}, std::move(urls));
}

asio::awaitable<void> TelemetryPart::note_rates() {
  while (!stopping_) {
    if (publisher_ != nullptr) rates_.note(std::chrono::steady_clock::now(), publisher_->status());
    // Collections, reports and history that drains leave holes in the heap, between what stays: they go back too.
    ::malloc_trim(0);
    rates_timer_.expires_after(kRatesEvery);
    co_await rates_timer_.async_wait(kTuple);
  }
}

TelemetryAbout TelemetryPart::about() const {
  TelemetryAbout out{.group = config_.group,
                     .node = telemetry_node(config_, place_),
                     .client_id = telemetry_client(config_, place_),
                     .folder = telemetry_folder(place_.state_dir) + "/spool",
                     .brokers = {},
                     .spool_limit = config_.spool.bytes,
                     .interval = config_.sparkplug.interval,
                     .primary_host = config_.sparkplug.primary_host};
  for (const config::BrokerConfig& broker : config_.brokers)
    out.brokers.push_back(broker.url);
  return out;
}

void TelemetryPart::fill(node::v1::TelemetryStatus& out) const {
  daemon::fill(about(), publisher_ != nullptr ? publisher_->status() : last_, rates_, out);
}

void TelemetryPart::add_samples(model::SampleBatch& out) const {
  if (publisher_ != nullptr)
    add_telemetry_samples(publisher_->status(), feed_.lost(), config_.spool.bytes, wall_now(), out);
}

asio::awaitable<void> TelemetryPart::messages(std::uint64_t after, std::chrono::milliseconds patience,
                                              node::v1::TelemetryMessageList& out) {
  return tail_.messages(after, patience, telemetry_folder(place_.state_dir) + "/aliases", out);
}

}  // namespace omnitide::daemon
