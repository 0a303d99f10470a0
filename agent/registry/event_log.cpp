#include "agent/registry/event_log.hpp"

#include <algorithm>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <utility>

namespace omnitide::registry {

namespace asio = boost::asio;

namespace {

// Takes the timer out of the list also when the coroutine is destroyed.
class Waiting {
 public:
  Waiting(std::list<asio::steady_timer*>& list, asio::steady_timer& timer)
      : list_(list), at_(list.insert(list.end(), &timer)) {}
  Waiting(const Waiting&) = delete;
  Waiting& operator=(const Waiting&) = delete;
  ~Waiting() { list_.erase(at_); }

 private:
  std::list<asio::steady_timer*>& list_;
  std::list<asio::steady_timer*>::iterator at_;
};

}  // namespace

void EventLog::publish(Event event) {
  version_ = std::max(version_, event.version);
  events_.push_back(std::move(event));
  while (events_.size() > limit_) {
    oldest_ = events_.front().version;
    events_.pop_front();
  }
  wake();
}

void EventLog::reset(std::uint64_t version) {
  events_.clear();
  oldest_ = version_ = version;
  wake();
}

std::vector<Event> EventLog::after(std::uint64_t version, std::size_t limit) const {
  auto at = std::upper_bound(events_.begin(), events_.end(), version,
                             [](std::uint64_t wanted, const Event& event) { return wanted < event.version; });
  std::vector<Event> out;
  for (; at != events_.end() && out.size() < limit; ++at)
    out.push_back(*at);
  return out;
}

asio::awaitable<void> EventLog::wait(std::chrono::milliseconds at_most) {
  asio::steady_timer timer(loop_, at_most);
  const Waiting entry(waiting_, timer);
  boost::system::error_code ignored;
  co_await timer.async_wait(asio::redirect_error(asio::use_awaitable, ignored));
}

void EventLog::wake() {
  for (asio::steady_timer* timer : waiting_)
    timer->cancel();
}

}  // namespace omnitide::registry
