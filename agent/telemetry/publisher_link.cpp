// One connection after the other: which broker, when, and what happens when it is there and when it is gone.
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <utility>

#include "agent/base/random.hpp"
#include "agent/telemetry/publisher_impl.hpp"

namespace omnitide::telemetry {

namespace asio = boost::asio;
using std::chrono::steady_clock;
using namespace std::chrono_literals;

namespace {

// A connection that stood for this many of the shortest waits is a good one, and the waits begin anew after it.
constexpr int kLivedWaits = 10;
constexpr auto kLeaveIn = 5s;  // told to go: how long the last messages may take

std::string name_of(const io::MqttOptions& broker) { return broker.host + ":" + std::to_string(broker.port); }

}  // namespace

asio::awaitable<void> Publisher::Impl::pause(Self self, SteadyTime deadline) {
  self->waker_.expires_at(deadline);
  (void)co_await self->waker_.async_wait(asio::as_tuple(asio::use_awaitable));
}

void Publisher::Impl::set_link(Link link) {
  if (link_ == link) return;
  link_ = link;
  link_since_ = wall_now();
  if (!abandoned_ && handlers_.on_change) handlers_.on_change();
}

asio::awaitable<void> Publisher::Impl::run(Self self) {
  while (!self->stopping_) {
    const Ending ending = co_await one_connection(self);
    if (self->stopping_) break;
    const auto wait = self->next_wait(ending);
    self->next_attempt_ = wall_now() + wait;
    self->set_link(Link::waiting);
    const SteadyTime until = steady_clock::now() + wait;
    while (!self->stopping_ && steady_clock::now() < until)
      co_await pause(self, until);
    self->next_attempt_.reset();
  }
  self->run_ended_ = true;
  self->ender_.cancel();
}

// Every broker of the list is tried once without a wait; then comes a wait, at random up to a bound that doubles.
std::chrono::milliseconds Publisher::Impl::next_wait(Ending ending) {
  const std::size_t brokers = options_.brokers.size();
  const std::size_t next = (broker_ + 1) % brokers;
  switch (ending) {
    case Ending::failed:
      broker_ = next;
      if (++failed_in_row_ % brokers != 0) return 0ms;
      return backoff_.next(random_u64());
    case Ending::short_lived: broker_ = next; break;
    case Ending::lived:
      broker_ = 0;  // the first is the preferred one
      backoff_.reset();
      break;
    case Ending::told:
      if (next_broker_) broker_ = next;
      if (steady_clock::now() - up_since_ >= options_.backoff_base * kLivedWaits) backoff_.reset();
      break;
  }
  failed_in_row_ = 0;
  return backoff_.next(random_u64());
}

asio::awaitable<Publisher::Impl::Ending> Publisher::Impl::one_connection(Self self) {
  self->lost_ = self->next_broker_ = false;
  self->leave_.reset();
  self->set_link(Link::connecting);
  const Result<> opened = co_await open(self);
  if (opened.has_error() || self->stopping_) {
    self->went_offline();
    if (opened.has_error()) self->problem_ = opened.error().text();
    if (opened.has_error() && !self->stopping_ && self->log_lost_.pass(steady_clock::now()))
      log::warning(log::Part::telemetry, "no connection to the broker, trying again later",
                   {{"reason", opened.error().text()}});
    co_return Ending::failed;
  }
  self->up_since_ = steady_clock::now();
  self->problem_.clear();
  log::info(log::Part::telemetry, "connected to the broker",
            {{"broker", name_of(self->options_.brokers[self->broker_])}});
  self->set_link(Link::connected);
  self->went_online();
  while (!self->lost_ && !self->leave_ && !self->abandoned_)
    co_await pause(self, steady_clock::now() + 1h);
  if (!self->lost_) co_await leave(self, std::min(self->leave_by_, steady_clock::now() + kLeaveIn));
  const bool lived = steady_clock::now() - self->up_since_ >= self->options_.backoff_base * kLivedWaits;
  const bool told = self->leave_.has_value() && !self->lost_;
  self->went_offline();
  if (told) co_return Ending::told;
  co_return lived ? Ending::lived : Ending::short_lived;
}

io::MqttOptions Publisher::Impl::options_now() {
  io::MqttOptions options = options_.brokers[broker_];
  if (session_) {
    SparkplugMessage will = session_->connecting(name_of(options));
    options.will = io::MqttMessage{
        .topic = std::move(will.topic), .payload = std::move(will.payload), .qos = will.qos, .retain = will.retain};
  } else if (!options_.plain.status_topic.empty()) {
    options.will =
        io::MqttMessage{.topic = options_.plain.status_topic, .payload = "offline", .qos = 1, .retain = true};
  }
  return options;
}

io::MqttConnection::Handlers Publisher::Impl::connection_handlers() {
  io::MqttConnection::Handlers out;
  const std::weak_ptr<Impl> weak = weak_from_this();
  out.on_message = [weak](const io::MqttMessage& message) {
    if (const Self self = weak.lock()) self->on_message(message);
  };
  out.on_answer = [weak](const io::MqttAnswer& answer) {
    if (const Self self = weak.lock()) self->on_answer(answer);
  };
  out.on_writable = [weak] {
    if (const Self self = weak.lock()) self->pump_soon();
  };
  out.on_closed = [weak](const Error& error) {
    const Self self = weak.lock();
    if (!self) return;
    self->problem_ = error.text();
    if (self->log_lost_.pass(steady_clock::now()))
      log::warning(log::Part::telemetry, "the connection to the broker is lost, connecting again",
                   {{"reason", error.text()}});
    self->lost_ = true;
    self->wake();
  };
  return out;
}

asio::awaitable<Result<>> Publisher::Impl::open(Self self) {
  io::MqttOptions options = self->options_now();
  if (self->session_) co_await save_state(self);  // before the CONNECT that uses its bdSeq
  if (self->stopping_) co_return fail(Code::aborted, "the publisher stops");
  self->connection_ = std::make_unique<io::MqttConnection>(self->context_, self->pool_, std::move(options),
                                                           self->connection_handlers());
  ++self->connects_;
  if (Result<> connected = co_await self->connection_->connect(); connected.has_error()) co_return connected;
  std::vector<std::string> filters;
  if (self->session_) filters = self->session_->filters();
  if (filters.empty()) co_return Result<>{};
  co_return co_await self->connection_->subscribe(std::move(filters), 1);
}

void Publisher::Impl::went_online() {
  for (std::size_t i = 0; i < kStreams; ++i) {
    const auto stream = static_cast<Stream>(i);
    if (stream != Stream::sparkplug && is_published(stream)) lanes_[i].delivery.online();
  }
  if (!options_.plain.status_topic.empty()) (void)put(options_.plain.status_topic, "online", 1, true);
  if (session_) {
    session_->connected(wall_now());
    act();
  }
  pump_soon();
}

void Publisher::Impl::went_offline() {
  if (session_) session_->disconnected();
  confirm();
  for (Lane& one : lanes_) {
    one.delivery.offline();
    one.history.clear();
    one.late.clear();
    one.paused_until.reset();
  }
  on_its_way_.clear();
  outbox_.clear();
  unfenced_.clear();
  last_fence_ = 0;
  history_held_ = false;
  live_skipped_.reset();
  fenced_at_ = {};
  connection_.reset();
}

// The last messages out, and heard of, as far as there is time; then DISCONNECT.
asio::awaitable<void> Publisher::Impl::leave(Self self, SteadyTime deadline) {
  const auto waits = [&self, deadline] { return !self->lost_ && self->is_up() && steady_clock::now() < deadline; };
  while (waits() && !self->flush_outbox())
    co_await pause(self, std::min(deadline, steady_clock::now() + 50ms));
  if (waits() && self->session_) (void)self->connection_->fence();
  while (waits() && self->connection_->in_flight() > 0)
    co_await pause(self, deadline);
  const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(deadline - steady_clock::now());
  if (!self->lost_ && self->connection_)
    co_await self->connection_->disconnect(self->leave_.value_or(0), std::max(left, 100ms));
}

}  // namespace omnitide::telemetry
