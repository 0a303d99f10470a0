#include "health/checks/condition_store.hpp"

#include <algorithm>

namespace omnitide::health {

namespace {

using model::ConditionStatus;

bool is(const ConditionEntry& entry, std::string_view condition, std::string_view check) {
  return entry.settled.condition == condition && entry.settled.check == check;
}

// Whether `a` says more of the condition than `b` does.
bool outranks(const ConditionEntry& a, const ConditionEntry& b) {
  if (a.settled.verdict != b.settled.verdict) return a.settled.verdict > b.settled.verdict;
  // The oldest fault says since when; that all is well is so since the last one became well.
  return a.settled.verdict == Verdict::good ? a.since > b.since : a.since < b.since;
}

ConditionStatus status_of(Verdict verdict) {
  return verdict == Verdict::bad    ? ConditionStatus::true_
         : verdict == Verdict::good ? ConditionStatus::false_
                                    : ConditionStatus::unknown;
}

}  // namespace

std::optional<ConditionChange> ConditionStore::apply(Finding finding, Hysteresis hysteresis, WallTime now) {
  auto entry = std::ranges::find_if(
      entries_, [&finding](const ConditionEntry& each) { return is(each, finding.condition, finding.check); });
  if (entry == entries_.end()) {
    if (entries_.size() >= kMostEntries) return std::nullopt;
    ConditionEntry fresh;
    fresh.settled.condition = finding.condition;
    fresh.settled.check = finding.check;
    fresh.since = now;
    entry = entries_.insert(entries_.end(), std::move(fresh));
  }
  entry->seen = now;
  if (finding.verdict == Verdict::unknown && (entry->settled.verdict == Verdict::unknown || hysteresis.unknown == 0)) {
    // Nothing was learnt: what was believed stays, and so does its streak.
    if (entry->settled.verdict == Verdict::unknown) entry->settled = std::move(finding);
    return std::nullopt;
  }
  entry->streak = entry->leaning == finding.verdict ? entry->streak + 1 : 1;
  entry->leaning = finding.verdict;
  if (finding.verdict == entry->settled.verdict) {
    const bool news = finding.verdict == Verdict::bad && finding.reason != entry->settled.reason;
    entry->settled = std::move(finding);
    if (!news) return std::nullopt;
    return ConditionChange{entry->settled, Verdict::bad, entry->since};
  }
  // That all is well needs no proof while nothing else was ever said.
  const bool first = entry->settled.verdict == Verdict::unknown && finding.verdict == Verdict::good;
  const unsigned needed = first                              ? 1
                          : finding.verdict == Verdict::bad  ? hysteresis.bad
                          : finding.verdict == Verdict::good ? hysteresis.good
                                                             : hysteresis.unknown;
  if (entry->streak < needed) return std::nullopt;
  ConditionChange change{finding, entry->settled.verdict, entry->since};
  if (entry->settled.verdict == Verdict::unknown) change.since = {};
  entry->settled = std::move(finding);
  entry->since = now;
  return change;
}

std::vector<model::Condition> ConditionStore::conditions() const {
  std::vector<const ConditionEntry*> chosen;
  for (const ConditionEntry& entry : entries_) {
    const auto same = std::ranges::find_if(
        chosen, [&entry](const ConditionEntry* other) { return other->settled.condition == entry.settled.condition; });
    if (same == chosen.end())
      chosen.push_back(&entry);
    else if (outranks(entry, **same))
      *same = &entry;
  }
  std::vector<model::Condition> out;
  out.reserve(chosen.size());
  for (const ConditionEntry* entry : chosen)
    out.push_back({.type = entry->settled.condition,
                   .status = status_of(entry->settled.verdict),
                   .reason = entry->settled.reason,
                   .message = entry->settled.message,
                   .since = entry->since});
  return out;
}

const ConditionEntry* ConditionStore::find(std::string_view condition, std::string_view check) const {
  const auto found = std::ranges::find_if(
      entries_, [condition, check](const ConditionEntry& entry) { return is(entry, condition, check); });
  return found == entries_.end() ? nullptr : &*found;
}

void ConditionStore::restore(std::vector<ConditionEntry> entries) {
  for (ConditionEntry& entry : entries) {
    if (entries_.size() >= kMostEntries) return;
    if (find(entry.settled.condition, entry.settled.check) == nullptr) entries_.push_back(std::move(entry));
  }
}

void ConditionStore::forget(std::string_view condition, std::string_view check) {
  std::erase_if(entries_, [condition, check](const ConditionEntry& entry) { return is(entry, condition, check); });
}

}  // namespace omnitide::health
