// Events about objects (events.k8s.io/v1): alike ones become a series of one object, so many of a source and no more,
// so many that wait and no more. Pure: it is given the time and says what is to be sent.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <string>

#include "agent/base/clock.hpp"

namespace omnitide::kubernetes {

struct ObjectReference {
  std::string api, kind, space, name, uid;  // api: "v1"; space: empty for what belongs to the cluster
};

struct EventNote {
  ObjectReference about;
  std::string source;  // whose bucket it is taken from
  bool warning = false;
  std::string reason, action;  // CamelCase words
  std::string subject;         // what makes two alike notes different; nobody is told of it
  std::string note;            // a sentence; 1 KiB of it is kept
  std::uint64_t times = 1;     // how often it came, this time included
  WallTime time{};
  // The object's name, for what many say and one is to tell: whoever comes first makes it, and it is no series.
  std::string shared_name{};
};

class EventRecorder {
 public:
  struct Limits {
    std::size_t most = 256;                       // objects that are known or wait
    double burst = 25;                            // of one source
    std::chrono::milliseconds refill{300'000};    // for one more; as client-go's spam filter has both
    std::chrono::milliseconds refresh{60'000};    // between two words about a series
    std::chrono::milliseconds finished{360'000};  // silence that ends a series, as client-go has it
  };
  static constexpr std::size_t kMostSources = 64, kLongestNote = 1024;

  // `controller`: reportingController, a qualified name. `instance`: which one of it.
  EventRecorder(std::string controller, std::string instance, Limits limits);
  EventRecorder(std::string controller, std::string instance)
      : EventRecorder(std::move(controller), std::move(instance), Limits()) {}

  void record(EventNote note, SteadyTime now);

  struct Write {
    std::string key, method, path, content_type, body;
    std::uint64_t count = 0;  // how many it speaks of
  };
  // What is to be sent now, if anything; one at a time, until done().
  [[nodiscard]] std::optional<Write> next(SteadyTime now);
  enum class Outcome : std::uint8_t { sent, gone, refused, failed };  // gone: the series' object; failed: try again
  void done(const Write& write, Outcome outcome, SteadyTime now);
  // When next() has something, as far as is known.
  [[nodiscard]] std::optional<SteadyTime> due() const;

  struct Counts {
    std::uint64_t sent = 0, refused = 0;
    std::uint64_t dropped = 0;  // by a bucket, or for want of room
  };
  [[nodiscard]] const Counts& counts() const { return counts_; }
  [[nodiscard]] std::size_t waiting() const;

 private:
  struct Entry {
    EventNote note;
    std::string object;  // its name at the server; empty: not made yet
    std::uint64_t count = 0, told = 0;
    WallTime last{};
    SteadyTime heard{}, due{};
    [[nodiscard]] bool waits() const { return told == 0 || (count > told && note.shared_name.empty()); }
  };
  struct Bucket {
    double tokens = 0;
    SteadyTime filled{};
  };
  [[nodiscard]] bool take_token(const std::string& source, SteadyTime now);
  void forget_finished(SteadyTime now);
  [[nodiscard]] Write creation(const std::string& key, Entry& entry);
  [[nodiscard]] Write repetition(const std::string& key, const Entry& entry) const;

  std::string controller_, instance_;
  Limits limits_;
  std::map<std::string, Entry> entries_;
  std::map<std::string, Bucket, std::less<>> buckets_;
  Counts counts_;
  std::uint64_t serial_ = 0;
};

}  // namespace omnitide::kubernetes
