// The latest changes of nodes, for watches: bounded, in the order of the commits.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <cstdint>
#include <deque>
#include <list>
#include <string>
#include <vector>

namespace omnitide::registry {

enum class Change : std::uint8_t { added = 1, modified = 2, deleted = 3 };  // numbers as in WatchType

struct Event {
  std::uint64_t version = 0;
  Change change = Change::modified;
  std::string node_id;
};

class EventLog {
 public:
  EventLog(boost::asio::io_context& loop, std::size_t limit) : loop_(loop), limit_(limit) {}

  void publish(Event event);
  // Forgets all; only `version` and later can be watched from now on.
  void reset(std::uint64_t version);
  [[nodiscard]] std::uint64_t version() const { return version_; }
  // Whether every change after `version` is still here, and the version is not from another history.
  [[nodiscard]] bool reaches(std::uint64_t version) const { return version >= oldest_ && version <= version_; }
  [[nodiscard]] std::vector<Event> after(std::uint64_t version, std::size_t limit) const;
  // Ends at the next change, at wake() or after the time given.
  [[nodiscard]] boost::asio::awaitable<void> wait(std::chrono::milliseconds at_most);
  void wake();

 private:
  boost::asio::io_context& loop_;
  std::size_t limit_;
  std::deque<Event> events_;
  std::uint64_t oldest_ = 0, version_ = 0;
  std::list<boost::asio::steady_timer*> waiting_;
};

}  // namespace omnitide::registry
