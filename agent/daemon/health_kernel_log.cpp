#include "agent/daemon/health_kernel_log.hpp"

#include <algorithm>
#include <ctime>
#include <iterator>

namespace omnitide::daemon {

namespace asio = boost::asio;
using namespace std::chrono_literals;

namespace {

constexpr std::chrono::microseconds kLookBack = 5min;  // events of before the agent's first start on this boot

std::chrono::microseconds since_boot() {
  timespec now{};
  ::clock_gettime(CLOCK_MONOTONIC, &now);  // what the records have, but for a drift of some milliseconds
  return std::chrono::seconds(now.tv_sec) + std::chrono::microseconds(now.tv_nsec / 1000);
}

}  // namespace

HealthKernelLog::HealthKernelLog(asio::io_context& context, const std::vector<health::LogRules>& rules,
                                 std::uint32_t lines_per_second, LogTeller::Told told)
    : context_(context), rate_(lines_per_second), teller_(std::move(told)) {
  std::vector<health::LogRules> all{health::default_kernel_rules()};
  std::ranges::copy_if(rules, std::back_inserter(all),
                       [](const health::LogRules& each) { return each.origin.plugin == health::LogPlugin::kmsg; });
  for (const health::LogRules& each : all)
    status_.rules += each.rules.size();
  matcher_ = std::make_unique<health::LogMatcher>(std::move(all));
}

void HealthKernelLog::stop() {
  stopping_ = true;
  if (reader_) reader_->stop();
}

asio::awaitable<void> HealthKernelLog::run(std::uint64_t next_sequence, std::string path) {
  next_ = next_sequence;
  ignored_before_ = std::max(since_boot() - kLookBack, 0us);
  Result<UniqueFd> fd = KernelLogReader::open(path);
  if (fd.has_error()) {
    status_.problem = fd.error().text();
    teller_.problem();
    co_return;
  }
  reader_ = std::make_unique<KernelLogReader>(
      context_, std::move(*fd), rate_, next_sequence,
      [this](const health::KernelRecord& record, std::uint64_t lost) { take(record, lost); });
  status_.reading = true;
  const Result<> ended = co_await reader_->run();
  status_.reading = false;
  if (stopping_ || !ended.has_error()) co_return;
  status_.problem = ended.error().text();
  teller_.problem();
}

void HealthKernelLog::take(const health::KernelRecord& record, std::uint64_t lost) {
  ++status_.lines;
  status_.lost += lost;
  if (lost > 0) matcher_->interrupted();
  for (const health::LogHit& hit : matcher_->take(record.text)) {
    ++status_.hits;
    teller_.tell(hit, {"sequence", std::to_string(record.sequence)}, record.time < ignored_before_);
  }
}

}  // namespace omnitide::daemon
