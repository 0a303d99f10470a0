#include "agent/kubernetes/reflector.hpp"

#include <fmt/format.h>

#include <utility>

#include "agent/io/http_client.hpp"

namespace omnitide::kubernetes {

namespace {

// Of a request whose answer has an end, and beyond a watch's own end.
constexpr std::chrono::seconds kAnswerTime{60}, kSlack{30};
constexpr std::chrono::milliseconds kShortStream{1000};
constexpr unsigned kMostUnfinished = 2;

// What this server has is older than what was seen of another one, or than what was seen before its data came back from
// a backup; client-go goes by the same words.
bool from_the_future(const Fault& fault) {
  return fault.status == 504 && fault.error.message.find("Too large resource version") != std::string::npos;
}

bool too_old(const Fault& fault) {
  return fault.status == 410 || fault.reason == "Expired" || fault.reason == "Gone" || from_the_future(fault);
}

}  // namespace

Reflector::Reflector(Limits limits, std::string from)
    : limits_(limits), retry_(limits.first_wait, limits.longest_wait), version_(std::move(from)) {}

Step Reflector::next(std::uint64_t random) {
  if (std::exchange(waits_, false))
    return {.kind = Step::Kind::wait, .time = retry_.after(std::exchange(asked_, {}), random)};
  retry_.began();
  anything_ = false;
  if (has_state() || !lists_) return stream(random);
  Step out = first_page();
  if (!continue_.empty()) {
    out.query = fmt::format("limit={}&continue={}", limits_.page, io::encode_segment(continue_));
    out.begins = false;
  }
  return out;
}

Step Reflector::stream(std::uint64_t random) {
  initial_ = !has_state();
  const auto shortest = static_cast<std::uint64_t>(limits_.shortest_watch.count());
  const std::uint64_t seconds = shortest + random % (shortest + 1);
  Step out{.kind = Step::Kind::stream, .time = std::chrono::seconds(seconds) + kSlack};
  out.query = fmt::format("watch=1&allowWatchBookmarks=true&timeoutSeconds={}&resourceVersion={}", seconds,
                          io::encode_segment(version_));
  if (initial_) out.query += "&sendInitialEvents=true&resourceVersionMatch=NotOlderThan";
  out.begins = initial_;
  return out;
}

// The first list may come from the server's cache, one after a 410 must not: that cache was too old.
Step Reflector::first_page() const {
  Step out{.kind = Step::Kind::page, .time = kAnswerTime, .begins = true};
  out.query = newest_ ? "resourceVersion=" : "resourceVersion=0";
  if (!unpaged_) out.query += fmt::format("&limit={}", limits_.page);
  return out;
}

Effect Reflector::event(Change change, const Head& head) {
  anything_ = true;
  if (change == Change::unknown || change == Change::error) return Effect::none;
  // Within the initial events no version is a state to go on from.
  if (!initial_ && !head.resource_version.empty()) version_ = head.resource_version;
  if (!initial_) retry_.took();
  if (change == Change::bookmark) {
    if (!initial_ || !head.initial_events_end || head.resource_version.empty()) return Effect::none;
    initial_ = false;
    version_ = head.resource_version;
    unfinished_ = 0;
    newest_ = false;
    retry_.took();
    return Effect::whole;
  }
  return change == Change::deleted ? Effect::remove : Effect::put;
}

void Reflector::stream_ended(std::chrono::milliseconds lasted) {
  if (!initial_) {
    // A server that ends each watch at once would be asked without end.
    if (!anything_ && lasted < kShortStream) wait();
    return;
  }
  // Whoever does not know the parameter starts to send and never says that it was all.
  if (++unfinished_ >= kMostUnfinished) lists_ = true;
  wait();
}

Effect Reflector::page(std::string_view resource_version, std::string_view continuation) {
  continue_ = continuation;
  if (!continue_.empty()) return Effect::none;
  if (resource_version.empty()) {  // a list without one cannot be gone on from
    wait();
    return Effect::none;
  }
  version_ = resource_version;
  expired_pages_ = 0;
  newest_ = unpaged_ = false;
  retry_.took();
  return Effect::whole;
}

bool Reflector::without_watch_list(const Fault& fault, bool in_stream) const {
  if (!initial_ || too_old(fault)) return false;
  switch (fault.status) {
    case 0:    // no answer
    case 401:  // of every request
    case 403:
    case 404:  // the kind is not there: no list would be either
    case 408:
    case 429:
    case 503:
    case 504: return false;
    default: return in_stream || (fault.status >= 400 && fault.status < 500);
  }
}

void Reflector::refused(const Fault& fault, bool in_stream) {
  if (without_watch_list(fault, in_stream)) {
    lists_ = true;  // asked at once
    initial_ = false;
    return;
  }
  if (too_old(fault)) forget();
  wait(fault.retry_after);
}

void Reflector::forget() {
  // Only a server that works says so: the waits of the time in which there was none do not count for the whole state.
  if (!newest_) retry_.took();
  // The token of a list that took too long: from its begin, and at last in one piece.
  if (!continue_.empty() && ++expired_pages_ >= 2) unpaged_ = true;
  continue_.clear();
  version_.clear();
  newest_ = true;
}

void Reflector::wait(std::optional<std::chrono::milliseconds> asked) {
  waits_ = true;
  asked_ = asked;
}

}  // namespace omnitide::kubernetes
