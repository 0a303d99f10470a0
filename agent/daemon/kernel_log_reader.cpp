#include "agent/daemon/kernel_log_reader.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "agent/daemon/tuple.hpp"

namespace omnitide::daemon {

namespace asio = boost::asio;
using namespace std::chrono_literals;

namespace {

constexpr std::size_t kLongestRecord = 8192;  // PRINTK_MESSAGE_MAX and CONSOLE_EXT_LOG_MAX of the kernel
constexpr std::size_t kAtOnce = 64;           // records until others on the loop have their turn

}  // namespace

Result<UniqueFd> KernelLogReader::open(const std::string& path) {
  UniqueFd fd(::open(path.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC | O_NOCTTY));
  if (fd) return fd;
  const int problem = errno;
  Error error = fail_errno(problem, "cannot read " + path);
  if (problem == EPERM || problem == EACCES)
    error.hint = "with kernel.dmesg_restrict it takes CAP_SYSLOG: docs/health.md";
  return error;
}

KernelLogReader::KernelLogReader(asio::io_context& context, UniqueFd fd, std::uint32_t lines_per_second,
                                 std::uint64_t first, OnRecord on_record)
    : descriptor_(context, fd.release()),
      pause_(context),
      tokens_(lines_per_second),
      next_(first),
      gap_known_(first > 0),
      on_record_(std::move(on_record)),
      buffer_(kLongestRecord, '\0') {}

void KernelLogReader::stop() {
  stopping_ = true;
  boost::system::error_code ignored;
  descriptor_.cancel(ignored);
  pause_.cancel();
}

KernelLogReader::Read KernelLogReader::read_one() {
  const ssize_t got = ::read(descriptor_.native_handle(), buffer_.data(), buffer_.size());
  if (got > 0) {
    take(static_cast<std::size_t>(got));
    return Read::record;
  }
  problem_ = got == 0 ? ENODATA : errno;
  if (problem_ == EAGAIN || problem_ == EINTR) return Read::nothing;
  if (problem_ == EPIPE) return Read::overrun;      // the records that would be next were overwritten
  if (problem_ == EINVAL) return Read::unreadable;  // one that is longer than the buffer; the next read goes on
  return Read::failed;
}

void KernelLogReader::take(std::size_t bytes) {
  const auto record = health::parse_kernel_record(std::string_view(buffer_).substr(0, bytes));
  if (!record) return;
  if (record->sequence < next_) return;  // of an earlier run
  const std::uint64_t lost = gap_known_ ? record->sequence - next_ : 0;
  lost_ += lost;
  next_ = record->sequence + 1;
  gap_known_ = true;
  on_record_(*record, lost);
}

asio::awaitable<Result<>> KernelLogReader::run() {
  while (!stopping_) {
    const std::size_t most = tokens_.available(kAtOnce, std::chrono::steady_clock::now());
    Read last = Read::record;
    std::size_t count = 0;
    for (; count < most && (last == Read::record || last == Read::overrun || last == Read::unreadable); ++count)
      last = read_one();
    tokens_.take(count);
    if (last == Read::failed) co_return fail_errno(problem_, "cannot read the kernel's log");
    if (last == Read::nothing) {
      co_await descriptor_.async_wait(asio::posix::stream_descriptor::wait_read, kTuple);
    } else {
      // Between two records a pause that lets tokens come, and the loop run.
      pause_.expires_after(count < kAtOnce ? 100ms : 1ms);
      co_await pause_.async_wait(kTuple);
    }
  }
  co_return Result<>();
}

}  // namespace omnitide::daemon
