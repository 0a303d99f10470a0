// How far one stream is delivered: what is on its way live, what is history and waits its turn, what has left. Pure.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>

#include "agent/telemetry/ranges.hpp"
#include "agent/telemetry/record.hpp"

namespace omnitide::telemetry {

// Two fronts go through the numbers of a stream. Live records go out as they come; what was there when the connection
// began is history and follows beside them. What live records confirm beyond the history is remembered, so that it is
// not sent again when the connection ends before the history does.
class Delivery {
 public:
  Delivery() = default;
  // Of a spool whose oldest record is `first` (0: it is empty) and whose next append gets `next`. `delivered`: what an
  // earlier process had confirmed beyond.
  Delivery(RecordNumber first, RecordNumber next, const DeliveredRanges& delivered = {});

  void appended(RecordNumber number);
  void online();   // everything that has not left is history from here on
  void offline();  // and what was on its way is not
  [[nodiscard]] bool is_online() const { return online_; }

  // The numbers behind which the next of each front is to be read, when there is one.
  [[nodiscard]] bool has_live() const { return online_ && live_ < next_; }
  [[nodiscard]] bool has_history() const { return online_ && history_ < history_end_; }
  [[nodiscard]] RecordNumber live_after() const { return live_ - 1; }
  [[nodiscard]] RecordNumber history_after() const { return history_ - 1; }
  [[nodiscard]] bool wants_history(RecordNumber number) const;  // else live data had it, or has it
  // The front goes behind this record, which was read there (0: none was). What is missing before it was evicted and
  // counts as left.
  void take_live(RecordNumber number);
  void take_history(RecordNumber number);

  // Handed to the broker, these. How many of them were before.
  [[nodiscard]] std::uint64_t sent(RecordNumber first, RecordNumber last);
  // Left for good, confirmed or refused; in any order.
  void done(RecordNumber first, RecordNumber last);
  // Everything up to this number has left; nothing when that is no news.
  [[nodiscard]] std::optional<RecordNumber> confirmed();
  // What has left beyond, for the next process; nothing when that is no news.
  [[nodiscard]] std::optional<DeliveredRanges> delivered();
  [[nodiscard]] std::uint64_t history_left() const { return online_ ? history_end_ - history_ : 0; }

 private:
  [[nodiscard]] bool is_done(RecordNumber number) const;

  RecordNumber through_ = 0, told_ = 0;  // all up to it have left; the same as told by confirmed()
  RecordNumber next_ = 1;                // of the next append
  RecordNumber live_ = 1;                // next to send live
  RecordNumber history_ = 1, history_end_ = 1;
  bool online_ = false, beyond_changed_ = false;
  Ranges done_, sent_;  // beyond through_
};

}  // namespace omnitide::telemetry
