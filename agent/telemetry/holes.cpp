#include "agent/telemetry/holes.hpp"

#include <algorithm>

namespace omnitide::telemetry {

std::size_t Holes::at_or_behind(RecordNumber number) const {
  return static_cast<std::size_t>(std::ranges::lower_bound(ranges_, number, {}, &Range::last) - ranges_.begin());
}

bool Holes::insert(std::size_t at, const Range& range) {
  const auto place = ranges_.begin() + static_cast<std::ptrdiff_t>(at);
  count_ += range.last - range.first + 1;
  if (place != ranges_.begin() && place[-1].cause == range.cause && place[-1].last + 1 == range.first) {
    place[-1].last = range.last;
  } else if (place != ranges_.end() && place->cause == range.cause && range.last + 1 == place->first) {
    place->first = range.first;
  } else if (full()) {
    count_ -= range.last - range.first + 1;
    return false;
  } else {
    ranges_.insert(place, range);
  }
  return true;
}

bool Holes::add(RecordNumber first, RecordNumber last, DropCause cause) {
  while (first <= last) {
    const std::size_t at = at_or_behind(first);
    const bool known = at < ranges_.size() && ranges_[at].first <= first;
    if (known) {
      first = ranges_[at].last + 1;
      continue;
    }
    const RecordNumber end = at < ranges_.size() ? std::min(last, ranges_[at].first - 1) : last;
    if (!insert(at, {first, end, cause})) return false;
    first = end + 1;
  }
  return true;
}

RecordNumber Holes::end_of(RecordNumber number) const {
  const std::size_t at = at_or_behind(number);
  return at < ranges_.size() && ranges_[at].first <= number ? ranges_[at].last : 0;
}

std::uint64_t Holes::take(RecordNumber through, DropCounts& counts) {
  std::uint64_t out = 0;
  std::size_t whole = 0;
  for (; whole < ranges_.size() && ranges_[whole].first <= through; ++whole) {
    Range& range = ranges_[whole];
    const RecordNumber last = std::min(range.last, through);
    const std::uint64_t taken = last - range.first + 1;
    counts[static_cast<std::size_t>(range.cause)] += taken;
    out += taken;
    range.first = last + 1;
    if (last < range.last) break;
  }
  ranges_.erase(ranges_.begin(), ranges_.begin() + static_cast<std::ptrdiff_t>(whole));
  count_ -= out;
  return out;
}

void Holes::add_to(DropCounts& counts) const {
  for (const Range& range : ranges_)
    counts[static_cast<std::size_t>(range.cause)] += range.last - range.first + 1;
}

}  // namespace omnitide::telemetry
