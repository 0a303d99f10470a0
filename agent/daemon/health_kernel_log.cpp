#include "agent/daemon/health_kernel_log.hpp"

#include <algorithm>
#include <ctime>

#include "agent/base/log.hpp"
#include "agent/base/text.hpp"
#include "agent/daemon/health_rules.hpp"

namespace omnitide::daemon {

namespace asio = boost::asio;
using namespace std::chrono_literals;

namespace {

constexpr std::chrono::microseconds kLookBack = 5min;   // events of before the agent's first start on this boot
constexpr std::chrono::milliseconds kSameEvent = 5min;  // one of a kind in this time
constexpr std::uint32_t kEventsAMinute = 30;
constexpr std::size_t kToldLine = 512;

std::chrono::microseconds since_boot() {
  timespec now{};
  ::clock_gettime(CLOCK_MONOTONIC, &now);  // what the records have, but for a drift of some milliseconds
  return std::chrono::seconds(now.tv_sec) + std::chrono::microseconds(now.tv_nsec / 1000);
}

}  // namespace

HealthKernelLog::HealthKernelLog(asio::io_context& context, const config::HealthConfig& config, Told told)
    : context_(context), rate_(config.kernel_log_rate), told_(std::move(told)), limiter_(kSameEvent, kEventsAMinute) {
  std::vector<health::LogRules> rules{health::default_kernel_rules()};
  for (const std::string& path : config.rule_files) {
    Result<health::LogRules> loaded = load_log_rules(path);
    if (loaded.has_error()) {
      log::error(log::Part::health, "a rule file is refused, going on without it", {{"reason", loaded.error().text()}});
      status_.refused.push_back(loaded.error().text());
      continue;
    }
    rules.push_back(std::move(*loaded));
  }
  for (const health::LogRules& each : rules)
    status_.rules += each.rules.size();
  matcher_ = std::make_unique<health::LogMatcher>(std::move(rules));
}

void HealthKernelLog::stop() {
  stopping_ = true;
  if (reader_) reader_->stop();
}

std::vector<health::Finding> HealthKernelLog::defaults() const {
  std::vector<health::Finding> out;
  for (const health::LogRules& rules : matcher_->rules()) {
    for (health::Finding finding : rules.defaults) {
      finding.check = rules.source;
      out.push_back(std::move(finding));
    }
  }
  return out;
}

asio::awaitable<void> HealthKernelLog::run(std::uint64_t next_sequence, std::string path) {
  next_ = next_sequence;
  ignored_before_ = std::max(since_boot() - kLookBack, 0us);
  Result<UniqueFd> fd = KernelLogReader::open(path);
  if (fd.has_error()) {
    status_.problem = fd.error().text();
    told_.problem();
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
  told_.problem();
}

void HealthKernelLog::take(const health::KernelRecord& record, std::uint64_t lost) {
  ++status_.lines;
  status_.lost += lost;
  if (lost > 0) matcher_->interrupted();
  for (const health::LogHit& hit : matcher_->take(record.text)) {
    ++status_.hits;
    const std::string line = printable(hit.line, kToldLine);
    if (hit.rule->permanent) {
      told_.finding({hit.rule->condition,
                     hit.rules->source,
                     health::Verdict::bad,
                     hit.rule->reason,
                     line,
                     {{"line", line}, {"sequence", std::to_string(record.sequence)}}});
      continue;
    }
    if (record.time < ignored_before_) continue;
    const auto held = limiter_.pass(hit.rules->source + ' ' + hit.rule->reason, std::chrono::steady_clock::now());
    if (held) told_.event({hit.rules->source, hit.rule->reason, line, *held});
  }
}

}  // namespace omnitide::daemon
