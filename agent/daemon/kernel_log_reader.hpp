// Reads /dev/kmsg on the loop, record by record, at a bounded rate: what comes faster waits in the kernel's ring, and
// what the kernel overwrites there is counted as lost.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/steady_timer.hpp>
#include <cstdint>
#include <functional>
#include <string>

#include "agent/base/error.hpp"
#include "agent/base/fd.hpp"
#include "agent/base/token_bucket.hpp"
#include "health/checks/kernel_record.hpp"

namespace omnitide::daemon {

class KernelLogReader {
 public:
  using OnRecord = std::function<void(const health::KernelRecord& record, std::uint64_t lost_before)>;

  // Opens without waiting. What is refused says why.
  [[nodiscard]] static Result<UniqueFd> open(const std::string& path = "/dev/kmsg");

  // `first`: records before this sequence were seen by an earlier run; 0: all are new.
  KernelLogReader(boost::asio::io_context& context, UniqueFd fd, std::uint32_t lines_per_second, std::uint64_t first,
                  OnRecord on_record);
  // Until stop(), or until the descriptor fails.
  [[nodiscard]] boost::asio::awaitable<Result<>> run();
  void stop();
  [[nodiscard]] std::uint64_t next_sequence() const { return next_; }
  [[nodiscard]] std::uint64_t lost() const { return lost_; }

 private:
  enum class Read : std::uint8_t { record, nothing, overrun, unreadable, failed };
  [[nodiscard]] Read read_one();
  void take(std::size_t bytes);

  boost::asio::posix::stream_descriptor descriptor_;
  boost::asio::steady_timer pause_;
  TokenBucket tokens_;
  std::uint64_t next_;  // sequence that is expected
  bool gap_known_;      // `next_` says where reading went on before
  OnRecord on_record_;
  std::string buffer_;
  std::uint64_t lost_ = 0;
  int problem_ = 0;
  bool stopping_ = false;
};

}  // namespace omnitide::daemon
