// What the broker said: confirmations, refusals by cause, and messages to the node.
#include <algorithm>
#include <utility>

#include "agent/base/random.hpp"
#include "agent/telemetry/publisher_impl.hpp"

namespace omnitide::telemetry {

using std::chrono::steady_clock;

namespace {

// Reason codes of MQTT 5 that mean this record, not this moment: it would be refused again.
bool is_final(std::uint8_t reason) { return reason == 0x90 || reason == 0x95 || reason == 0x99; }

}  // namespace

void Publisher::Impl::left(Stream stream, Range range) {
  Lane& own = lane(stream);
  own.delivery.done(range.first, range.last);
  own.confirmed += range.count;
}

void Publisher::Impl::on_answer(const io::MqttAnswer& answer) {
  if (answer.number == last_fence_) last_fence_ = 0;
  const auto found = std::lower_bound(on_its_way_.begin(), on_its_way_.end(), answer.number,
                                      [](const OnItsWay& one, io::MqttNumber number) { return one.number < number; });
  if (found != on_its_way_.end() && found->number == answer.number) {
    const OnItsWay one = *found;
    on_its_way_.erase(found);
    if (answer.reason >= 0x80) {
      refused(one.stream, one.record, answer.reason);
    } else {
      left(one.stream, {.first = one.record, .last = one.record, .count = 1});
      lane(one.stream).refusals.reset();
    }
  }
  while (!unfenced_.empty() && unfenced_.front().number < answer.number) {
    left(Stream::sparkplug, unfenced_.front().range);
    unfenced_.pop_front();
  }
  pump_soon();
  if (leave_) wake();
}

void Publisher::Impl::refused(Stream stream, RecordNumber record, std::uint8_t reason) {
  if (is_final(reason)) {
    spool_->refuse(stream, record);
    lane(stream).delivery.done(record, record);
    return;
  }
  ++backing_off_;
  pause_stream(stream);
}

// The broker takes it later, perhaps: a full quota, an access list that is being changed. Nothing else of the stream
// goes out meanwhile, so that the order is kept from there on.
void Publisher::Impl::pause_stream(Stream stream) {
  Lane& own = lane(stream);
  if (own.paused_until) return;
  if (!own.refusals) own.refusals.emplace(options_.backoff_base, options_.backoff_cap);
  own.paused_until = steady_clock::now() + options_.backoff_base + own.refusals->next(random_u64());
  if (log_refused_.pass(steady_clock::now()))
    log::warning(log::Part::telemetry, "the broker refuses records for now, trying again later",
                 {{"stream", std::string(kStreamNames[static_cast<std::size_t>(stream)])}});
}

void Publisher::Impl::resume_streams(SteadyTime now) {
  for (std::size_t i = 0; i < kStreams; ++i) {
    Lane& own = lanes_[i];
    if (!own.paused_until || now < *own.paused_until) continue;
    const bool waits = std::any_of(on_its_way_.begin(), on_its_way_.end(),
                                   [i](const OnItsWay& one) { return one.stream == static_cast<Stream>(i); });
    if (waits) continue;
    own.paused_until.reset();
    own.history.clear();
    own.late.clear();
    own.delivery.online();  // what was refused, and what came since, is history
  }
}

void Publisher::Impl::confirm() {
  if (!spool_) return;
  bool news = false;
  for (std::size_t i = 0; i < kStreams; ++i) {
    const auto through = lanes_[i].delivery.confirmed();
    if (through) spool_->confirm(static_cast<Stream>(i), *through);
    const auto beyond = lanes_[i].delivery.delivered();
    if (beyond) spool_->keep_delivered(static_cast<Stream>(i), *beyond);
    news = news || through || beyond;
  }
  if (news) write_soon(false);  // else a kill would make all of it come again
}

void Publisher::Impl::on_message(const io::MqttMessage& message) {
  if (!session_) return;
  session_->message(message.topic, message.payload, wall_now());
  act();
  pump_soon();
}

}  // namespace omnitide::telemetry
