#include "agent/telemetry/publisher.hpp"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <utility>

#include "agent/telemetry/publisher_impl.hpp"

namespace omnitide::telemetry {

namespace asio = boost::asio;
using std::chrono::steady_clock;

namespace {

constexpr std::chrono::seconds kLastSync{2};  // at a stop, also when the broker took all the patience

}  // namespace

Publisher::Impl::Impl(asio::io_context& context, io::WorkerPool& pool, PublisherOptions options, Handlers handlers)
    : context_(context),
      pool_(pool),
      options_(std::move(options)),
      handlers_(std::move(handlers)),
      backoff_(options_.backoff_base, options_.backoff_cap),
      bucket_(options_.drain_records_per_second),
      waker_(context),
      ender_(context),
      ticker_(context),
      drain_timer_(context),
      sync_timer_(context) {}

Result<> Publisher::Impl::start() {
  if (running_) return fail(Code::failed_precondition, "the publisher runs already");
  if (options_.brokers.empty()) return fail(Code::invalid_argument, "telemetry has no broker");
  if (Result<> opened = open_folder(); opened.has_error()) return opened;
  running_ = true;
  run_ended_ = false;
  link_since_ = wall_now();
  tick();
  asio::co_spawn(context_, run(shared_from_this()), asio::detached);
  return {};
}

asio::awaitable<void> Publisher::Impl::stop(Self self, std::chrono::milliseconds patience) {
  if (!self->running_ || self->stopping_) co_return;
  self->stopping_ = true;
  const SteadyTime deadline = steady_clock::now() + patience;
  self->leave_by_ = steady_clock::now() + patience * 3 / 4;  // the rest is DISCONNECT's
  if (self->is_up() && !self->leave_) {
    if (!self->options_.plain.status_topic.empty())
      (void)self->put(self->options_.plain.status_topic, "offline", 1, true);
    if (self->session_) {
      self->session_->stop(wall_now());
      self->act();
    }
    if (!self->leave_) self->leave_ = 0;
  }
  if (self->connection_ && !self->is_up()) self->connection_->close();  // ends a connect that is under way
  self->wake();
  while (!self->run_ended_ && steady_clock::now() < deadline) {
    self->ender_.expires_at(deadline);
    (void)co_await self->ender_.async_wait(asio::as_tuple(asio::use_awaitable));
  }
  if (self->connection_) self->connection_->close();
  self->wake();
  co_await close_folder(self, std::max(deadline, steady_clock::now() + kLastSync));
  for (asio::steady_timer* timer : {&self->ticker_, &self->drain_timer_, &self->sync_timer_})
    timer->cancel();
  self->running_ = false;
  self->set_link(Link::stopped);
}

// Another publisher may open the folder afterwards.
asio::awaitable<void> Publisher::Impl::close_folder(Self self, SteadyTime deadline) {
  self->confirm();
  if (Result<> wrote = self->spool_->write(); wrote.has_error()) self->note_problem("records", wrote.error());
  asio::co_spawn(self->context_, sync(self), asio::detached);
  do {
    self->ender_.expires_after(std::chrono::milliseconds(5));
    (void)co_await self->ender_.async_wait(asio::as_tuple(asio::use_awaitable));
  } while (self->sync_ && steady_clock::now() < deadline);
  self->last_spool_ = self->spool_->status();
  self->spool_.reset();
}

void Publisher::Impl::abandon() {
  abandoned_ = stopping_ = true;
  if (connection_) connection_->close();
  if (spool_) (void)spool_->write();
  for (asio::steady_timer* timer : {&waker_, &ender_, &ticker_, &drain_timer_, &sync_timer_})
    timer->cancel();
}

bool Publisher::Impl::is_published(Stream stream) const {
  return stream == Stream::sparkplug ? session_.has_value() : options_.plain.enabled && !topic(stream).empty();
}

Result<RecordNumber> Publisher::Impl::record(Stream stream, WallTime time, std::string payload) {
  if (!spool_ || stream == Stream::sparkplug || !is_published(stream))
    return fail(Code::failed_precondition, "no topic is set for the stream");
  Result<RecordNumber> number = append(stream, time, payload);
  if (number.has_error()) return number;
  // From memory, if everything before it is out already; else it is read from the spool when its turn comes.
  Lane& own = lane(stream);
  if (may_send(stream, false) && own.delivery.has_live() && own.delivery.live_after() + 1 == *number) {
    const Sent sent = send_record(stream, *number, payload, false);
    if (sent == Sent::yes || sent == Sent::never) own.delivery.take_live(*number);
  }
  return number;
}

// Before the table of names is full: those that neither the present set nor a record carries.
void Publisher::Impl::forget_names() {
  if (aliases_->size() < AliasTable::kMost / 2) return;
  if (spool_->status().streams[static_cast<std::size_t>(Stream::sparkplug)].records > 0) return;
  std::vector<std::uint64_t> used;
  for (const KnownMetric& one : known_)
    used.push_back(one.alias);
  aliases_->keep_only(used);
}

void Publisher::Impl::metrics(std::vector<NamedMetric> all, WallTime time) {
  if (!spool_ || !session_) return;
  forget_names();
  std::vector<KnownMetric> known;
  known.reserve(all.size());
  for (NamedMetric& metric : all) {
    const Result<std::uint64_t> alias = aliases_->alias(metric);
    if (alias.has_value()) {
      known.push_back({.alias = *alias, .metric = std::move(metric)});
    } else if (log_refused_.pass(steady_clock::now())) {
      log::warning(log::Part::telemetry, "a metric has no place in Sparkplug, leaving it out",
                   {{"metric", metric.name}, {"reason", alias.error().text()}});
    }
  }
  // Before a record carries them. Names are new seldom, so that the loop may wait for the disk.
  if (aliases_->changed()) {
    if (Result<> saved = aliases_->save(); saved.has_error()) note_problem("names of metrics", saved.error());
  }
  known_ = std::move(known);
  const std::vector<Report> changes = changes_->changes(known_, time);
  show_metrics();
  for (const Report& report : changes)
    append_report(report);
  pump();
}

// What the last birth does not have goes into a record of its own, so that it does not hold back the rest.
void Publisher::Impl::append_report(const Report& report) {
  Report rest{.device = report.device, .time = report.time, .values = {}}, born = rest;
  const bool online = session_->phase() == SparkplugSession::Phase::online;
  for (const ReportedValue& value : report.values)
    (!online || session_->born(value.alias) ? born : rest).values.push_back(value);
  for (const Report* part : {&born, &rest}) {
    if (!part->values.empty()) (void)append(Stream::sparkplug, part->time, encode_record(*part));
  }
}

void Publisher::Impl::rebirth() {
  if (!session_) return;
  session_->rebirth(wall_now());
  act();
  pump_soon();
}

void Publisher::Impl::setting(std::string_view command, std::string value) {
  if (!session_) return;
  session_->setting(command, std::move(value), wall_now());
  act();
  pump_soon();
}

void Publisher::Impl::set_dead_bands(std::vector<std::pair<std::string, std::string>> dead_bands) {
  Result<std::vector<DeadBand>> parsed = parse_dead_bands(dead_bands);
  if (parsed.has_error() || !changes_) return;
  options_.dead_bands = std::move(dead_bands);
  changes_->set_dead_bands(std::move(*parsed));
}

PublisherStatus Publisher::Impl::status() const {
  PublisherStatus out;
  out.link = link_;
  if (!options_.brokers.empty()) {
    const io::MqttOptions& broker = options_.brokers[broker_];
    out.broker = broker.host + ":" + std::to_string(broker.port);
  }
  out.problem = problem_;
  out.since = link_since_;
  out.next_attempt = next_attempt_;
  if (session_) {
    out.sparkplug = session_->phase();
    out.bd_seq = session_->bd_seq();
    out.sparkplug_counts = session_->counts();
  }
  out.metrics = known_.size();
  std::set<std::string_view> devices;
  for (const KnownMetric& one : known_)
    devices.insert(one.metric.device);
  devices.erase("");
  out.devices = devices.size();
  for (std::size_t i = 0; i < kStreams; ++i) {
    out.published[i] = lanes_[i].published;
    out.confirmed[i] = lanes_[i].confirmed;
    out.republished[i] = lanes_[i].republished;
    out.historical[i] = lanes_[i].historical;
  }
  out.connects = connects_;
  out.bytes_out = bytes_out_;
  out.backing_off = backing_off_;
  out.spool = spool_ ? spool_->status() : last_spool_;
  return out;
}

Publisher::Publisher(asio::io_context& context, io::WorkerPool& pool, PublisherOptions options, Handlers handlers)
    : impl_(std::make_shared<Impl>(context, pool, std::move(options), std::move(handlers))) {}
Publisher::~Publisher() { impl_->abandon(); }

Result<> Publisher::start() { return impl_->start(); }
asio::awaitable<void> Publisher::stop(std::chrono::milliseconds patience) { return Impl::stop(impl_, patience); }
Result<RecordNumber> Publisher::record(Stream stream, WallTime time, std::string payload) {
  return impl_->record(stream, time, std::move(payload));
}
void Publisher::metrics(std::vector<NamedMetric> all, WallTime time) { impl_->metrics(std::move(all), time); }
void Publisher::rebirth() { impl_->rebirth(); }
void Publisher::setting(std::string_view command, std::string value) { impl_->setting(command, std::move(value)); }
void Publisher::set_dead_bands(std::vector<std::pair<std::string, std::string>> dead_bands) {
  impl_->set_dead_bands(std::move(dead_bands));
}
PublisherStatus Publisher::status() const { return impl_->status(); }

}  // namespace omnitide::telemetry
