#include "agent/kubernetes/event_recorder.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "agent/base/text.hpp"
#include "agent/kubernetes/resource.hpp"
#include "agent/kubernetes/words.hpp"

namespace omnitide::kubernetes {

namespace {

constexpr Resource kEvents{"events.k8s.io/v1", "events"};

// Where kubelet puts those of what has no namespace.
std::string event_space(const EventNote& note) { return note.about.space.empty() ? "default" : note.about.space; }

std::string event_key(const EventNote& note) {
  if (!note.shared_name.empty()) return note.shared_name;
  const ObjectReference& about = note.about;
  return fmt::format("{}\n{}\n{}\n{}\n{}\n{}\n{}\n{}", note.source, note.warning, note.action, note.reason,
                     note.subject, about.kind, about.space, about.name);
}

std::string reference_json(const ObjectReference& about) {
  std::string out = fmt::format(R"({{"apiVersion":{},"kind":{},"name":{})", json_quote(about.api),
                                json_quote(about.kind), json_quote(about.name));
  if (!about.space.empty()) out += ",\"namespace\":" + json_quote(about.space);
  if (!about.uid.empty()) out += ",\"uid\":" + json_quote(about.uid);
  return out + "}";
}

double refills(SteadyTime::duration time, std::chrono::milliseconds refill) {
  return std::chrono::duration<double>(time) / std::chrono::duration<double>(refill);
}

std::string series_json(std::uint64_t count, WallTime last) {
  return fmt::format(R"({{"count":{},"lastObservedTime":"{}"}})", count, api_micro_time(last));
}

}  // namespace

EventRecorder::EventRecorder(std::string controller, std::string instance, Limits limits)
    : controller_(std::move(controller)), instance_(std::move(instance)), limits_(limits) {}

bool EventRecorder::take_token(const std::string& source, SteadyTime now) {
  auto found = buckets_.find(source);
  if (found == buckets_.end()) {
    // A full bucket says the same as none.
    if (buckets_.size() >= kMostSources)
      std::erase_if(buckets_, [this, now](const auto& each) {
        return each.second.tokens + refills(now - each.second.filled, limits_.refill) >= limits_.burst;
      });
    if (buckets_.size() >= kMostSources) return false;
    found = buckets_.emplace(source, Bucket{limits_.burst, now}).first;
  }
  Bucket& bucket = found->second;
  bucket.tokens = std::min(limits_.burst, bucket.tokens + refills(now - bucket.filled, limits_.refill));
  bucket.filled = now;
  if (bucket.tokens < 1) return false;
  bucket.tokens -= 1;
  return true;
}

void EventRecorder::forget_finished(SteadyTime now) {
  std::erase_if(entries_, [this, now](const auto& each) {
    return !each.second.waits() && now - each.second.heard >= limits_.finished;
  });
}

void EventRecorder::record(EventNote note, SteadyTime now) {
  forget_finished(now);
  std::string key = event_key(note);
  if (const auto found = entries_.find(key); found != entries_.end()) {
    Entry& entry = found->second;
    entry.count += note.times;
    entry.last = std::max(entry.last, note.time);
    entry.heard = now;
    return;
  }
  if (entries_.size() >= limits_.most) {  // a series that was told is given up before anything new is
    const auto told = std::ranges::min_element(
        entries_, {}, [](const auto& each) { return std::pair(each.second.waits(), each.second.heard); });
    if (told->second.waits()) {
      counts_.dropped += note.times;
      return;
    }
    entries_.erase(told);
  }
  if (!take_token(note.source, now)) {
    counts_.dropped += note.times;
    return;
  }
  note.note = shortened(note.note, kLongestNote);
  Entry entry;
  entry.count = note.times;
  entry.last = note.time;
  entry.heard = entry.due = now;
  entry.note = std::move(note);
  entries_.emplace(std::move(key), std::move(entry));
}

EventRecorder::Write EventRecorder::creation(const std::string& key, Entry& entry) {
  const EventNote& note = entry.note;
  std::string name = note.shared_name;
  if (name.empty())  // as client-go names them, with a number for those of one millisecond
    name = fmt::format("{}.{:x}{:03x}", note.about.name, note.time.time_since_epoch().count(), serial_++ % 4096);
  entry.object = name;
  std::string body = fmt::format(
      R"({{"apiVersion":"{}","kind":"Event","metadata":{{"name":{},"namespace":{}}},"eventTime":"{}",)"
      R"("reportingController":{},"reportingInstance":{},"type":"{}","reason":{},"action":{},"note":{},"regarding":{})",
      kEvents.api, json_quote(name), json_quote(event_space(note)), api_micro_time(note.time), json_quote(controller_),
      json_quote(instance_), note.warning ? "Warning" : "Normal", json_quote(note.reason), json_quote(note.action),
      json_quote(note.note), reference_json(note.about));
  if (entry.count > 1 && note.shared_name.empty()) body += ",\"series\":" + series_json(entry.count, entry.last);
  return {key, "POST", collection_path(kEvents, event_space(note)), std::string(kJsonType), body + "}", entry.count};
}

EventRecorder::Write EventRecorder::repetition(const std::string& key, const Entry& entry) const {
  return {key,
          "PATCH",
          object_path(kEvents, {event_space(entry.note), entry.object}),
          "application/merge-patch+json",
          "{\"series\":" + series_json(entry.count, entry.last) + "}",
          entry.count};
}

std::optional<EventRecorder::Write> EventRecorder::next(SteadyTime now) {
  for (auto& [key, entry] : entries_) {
    if (!entry.waits() || entry.due > now) continue;
    return entry.told == 0 ? creation(key, entry) : repetition(key, entry);
  }
  return std::nullopt;
}

void EventRecorder::done(const Write& write, Outcome outcome, SteadyTime now) {
  const auto found = entries_.find(write.key);
  if (found == entries_.end()) return;
  Entry& entry = found->second;
  switch (outcome) {
    case Outcome::sent:
      ++counts_.sent;
      // The second one is told at once, as client-go does.
      entry.due = entry.told == 0 ? now : now + limits_.refresh;
      entry.told = write.count;
      return;
    case Outcome::gone:  // the server keeps an event for an hour: a new object goes on with the rest
      entry.count -= std::min(entry.told, entry.count - 1);
      entry.told = 0;
      entry.note.time = entry.last;
      entry.due = now;
      return;
    case Outcome::refused:
      ++counts_.refused;
      entries_.erase(found);
      return;
    case Outcome::failed: return;
  }
}

std::optional<SteadyTime> EventRecorder::due() const {
  std::optional<SteadyTime> out;
  for (const auto& [key, entry] : entries_)
    if (entry.waits() && (!out || entry.due < *out)) out = entry.due;
  return out;
}

std::size_t EventRecorder::waiting() const {
  return static_cast<std::size_t>(
      std::ranges::count_if(entries_, [](const auto& each) { return each.second.waits(); }));
}

}  // namespace omnitide::kubernetes
