// The folder: spool, names of metrics, and what a session must remember. And the clock.
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <utility>

#include "agent/base/file.hpp"
#include "agent/telemetry/publisher_impl.hpp"

namespace omnitide::telemetry {

namespace asio = boost::asio;
using std::chrono::steady_clock;
using namespace std::chrono_literals;

namespace {

constexpr auto kTick = 1s;
constexpr auto kExpireEvery = 1min;
constexpr auto kDiskPatience = 1min;

}  // namespace

Result<> Publisher::Impl::open_folder() {
  if (Result<> made = make_folders(options_.folder); made.has_error()) return made;
  const WallTime now = wall_now();
  Result<std::unique_ptr<Spool>> spool = Spool::open(options_.folder + "/spool", options_.spool, now);
  if (spool.has_error()) return std::move(spool).error();
  spool_ = std::move(*spool);
  const SpoolStatus status = spool_->status();
  for (std::size_t i = 0; i < kStreams; ++i)
    lanes_[i].delivery =
        Delivery(status.streams[i].first, status.streams[i].next, spool_->delivered(static_cast<Stream>(i)));
  expired_at_ = now;
  if (!options_.sparkplug) return {};
  return open_session();
}

Result<> Publisher::Impl::open_session() {
  Result<std::vector<DeadBand>> bands = parse_dead_bands(options_.dead_bands);
  if (bands.has_error()) return std::move(bands).error();
  changes_.emplace(std::move(*bands), options_.max_silence);
  const std::string names = options_.folder + "/aliases";
  Result<AliasTable> aliases = AliasTable::load(names);
  if (aliases.has_error() && aliases.error().code != Code::data_loss) return std::move(aliases).error();
  if (aliases.has_error()) {
    log::warning(log::Part::telemetry, "the names of metrics are damaged, giving all of them new numbers",
                 {{"reason", aliases.error().text()}});
    aliases = AliasTable::fresh(names, wall_now());
  }
  aliases_ = std::move(*aliases);
  const Result<std::string> text = read_file(options_.folder + "/sparkplug");
  if (text.has_error() && text.error().code != Code::not_found) return text.error();
  if (text.has_value()) {
    Result<SparkplugState> state = decode_state(*text);
    if (state.has_value()) saved_state_ = std::move(*state);
    if (state.has_error())
      log::warning(log::Part::telemetry, "the state of the Sparkplug session is damaged, beginning anew",
                   {{"reason", state.error().text()}});
  }
  SparkplugOptions options = *options_.sparkplug;
  options.brokers = options_.brokers.size();
  session_.emplace(std::move(options), saved_state_);
  return {};
}

Result<RecordNumber> Publisher::Impl::append(Stream stream, WallTime time, std::string_view payload) {
  Result<RecordNumber> number = spool_->append(stream, time, payload, wall_now());
  if (number.has_error()) {
    if (log_disk_.pass(steady_clock::now()))
      log::warning(log::Part::telemetry, "a record is dropped", {{"reason", number.error().text()}});
    return number;
  }
  lane(stream).delivery.appended(*number);
  write_soon(stream == Stream::events);
  return number;
}

void Publisher::Impl::note_problem(std::string what, const Error& error) {
  if (!log_disk_.pass(steady_clock::now())) return;
  log::warning(log::Part::telemetry, "telemetry cannot be kept on disk, trying again",
               {{"what", std::move(what)}, {"reason", error.text()}});
}

// Once a turn of the loop, not once a record.
void Publisher::Impl::write_soon(bool sync_at_once) {
  if (sync_at_once) sync_soon(true);
  if (std::exchange(write_posted_, true)) return;
  asio::post(context_, [self = shared_from_this()] {
    self->write_posted_ = false;
    if (self->abandoned_ || !self->spool_) return;
    if (Result<> wrote = self->spool_->write(); wrote.has_error()) self->note_problem("records", wrote.error());
    self->sync_soon(false);
  });
}

void Publisher::Impl::sync_soon(bool at_once) {
  const auto begin = [self = shared_from_this()](const boost::system::error_code& error) {
    self->sync_waits_ = false;
    if (error || self->abandoned_ || !self->spool_) return;
    (void)self->spool_->write();
    asio::co_spawn(self->context_, sync(self), asio::detached);
  };
  if (at_once) {
    asio::post(context_, [begin] { begin({}); });
  } else if (!std::exchange(sync_waits_, true)) {
    sync_timer_.expires_after(options_.sync_interval);
    sync_timer_.async_wait(begin);
  }
}

// One at a time. A job that the pool gave up on before it began is given again; one that hangs is waited for.
asio::awaitable<void> Publisher::Impl::sync(Self self) {
  self->sync_again_ = true;
  if (self->sync_) co_return;
  while (std::exchange(self->sync_again_, false) && self->spool_) {
    const auto one = std::make_shared<SyncRun>();
    self->sync_ = one;
    one->job = self->spool_->sync();
    std::function<void()> job = [one] {
      one->step = 1;
      one->result = one->job();
      one->step = 2;
    };
    asio::steady_timer wait(self->context_);
    while (one->step != 2) {
      if (one->step == 0) (void)co_await self->pool_.run(job, kDiskPatience);
      if (one->step == 2 || self->abandoned_) break;
      wait.expires_after(1s);
      (void)co_await wait.async_wait(asio::as_tuple(asio::use_awaitable));
    }
    if (one->step == 2 && one->result && one->result->has_error()) self->note_problem("sync", one->result->error());
    self->sync_.reset();
    if (self->abandoned_) break;
  }
}

void Publisher::Impl::save_state_soon() { asio::co_spawn(context_, save_state(shared_from_this()), asio::detached); }

// What cannot be saved is told, and used all the same: a bdSeq that comes twice after a restart does less harm than no
// telemetry from a node with a full disk.
asio::awaitable<void> Publisher::Impl::save_state(Self self) {
  asio::steady_timer wait(self->context_);
  while (self->saving_) {
    wait.expires_after(5ms);
    (void)co_await wait.async_wait(asio::as_tuple(asio::use_awaitable));
  }
  const SparkplugState state = self->session_->state();
  if (state == self->saved_state_) co_return;
  self->saving_ = true;
  std::function<Result<bool>()> job = [path = self->options_.folder + "/sparkplug", text = encode_state(state)] {
    Result<> written = write_file_durably(path, text);
    return written.has_error() ? Result<bool>(std::move(written).error()) : Result<bool>(true);
  };
  const Result<bool> saved = co_await self->pool_.run_for<bool>(std::move(job), kDiskPatience);
  self->saving_ = false;
  if (saved.has_error()) {
    self->note_problem("the state of the session", saved.error());
  } else {
    self->saved_state_ = state;
  }
}

void Publisher::Impl::tick() {
  ticker_.expires_after(kTick);
  ticker_.async_wait([self = shared_from_this()](const boost::system::error_code& error) {
    if (error || self->abandoned_ || !self->spool_) return;
    self->housekeeping();
    self->tick();
  });
}

void Publisher::Impl::housekeeping() {
  const WallTime now = wall_now();
  if (session_) {
    const std::optional<WallTime> due = session_->next_tick();
    if (due && *due <= now) {
      session_->tick(now);
      act();
    }
    look_after_births();
  }
  if (is_up()) pump_soon();
  if (now - expired_at_ < kExpireEvery && now >= expired_at_) return;
  expired_at_ = now;
  spool_->expire(now);
  // What a bound evicted before it was sent has left as well.
  const SpoolStatus status = spool_->status();
  for (std::size_t i = 0; i < kStreams; ++i) {
    const RecordNumber first = status.streams[i].first == 0 ? status.streams[i].next : status.streams[i].first;
    if (first > 1) lanes_[i].delivery.done(1, first - 1);
  }
}

}  // namespace omnitide::telemetry
