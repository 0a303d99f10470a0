// Connections whose name was looked up before, on a worker: Asio's own look-up has one thread for all of a loop, and a
// dead name server would keep everybody waiting.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "agent/base/error.hpp"
#include "agent/io/stream.hpp"
#include "agent/io/worker_pool.hpp"

namespace omnitide::io {

// Looks a host up; one at a time: while the last look-up still hangs on its thread the next one is refused, so that one
// name never holds more than one thread.
class NameLookup {
 public:
  // At most eight literal addresses; of "localhost" and of a literal address without asking anybody.
  [[nodiscard]] boost::asio::awaitable<Result<std::vector<std::string>>> addresses(WorkerPool& workers,
                                                                                   std::string host,
                                                                                   std::chrono::milliseconds deadline);

 private:
  std::weak_ptr<int> last_;
};

// Connects to the first address that answers, all within the time; or to the unix socket when `unix_path` is not empty.
class Connector {
 public:
  explicit Connector(boost::asio::io_context& context);
  ~Connector();
  Connector(Connector&&) noexcept;
  Connector& operator=(Connector&&) = delete;

  [[nodiscard]] boost::asio::awaitable<Result<StreamSocket>> tcp(std::vector<std::string> addresses, std::uint16_t port,
                                                                 std::chrono::milliseconds timeout);
  [[nodiscard]] boost::asio::awaitable<Result<StreamSocket>> unix_socket(std::string path,
                                                                         std::chrono::milliseconds timeout);
  void cancel();  // ends what is under way with Code::aborted

 private:
  class Impl;
  std::shared_ptr<Impl> impl_;
};

}  // namespace omnitide::io
