// How a collection of objects is followed, as client-go's reflector does it, without I/O: it says what is to be asked
// next and is told what came. A whole state by one stream (WatchList) or by a paged list, then changes from there on.
//
//   no state ----------> stream with initial events --(bookmark: initial-events-end)--> watching
//      |                     | refused: the server has no WatchList; remembered              |
//      |                     v                                                               |
//      +--------------> pages of a list --(the last one)-----------------------------> watching
//      ^                                                                                     |
//      +---------------------------- 410 Gone: too old ------------------------------------ -+--> again, from the last
//                                                                                                 resourceVersion seen
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "agent/kubernetes/client.hpp"
#include "agent/kubernetes/decode.hpp"
#include "agent/kubernetes/retry.hpp"

namespace omnitide::kubernetes {

struct Step {
  enum class Kind : std::uint8_t { wait, stream, page };
  Kind kind = Kind::wait;
  std::chrono::milliseconds time{0};  // how long to wait; how long an answer may keep silent
  std::string query{};                // without the selectors
  bool begins = false;                // a whole state follows
};

// What an event means for whoever keeps the objects.
enum class Effect : std::uint8_t { none, put, remove, whole };  // whole: the state that began is complete

class Reflector {
 public:
  struct Limits {
    std::chrono::milliseconds first_wait{800}, longest_wait{30'000};
    std::chrono::seconds shortest_watch{300};  // a watch lasts this long up to twice as long
    unsigned page = 500;                       // objects
  };
  // `from`: the resourceVersion of a state that is there already; empty: none.
  explicit Reflector(Limits limits, std::string from = {});

  [[nodiscard]] Step next(std::uint64_t random);

  // Of a stream. What it returns for BOOKMARK is none or whole; ERROR goes to refused().
  [[nodiscard]] Effect event(Change change, const Head& head);
  void stream_ended(std::chrono::milliseconds lasted);  // in order
  // Of a page that came whole.
  [[nodiscard]] Effect page(std::string_view resource_version, std::string_view continuation);
  // Of either, also instead of an answer. `in_stream`: an ERROR event.
  void refused(const Fault& fault, bool in_stream);
  // The server was out of reach and is not any more: what it refuses now is refused for the first time, as kinds that
  // it does not know yet are by a server that starts. True: the wait that next() told is over.
  [[nodiscard]] bool returned() { return retry_.returned(); }

  // A whole state has come, and what has changed since is known, or will be asked for.
  [[nodiscard]] bool has_state() const { return !version_.empty(); }
  [[nodiscard]] const std::string& resource_version() const { return version_; }
  [[nodiscard]] bool lists() const { return lists_; }  // the server has no WatchList
  [[nodiscard]] unsigned failures() const { return retry_.failures(); }

 private:
  void forget();
  void wait(std::optional<std::chrono::milliseconds> asked = {});
  [[nodiscard]] Step stream(std::uint64_t random);
  [[nodiscard]] Step first_page() const;
  [[nodiscard]] bool without_watch_list(const Fault& fault, bool in_stream) const;

  Limits limits_;
  Retry retry_;
  std::string version_, continue_;
  std::optional<std::chrono::milliseconds> asked_;  // by the server, of the wait that comes
  unsigned unfinished_ = 0, expired_pages_ = 0;
  bool lists_ = false, waits_ = false, initial_ = false, anything_ = false;
  bool newest_ = false;  // the list must be the newest: what a cache has was too old
  bool unpaged_ = false;
};

}  // namespace omnitide::kubernetes
