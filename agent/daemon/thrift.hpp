// Gives back memory that is not used, for as long as the process runs.
#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>

namespace omnitide::daemon {

// A while after the start, and every ten minutes from then on: free heap (malloc_trim(3)), and the pages of code and
// constants that nothing has used lately. The kernel maps sixteen pages around each first use, so that what only the
// start, a command or a lost connection needed would stay for good. What is needed again comes back from the page
// cache: some sixty minor faults. Only segments that cannot be written are touched (MADV_DONTNEED in madvise(2)); what
// a debugger or a uprobe has written into them goes too.
class Thrift {
 public:
  explicit Thrift(boost::asio::io_context& context) : timer_(context) {}
  void start() { wait(std::chrono::seconds(10)); }
  void stop() { timer_.cancel(); }

 private:
  void wait(std::chrono::seconds time);

  boost::asio::steady_timer timer_;
};

}  // namespace omnitide::daemon
