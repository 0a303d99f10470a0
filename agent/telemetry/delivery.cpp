#include "agent/telemetry/delivery.hpp"

#include <algorithm>
#include <iterator>
#include <utility>

namespace omnitide::telemetry {

namespace {

// Ranges arise where a backlog and live data meet, a few for each connection. Beyond this the oldest are forgotten, and
// their records are sent twice.
constexpr std::size_t kMostRanges = 256;

}  // namespace

Delivery::Delivery(RecordNumber first, RecordNumber next, const DeliveredRanges& delivered)
    : through_((first == 0 ? next : first) - 1),
      told_(through_),
      next_(next),
      live_(next),
      history_(through_ + 1),
      history_end_(next) {
  for (const NumberRange& range : delivered)
    if (range.first != 0 && range.last < next) done(range.first, range.last);
}

void Delivery::appended(RecordNumber number) { next_ = number + 1; }

void Delivery::online() {
  online_ = true;
  history_ = through_ + 1;
  history_end_ = live_ = next_;
}

void Delivery::offline() { online_ = false; }

bool Delivery::is_done(RecordNumber number) const { return number <= through_ || done_.contains(number); }

bool Delivery::wants_history(RecordNumber number) const {
  return number >= history_ && number < history_end_ && !is_done(number);
}

void Delivery::take_live(RecordNumber number) {
  const RecordNumber found = number == 0 ? next_ : number;
  if (found < live_ || found > next_) return;
  if (found > live_) done(live_, found - 1);
  live_ = number == 0 ? found : found + 1;
}

void Delivery::take_history(RecordNumber number) {
  const RecordNumber found = number == 0 ? history_end_ : std::min(number, history_end_);
  if (found < history_) return;
  if (found > history_) done(history_, found - 1);
  history_ = number == 0 || number >= history_end_ ? history_end_ : number + 1;
}

std::uint64_t Delivery::sent(RecordNumber first, RecordNumber last) {
  std::uint64_t again = 0;
  for (RecordNumber number = first; number <= last; ++number)
    again += sent_.contains(number) ? 1U : 0U;
  sent_.add(first, last);
  if (sent_.rows() > kMostRanges) sent_.drop_oldest_range();
  return again;
}

void Delivery::done(RecordNumber first, RecordNumber last) {
  first = std::max(first, through_ + 1);
  if (first > last) return;
  beyond_changed_ = beyond_changed_ || done_.rows() > 0 || first > through_ + 1;
  done_.add(first, last);
  if (const auto end = done_.row_at(through_ + 1)) {
    through_ = *end;
    done_.drop_through(through_);
    sent_.drop_through(through_);
  }
  if (done_.rows() > kMostRanges) done_.drop_oldest_range();
}

std::optional<RecordNumber> Delivery::confirmed() {
  if (through_ == told_) return std::nullopt;
  told_ = through_;
  return told_;
}

std::optional<DeliveredRanges> Delivery::delivered() {
  if (!std::exchange(beyond_changed_, false)) return std::nullopt;
  DeliveredRanges out{};
  const auto& rows = done_.all();
  const std::size_t kept = std::min(rows.size(), out.size());
  auto row = std::prev(rows.end(), static_cast<std::ptrdiff_t>(kept));
  for (std::size_t i = 0; i < kept; ++i, ++row)
    out.at(i) = {row->first, row->second};
  return out;
}

}  // namespace omnitide::telemetry
