#include "agent/daemon/telemetry_feed.hpp"

#include <algorithm>
#include <atomic>
#include <boost/asio/post.hpp>
#include <iterator>
#include <mutex>
#include <span>
#include <utility>

#include "agent/base/version.hpp"
#include "agent/daemon/part_conditions.hpp"
#include "agent/daemon/spawn.hpp"
#include "agent/daemon/tuple.hpp"
#include "agent/telemetry/node_metrics.hpp"

namespace omnitide::daemon {

namespace asio = boost::asio;
using namespace std::chrono_literals;
using telemetry::Stream;

namespace {

constexpr std::chrono::milliseconds kConditionsPause = 1s;  // changes gather meanwhile
constexpr std::chrono::milliseconds kFlowsEvery = 1s;
constexpr std::chrono::milliseconds kSettleStep = 50ms, kSettleLongest = 5s;
constexpr std::chrono::milliseconds kTogether = 100ms;  // what is due so close together shares a collection
constexpr std::size_t kEventsAReport = 64, kFlowsATime = 500;

telemetry::MetricSelection selection_of(const config::SparkplugConfig& config) {
  telemetry::MetricSelection out = telemetry::default_selection();
  if (!config.include.empty()) out.include = config.include;
  out.exclude.insert(out.exclude.end(), config.exclude.begin(), config.exclude.end());
  return out;
}

// When a collection of one kind is due. Keeps its beat where it can.
struct Beat {
  std::optional<SteadyTime> last;
  [[nodiscard]] SteadyTime next(std::chrono::milliseconds interval) const {
    return last ? *last + interval : SteadyTime{};
  }
  void take(std::chrono::milliseconds interval, SteadyTime now) {
    const SteadyTime planned = next(interval);
    last = planned > now - 1s ? planned : now;
  }
};

}  // namespace

// Brings the news of an event, which any thread may log, onto the loop. Outlives the feed where a thread still has it.
class TelemetryFeed::Waker : public std::enable_shared_from_this<TelemetryFeed::Waker> {
 public:
  Waker(asio::io_context& context, TelemetryFeed& feed) : context_(&context), feed_(&feed) {}
  void wake() {
    const std::lock_guard lock(mutex_);
    if (context_ == nullptr || pending_.exchange(true)) return;
    asio::post(*context_, [self = shared_from_this()] {
      self->pending_ = false;
      if (self->feed_ != nullptr) self->feed_->take_events();
    });
  }
  void close() {
    const std::lock_guard lock(mutex_);
    context_ = nullptr;
    feed_ = nullptr;
  }

 private:
  std::mutex mutex_;
  asio::io_context* context_;
  TelemetryFeed* feed_;  // changed on the loop only
  std::atomic<bool> pending_{false};
};

TelemetryFeed::TelemetryFeed(asio::io_context& context, Sources sources, std::shared_ptr<EventRing> ring, About about,
                             std::function<void(std::string)> on_failure)
    : context_(context),
      sources_(std::move(sources)),
      ring_(std::move(ring)),
      about_(std::move(about)),
      on_failure_(std::move(on_failure)),
      waker_(std::make_shared<Waker>(context, *this)),
      collect_timer_(context),
      conditions_timer_(context),
      flows_timer_(context) {
  ring_->set_listener([waker = waker_] { waker->wake(); });
}

TelemetryFeed::~TelemetryFeed() {
  ring_->set_listener({});
  waker_->close();
}

void TelemetryFeed::open(telemetry::Publisher& publisher, const config::TelemetryConfig& config,
                         const std::string& node) {
  publisher_ = &publisher;
  config_ = config;
  messages_.emplace(node, config.plain.json ? MessageForm::json : MessageForm::protobuf);
  if (config.sparkplug.enabled) selector_.emplace(selection_of(config.sparkplug));
  sent_facts_.clear();
  conditions_sent_ = false;
  conditions_dirty_ = true;
  const std::uint64_t session = ++session_;
  record_facts();
  take_events();
  if (config.sparkplug.enabled || wants(Stream::metrics)) spawn(collect(session));
  spawn(watch_conditions(session));
  if (wants(Stream::flows)) spawn(watch_flows(session));
}

void TelemetryFeed::close() {
  if (publisher_ == nullptr) return;
  take_events();
  publisher_ = nullptr;
  collect_timer_.cancel();
  conditions_timer_.cancel();
  flows_timer_.cancel();
}

void TelemetryFeed::adjust(const config::TelemetryConfig& config) {
  config_ = config;
  collect_timer_.cancel();  // the loop goes on with the new intervals
}

void TelemetryFeed::set_interval(std::chrono::milliseconds interval) {
  config_.sparkplug.interval = interval;
  collect_timer_.cancel();
}

bool TelemetryFeed::wants(Stream stream) const {
  const std::string_view name = telemetry::kStreamNames.at(static_cast<std::size_t>(stream));
  return config_.plain.enabled && std::ranges::find(config_.plain.streams, name) != config_.plain.streams.end();
}

// What a coroutine throws ends telemetry with that reason instead of vanishing, and nothing else.
void TelemetryFeed::spawn(asio::awaitable<void> work) {
  spawn_on(context_, std::move(work), [this](std::string reason) { on_failure_(std::move(reason)); });
}

void TelemetryFeed::record(Stream stream, WallTime time, std::string payload) {
  const Result<telemetry::RecordNumber> taken = publisher_->record(stream, time, std::move(payload));
  if (taken.has_value() || !complaint_.pass(std::chrono::steady_clock::now())) return;
  log::warning(log::Part::telemetry, "a record was dropped",
               {{"stream", std::string(telemetry::kStreamNames.at(static_cast<std::size_t>(stream)))},
                {"reason", taken.error().text()},
                {"suppressed", std::to_string(complaint_.suppressed())}});
}

void TelemetryFeed::facts_changed(const std::string& sha256) {
  facts_sha256_ = sha256;
  record_facts();
}

void TelemetryFeed::record_facts() {
  const model::NodeFacts* facts = sources_.facts();
  if (publisher_ == nullptr || facts == nullptr || facts_sha256_.empty() || facts_sha256_ == sent_facts_) return;
  sent_facts_ = facts_sha256_;
  const WallTime now = wall_now();
  if (wants(Stream::facts)) record(Stream::facts, now, messages_->facts(*facts, facts_sha256_, now));
}

void TelemetryFeed::conditions_changed() {
  conditions_dirty_ = true;
  conditions_timer_.cancel();
}

asio::awaitable<void> TelemetryFeed::watch_conditions(std::uint64_t session) {
  while (is_open(session)) {
    conditions_timer_.expires_at(asio::steady_timer::time_point::max());
    if (!conditions_dirty_) co_await conditions_timer_.async_wait(kTuple);
    if (!is_open(session)) co_return;
    if (!conditions_dirty_) continue;
    asio::steady_timer gather(context_, kConditionsPause);
    co_await gather.async_wait(kTuple);
    if (!is_open(session)) co_return;
    conditions_dirty_ = false;
    record_conditions();
  }
}

void TelemetryFeed::record_conditions() {
  std::vector<model::Condition> current = sources_.conditions(conditions_);
  const bool news = !conditions_sent_ || !same_conditions(current, conditions_);
  conditions_ = std::move(current);
  if (!news) return;
  conditions_sent_ = true;
  const WallTime now = wall_now();
  if (wants(Stream::conditions)) record(Stream::conditions, now, messages_->conditions(conditions_, now));
}

// What telemetry itself logs is none: sending it would be the next event to be logged.
void TelemetryFeed::take_events() {
  if (publisher_ == nullptr) return;
  std::vector<Event> events = ring_->snapshot(last_event_);
  if (events.empty()) return;
  std::uint64_t lost = events.front().number - last_event_ - 1;
  lost_.events += lost;
  last_event_ = events.back().number;
  std::erase_if(events, [](const Event& event) { return event.part == log::Part::telemetry; });
  if (!wants(Stream::events)) return;
  for (std::size_t at = 0; at < events.size(); at += kEventsAReport) {
    const std::span<const Event> some = std::span(events).subspan(at, std::min(kEventsAReport, events.size() - at));
    record(Stream::events, some.back().time, messages_->events(some, std::exchange(lost, 0), about_.started));
  }
}

// The first birth shall be whole: what discovery and the kernel's programs give comes up in the first moments.
asio::awaitable<void> TelemetryFeed::settle(std::uint64_t session) {
  const auto latest = std::chrono::steady_clock::now() + kSettleLongest;
  while (is_open(session) && !sources_.settled() && std::chrono::steady_clock::now() < latest) {
    collect_timer_.expires_after(kSettleStep);
    co_await collect_timer_.async_wait(kTuple);
  }
}

asio::awaitable<void> TelemetryFeed::collect(std::uint64_t session) {
  co_await settle(session);
  Beat sparkplug, plain;
  while (is_open(session)) {
    const SteadyTime now = std::chrono::steady_clock::now();
    const SteadyTime sparkplug_at =
        config_.sparkplug.enabled ? sparkplug.next(config_.sparkplug.interval) : SteadyTime::max();
    const SteadyTime plain_at = wants(Stream::metrics) ? plain.next(config_.plain.metrics_interval) : SteadyTime::max();
    const bool for_sparkplug = sparkplug_at <= now + kTogether, for_plain = plain_at <= now + kTogether;
    if (!for_sparkplug && !for_plain) {
      collect_timer_.expires_at(std::min(sparkplug_at, plain_at));
      co_await collect_timer_.async_wait(kTuple);
      continue;  // an interval may have changed, or the session have ended
    }
    if (for_sparkplug) sparkplug.take(config_.sparkplug.interval, now);
    if (for_plain) plain.take(config_.plain.metrics_interval, now);
    const WallTime time = wall_now();
    const std::shared_ptr<const metrics::Collection> collection = co_await sources_.collect();
    if (is_open(session)) give_metrics(*collection, for_sparkplug, for_plain, time);
  }
}

void TelemetryFeed::give_metrics(const metrics::Collection& collection, bool sparkplug, bool plain, WallTime time) {
  if (sparkplug) {
    std::vector<telemetry::NamedMetric> all = selector_->select(collection.batches());
    lost_.metrics = selector_->beyond();
    const auto append = [&all](std::vector<telemetry::NamedMetric> more) {
      std::ranges::move(more, std::back_inserter(all));
    };
    if (const model::NodeFacts* facts = sources_.facts(); facts != nullptr)
      append(telemetry::facts_metrics(*facts, version(), *selector_));
    append(telemetry::condition_metrics(sources_.conditions(conditions_)));
    publisher_->metrics(std::move(all), time);
  }
  if (!plain) return;
  std::function<bool(const model::SampleView&)> rest;
  if (config_.sparkplug.enabled) rest = [this](const model::SampleView& sample) { return !selector_->takes(sample); };
  for (std::string& report : messages_->metrics(collection.batches(), rest, time))
    record(Stream::metrics, time, std::move(report));
}

asio::awaitable<void> TelemetryFeed::watch_flows(std::uint64_t session) {
  while (is_open(session)) {
    flows_timer_.expires_after(kFlowsEvery);
    co_await flows_timer_.async_wait(kTuple);
    PolicyPart* const policy = sources_.policy();
    if (!is_open(session) || policy == nullptr) co_return;
    co_await take_flows(*policy, session);
  }
}

// What there is since the last time: as many as the rate allows are told, the others are counted.
asio::awaitable<void> TelemetryFeed::take_flows(PolicyPart& policy, std::uint64_t session) {
  std::size_t left = config_.plain.flow_rate;
  while (true) {
    PolicyPart::Flows flows = co_await policy.flows(last_flow_, kFlowsATime, 0ms);
    if (!is_open(session) || flows.items.empty()) co_return;
    const std::uint64_t missed = flows.first - last_flow_ - 1;
    last_flow_ = flows.next;
    const std::size_t told = std::min(left, flows.items.size());
    const std::uint64_t lost = missed + flows.items.size() - told;
    left -= told;
    lost_.flows += lost;
    flows_lost_before_ += lost;
    if (told == 0) continue;
    flows.items.resize(told);
    const WallTime now = wall_now();
    record(Stream::flows, now, messages_->flows(flows, std::exchange(flows_lost_before_, 0), about_.node_name, now));
  }
}

}  // namespace omnitide::daemon
