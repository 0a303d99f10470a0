#include "agent/daemon/health_logs.hpp"

#include <fcntl.h>

#include <algorithm>
#include <cerrno>
#include <functional>
#include <optional>
#include <utility>

#include "agent/base/fd.hpp"
#include "agent/daemon/tuple.hpp"

namespace omnitide::daemon {

namespace asio = boost::asio;
using namespace std::chrono_literals;
using health::LogPlugin;

namespace {

constexpr std::chrono::milliseconds kDiskPatience = 30s;  // for a disk that is busy
constexpr std::chrono::milliseconds kOpenAgain = 15s;     // when a log cannot be read
constexpr std::size_t kLinesAtOnce = 64;                  // until others on the loop have their turn

std::string log_name(const health::LogOrigin& origin) {
  if (origin.plugin == LogPlugin::filelog) return origin.path;
  return origin.path.empty() ? "journal" : "journal in " + origin.path;
}

struct OpenedFeed {
  std::shared_ptr<LogFeed> feed;
  UniqueFd fd;  // a copy: the feed owns its own
};

}  // namespace

HealthLogs::HealthLogs(asio::io_context& context, io::WorkerPool& pool, const std::vector<health::LogRules>& rules,
                       std::uint32_t lines_per_second, LogTeller::Told told)
    : context_(context), pool_(pool), rate_(lines_per_second), teller_(std::move(told)), started_(wall_now()) {
  for (const health::LogRules& each : rules) {
    if (each.origin.plugin == LogPlugin::kmsg) continue;
    Followed& log = followed(each.origin);
    log.look_back = std::max(log.look_back, each.origin.look_back);
    log.status.rules += each.rules.size();
    log.sources.push_back({each.origin, std::make_unique<health::LogMatcher>(std::vector<health::LogRules>{each})});
  }
}

HealthLogs::Followed& HealthLogs::followed(const health::LogOrigin& origin) {
  const std::string name = log_name(origin);
  for (const auto& each : followed_)
    if (each->status.log == name) return *each;
  auto fresh = std::make_unique<Followed>(context_, rate_);
  fresh->status.log = name;
  fresh->plugin = origin.plugin;
  fresh->path = origin.path;
  return *followed_.emplace_back(std::move(fresh));
}

std::vector<asio::awaitable<void>> HealthLogs::run(const Positions& positions) {
  std::vector<asio::awaitable<void>> out;
  for (const auto& log : followed_) {
    if (const auto known = positions.find(log->status.log); known != positions.end()) log->position = known->second;
    log->fresh = log->position.empty();
    out.push_back(follow(*log));
  }
  return out;
}

void HealthLogs::stop() {
  stopping_ = true;
  boost::system::error_code ignored;
  for (const auto& log : followed_) {
    log->pause.cancel();
    if (log->descriptor) log->descriptor->cancel(ignored);
  }
}

std::vector<health::Finding> HealthLogs::defaults() const {
  std::vector<health::Finding> out;
  for (const auto& log : followed_)
    for (const Source& source : log->sources)
      for (health::Finding& each : LogTeller::defaults(source.matcher->rules()))
        out.push_back(std::move(each));
  return out;
}

std::vector<HealthLogs::Status> HealthLogs::status() const {
  std::vector<Status> out;
  for (const auto& log : followed_)
    out.push_back(log->status);
  return out;
}

HealthLogs::Positions HealthLogs::positions() const {
  Positions out;
  for (const auto& log : followed_)
    if (!log->position.empty()) out[log->status.log] = log->position;
  return out;
}

void HealthLogs::tell_problem(Followed& log, std::string problem) {
  if (log.status.problem == problem) return;
  log.status.problem = std::move(problem);
  teller_.problem();
}

asio::awaitable<void> HealthLogs::follow(Followed& log) {
  while (!stopping_) {
    const Result<> ended = co_await read(log);
    log.descriptor.reset();
    log.status.reading = false;
    if (stopping_) co_return;
    if (ended.has_error()) tell_problem(log, log.status.log + " is not read: " + ended.error().text());
    log.pause.expires_after(kOpenAgain);
    co_await log.pause.async_wait(kTuple);
  }
}

asio::awaitable<Result<>> HealthLogs::read(Followed& log) {
  std::vector<std::string> identifiers;
  for (const Source& source : log.sources)
    identifiers.push_back(source.origin.identifier);
  std::function<Result<OpenedFeed>()> open = [plugin = log.plugin, path = log.path, identifiers,
                                              position = log.position, back = log.look_back]() -> Result<OpenedFeed> {
    Result<std::unique_ptr<LogFeed>> feed = plugin == LogPlugin::journald
                                                ? open_journal(path, identifiers, position, back)
                                                : open_log_file(path, position, back > 0ms);
    if (feed.has_error()) return std::move(feed).error();
    UniqueFd copy(::fcntl((*feed)->descriptor(), F_DUPFD_CLOEXEC, 0));
    if (!copy) return fail_errno(errno, "cannot copy a descriptor");
    return OpenedFeed{std::shared_ptr<LogFeed>(std::move(*feed)), std::move(copy)};
  };
  Result<OpenedFeed> opened = co_await pool_.run_for<OpenedFeed>(open, kDiskPatience);
  if (opened.has_error()) co_return std::move(opened).error();
  log.descriptor = std::make_shared<asio::posix::stream_descriptor>(context_, opened->fd.release());
  while (!stopping_) {
    const std::size_t most = log.tokens.available(kLinesAtOnce, std::chrono::steady_clock::now());
    if (most == 0) {
      log.pause.expires_after(100ms);
      co_await log.pause.async_wait(kTuple);
      continue;
    }
    std::function<Result<LogFeed::Batch>()> next = [feed = opened->feed, most] { return feed->read(most); };
    const Result<LogFeed::Batch> batch = co_await pool_.run_for<LogFeed::Batch>(next, kDiskPatience);
    if (batch.has_error()) co_return batch.error();
    log.status.reading = true;  // what comes from now on is not missed
    tell_problem(log, {});
    log.tokens.take(batch->lines.size());
    for (std::size_t i = 0; i < batch->lines.size(); ++i)
      take(log, batch->lines[i], batch->interrupted && i == 0);
    log.position = batch->position;
    if (batch->more || stopping_) continue;
    const auto [error] = co_await log.descriptor->async_wait(asio::posix::stream_descriptor::wait_read, kTuple);
    if (error && !stopping_) co_return fail(Code::unavailable, "it cannot be waited for");
  }
  co_return Result<>();
}

// Of before the look back. Without one the file is begun at its end, and a time may be coarser than what has passed
// since.
bool HealthLogs::is_old(const Followed& log, const Source& source, WallTime time) const {
  return log.fresh && source.origin.look_back > 0ms && time < started_ - source.origin.look_back;
}

void HealthLogs::take(Followed& log, const LogFeed::Line& line, bool interrupted) {
  ++log.status.lines;
  const WallTime now = wall_now();
  for (const Source& source : log.sources) {
    if (interrupted) source.matcher->interrupted();
    std::string text = line.text;
    if (source.origin.form) {
      std::optional<health::LogLineForm::Line> parsed = source.origin.form->parse(text, now);
      if (!parsed || (is_old(log, source, parsed->time))) continue;
      text = std::move(parsed->message);
    } else if (line.identifier != source.origin.identifier) {
      continue;
    }
    for (const health::LogHit& hit : source.matcher->take(std::move(text))) {
      ++log.status.hits;
      teller_.tell(hit, {"log", log.status.log}, false);
    }
  }
}

}  // namespace omnitide::daemon
