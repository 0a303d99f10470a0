// What goes out next: Sparkplug's own messages, then live records by priority, then history as fast as it may.
#include <boost/asio/post.hpp>
#include <span>
#include <utility>

#include "agent/telemetry/publisher_impl.hpp"

namespace omnitide::telemetry {

namespace asio = boost::asio;
using std::chrono::steady_clock;
using namespace std::chrono_literals;

namespace {

constexpr std::size_t kReadRecords = 64, kReadBytes = std::size_t{64} << 10U;
constexpr std::size_t kRecordsAtOnce = 512;   // of history, before the loop has its turn again
constexpr std::size_t kReportsAtOnce = 32;    // of history, in one call of the session
constexpr std::size_t kMostUnfenced = 4'096;  // groups of messages of QoS 0 that nothing confirmed yet
constexpr std::size_t kFenceAfter = 1'000;    // of them
constexpr auto kFenceEvery = 1s;
constexpr auto kDrainEvery = 20ms;

}  // namespace

void Publisher::Impl::pump_soon() {
  if (std::exchange(pump_posted_, true)) return;
  asio::post(context_, [self = shared_from_this()] {
    self->pump_posted_ = false;
    if (!self->abandoned_) self->pump();
  });
}

void Publisher::Impl::pump() {
  if (!is_up()) return;
  const bool flushed = flush_outbox();
  if (leave_) {
    if (flushed) wake();
    return;
  }
  resume_streams(steady_clock::now());
  for (std::size_t i = 0; i < kStreams; ++i)
    send_live(static_cast<Stream>(i));
  std::size_t budget = kRecordsAtOnce;
  while (budget > 0 && send_history(budget)) {
  }
  if (budget == 0) pump_soon();
  fence_when_due();
  confirm();
}

Result<io::MqttNumber> Publisher::Impl::put(std::string_view topic, std::string_view payload, std::uint8_t qos,
                                            bool retain) {
  if (!connection_) return fail(Code::unavailable, "not connected");
  Result<io::MqttNumber> number = connection_->publish(topic, payload, qos, retain);
  if (number.has_error()) return number;
  bytes_out_ += topic.size() + payload.size();
  if (!abandoned_ && handlers_.on_sent) handlers_.on_sent(topic, payload);
  return number;
}

// True: all of it is out.
bool Publisher::Impl::flush_outbox() {
  while (!outbox_.empty()) {
    Outgoing& next = outbox_.front();
    const SparkplugMessage& message = next.message;
    const Result<io::MqttNumber> number = put(message.topic, message.payload, message.qos, message.retain);
    if (number.has_value()) {
      if (next.ends) unfenced_.push_back({.number = *number, .range = *next.ends});
    } else if (number.error().code == Code::invalid_argument) {
      if (log_refused_.pass(steady_clock::now()))
        log::warning(log::Part::telemetry, "a message cannot go to the broker, dropping it",
                     {{"topic", message.topic}, {"reason", number.error().text()}});
      for (RecordNumber one = next.ends ? next.ends->first : 1; one <= (next.ends ? next.ends->last : 0); ++one)
        refused(Stream::sparkplug, one, 0x95);
    } else {
      return false;
    }
    outbox_.pop_front();
  }
  return true;
}

bool Publisher::Impl::may_send(Stream stream, bool historical) const {
  const Lane& own = lanes_[static_cast<std::size_t>(stream)];
  if (!is_up() || leave_ || own.paused_until) return false;
  if (historical ? !own.delivery.has_history() : !own.delivery.is_online()) return false;
  if (stream != Stream::sparkplug) return true;
  return outbox_.empty() && unfenced_.size() < kMostUnfenced && !(historical && history_held_);
}

// Reads ahead. False: there is nothing more on this front.
bool Publisher::Impl::fill(Stream stream, bool historical) {
  Lane& own = lane(stream);
  std::deque<Record>& ahead = historical ? own.history : own.late;
  while (historical ? own.delivery.has_history() : own.delivery.has_live()) {
    while (!ahead.empty() && historical && !own.delivery.wants_history(ahead.front().number)) {
      own.delivery.take_history(ahead.front().number);
      ahead.pop_front();
    }
    if (!ahead.empty()) return true;
    if (historical && !own.delivery.has_history()) return false;
    const RecordNumber after = historical ? own.delivery.history_after() : own.delivery.live_after();
    Result<std::vector<Record>> read = spool_->read(stream, after, kReadRecords, kReadBytes);
    if (read.has_error()) {
      note_problem("reading the spool", read.error());
      return false;
    }
    if (read->empty()) {
      historical ? own.delivery.take_history(0) : own.delivery.take_live(0);
    } else {
      ahead.assign(std::make_move_iterator(read->begin()), std::make_move_iterator(read->end()));
    }
  }
  ahead.clear();
  return false;
}

void Publisher::Impl::send_live(Stream stream) {
  Lane& own = lane(stream);
  while (may_send(stream, false) && fill(stream, false)) {
    if (stream == Stream::sparkplug) {
      (void)send_reports(own.late, kReportsAtOnce, false);
      if (!flush_outbox()) return;
      continue;
    }
    const Record& record = own.late.front();
    const Sent sent = send_record(stream, record.number, record.payload, false);
    if (sent != Sent::yes && sent != Sent::never) return;
    own.delivery.take_live(record.number);
    own.late.pop_front();
  }
}

// The stream whose next record is the oldest of all.
std::optional<Stream> Publisher::Impl::oldest_history() {
  std::optional<Stream> out;
  WallTime oldest{};
  for (std::size_t i = 0; i < kStreams; ++i) {
    const auto stream = static_cast<Stream>(i);
    if (!may_send(stream, true) || !fill(stream, true)) continue;
    const WallTime time = lanes_[i].history.front().time;
    if (out && time >= oldest) continue;
    out = stream;
    oldest = time;
  }
  return out;
}

// False: not now. Live data keeps a quarter of the window for itself.
bool Publisher::Impl::send_history(std::size_t& budget) {
  const std::size_t window = options_.brokers[broker_].max_in_flight;
  if (!is_up() || connection_->in_flight() >= window - window / 4) return false;
  const std::optional<Stream> stream = oldest_history();
  if (!stream) return false;
  const std::size_t allowed = bucket_.available(budget, steady_clock::now());
  if (allowed == 0) {
    drain_later();
    return false;
  }
  Lane& own = lane(*stream);
  std::size_t count = 0;
  bool room = true;
  if (*stream == Stream::sparkplug) {
    count = send_reports(own.history, std::min(allowed, kReportsAtOnce), true);
    room = flush_outbox();
  } else {
    const Record& record = own.history.front();
    const Sent sent = send_record(*stream, record.number, record.payload, true);
    if (sent != Sent::yes && sent != Sent::never) return false;
    count = 1;
    own.delivery.take_history(record.number);
    own.history.pop_front();
  }
  bucket_.take(count);
  budget -= count;
  return room;
}

void Publisher::Impl::drain_later() {
  if (std::exchange(drain_waits_, true)) return;
  drain_timer_.expires_after(kDrainEvery);
  drain_timer_.async_wait([self = shared_from_this()](const boost::system::error_code& error) {
    self->drain_waits_ = false;
    if (!error) self->pump_soon();
  });
}

void Publisher::Impl::count_sent(Stream stream, Range range, bool historical) {
  Lane& own = lane(stream);
  own.published += range.count;
  if (historical) own.historical += range.count;
  own.republished += own.delivery.sent(range.first, range.last);
}

Publisher::Impl::Sent Publisher::Impl::send_record(Stream stream, RecordNumber number, std::string_view payload,
                                                   bool historical) {
  const Result<io::MqttNumber> sent = put(topic(stream), payload, 1, false);
  if (sent.has_value()) {
    on_its_way_.push_back({.number = *sent, .stream = stream, .record = number});
    count_sent(stream, {.first = number, .last = number, .count = 1}, historical);
    return Sent::yes;
  }
  switch (sent.error().code) {
    case Code::resource_exhausted: return Sent::no_room;
    case Code::invalid_argument: refused(stream, number, 0x95); return Sent::never;
    default: return Sent::lost;
  }
}

// Takes up to `most` from the front, as far as the host knows their metrics. How many records it took.
std::size_t Publisher::Impl::send_reports(std::deque<Record>& records, std::size_t most, bool historical) {
  Delivery& delivery = lane(Stream::sparkplug).delivery;
  Range range;
  std::vector<Report> reports;
  std::size_t taken = 0;
  for (; taken < most && !records.empty(); ++taken) {
    const RecordNumber number = records.front().number;
    Result<Report> report = decode_record(records.front().payload);
    const bool wanted = !historical || delivery.wants_history(number);
    if (wanted && report.has_value() && !all_born(*report)) {
      want_births(*report);
      if (historical) {
        history_held_ = true;
        break;
      }
      // It stays in the spool, and is history once the birth is out.
      if (!live_skipped_) live_skipped_ = session_->counts().births + session_->counts().device_births;
    } else if (wanted && report.has_value()) {
      reports.push_back(std::move(*report));
      if (range.count++ == 0) range.first = number;
      range.last = number;
    } else if (wanted) {
      refused(Stream::sparkplug, number, 0x99);
    }
    historical ? delivery.take_history(number) : delivery.take_live(number);
    records.pop_front();
    if (!reports.empty() && range.last != number) break;  // a range has no holes of others
  }
  if (range.count > 0) queue_reports(reports, range, historical);
  return taken;
}

void Publisher::Impl::queue_reports(std::span<const Report> reports, Range range, bool historical) {
  std::vector<SparkplugMessage> messages = session_->data(reports, historical, wall_now());
  // Nothing of it is of the last birth: the session has counted it.
  if (messages.empty()) return left(Stream::sparkplug, range);
  count_sent(Stream::sparkplug, range, historical);
  for (SparkplugMessage& message : messages)
    outbox_.push_back({.message = std::move(message), .ends = std::nullopt});
  outbox_.back().ends = range;
}

// QoS 0 by itself confirms nothing. An answer to anything later on the same connection does; where nothing later has
// one, a repeated SUBSCRIBE asks for it.
void Publisher::Impl::fence_when_due() {
  if (unfenced_.empty() || last_fence_ != 0) return;
  if (!on_its_way_.empty() && on_its_way_.back().number > unfenced_.back().number) return;
  const auto now = steady_clock::now();
  if (now - fenced_at_ < kFenceEvery && unfenced_.size() < kFenceAfter) return;
  const Result<io::MqttNumber> fence = connection_->fence();
  if (fence.has_error()) return;
  last_fence_ = *fence;
  fenced_at_ = now;
}

}  // namespace omnitide::telemetry
