#include "agent/daemon/policy_part.hpp"

#include <sys/inotify.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstring>
#include <iterator>
#include <stdexcept>

#include "agent/base/log.hpp"
#include "agent/daemon/spawn.hpp"
#include "agent/daemon/tuple.hpp"

namespace omnitide::daemon {

namespace asio = boost::asio;
using namespace std::chrono_literals;

namespace {

constexpr std::size_t kFlowsKept = 2048, kFlowsATime = 512;
constexpr auto kLongestTurn = 120s;
constexpr auto kFlowPause = 20ms;  // events gather meanwhile
constexpr auto kRetryAfter = 5s;   // after a failed publication
// Settling takes a grace period of the kernel, for which the next change would have to wait: it is put off while
// changes come one behind the other, but not for ever.
constexpr std::chrono::milliseconds kSettleAfter = 200ms, kSettleLatest = 2s;
constexpr auto kSearchEvery = 1s;  // while a pod's device is not known
constexpr auto kCountersAge = 5s;
constexpr auto kDirectoryRetry = 2s;  // while there is none to watch
constexpr std::uint32_t kFileEvents =
    IN_CLOSE_WRITE | IN_MOVED_TO | IN_MOVED_FROM | IN_DELETE | IN_CREATE | IN_ATTRIB | IN_DELETE_SELF | IN_MOVE_SELF;

struct DirectoryEvents {
  bool gone = false;   // the watched folder itself went away
  bool files = false;  // something that may be a policy file changed, or where a link leads to
};

// inotify(7): events of varying length, a mask and perhaps a name each. A name with one dot in front is a draft, which
// is about to get its real name; those with two lead the links of a mounted ConfigMap.
DirectoryEvents parse_events(std::string_view events) {
  DirectoryEvents out;
  while (events.size() >= sizeof(inotify_event)) {
    std::uint32_t mask = 0, length = 0;
    std::memcpy(&mask, events.data() + offsetof(inotify_event, mask), sizeof mask);
    std::memcpy(&length, events.data() + offsetof(inotify_event, len), sizeof length);
    const std::string_view name = events.substr(sizeof(inotify_event), length);
    out.gone = out.gone || (mask & (IN_DELETE_SELF | IN_MOVE_SELF | IN_IGNORED)) != 0;
    out.files = out.files || !name.starts_with('.') || name.starts_with("..");
    events.remove_prefix(std::min(events.size(), sizeof(inotify_event) + length));
  }
  return out;
}

}  // namespace

PolicyPart::PolicyPart(asio::io_context& context, io::WorkerPool& pool, config::PolicyConfig config,
                       std::string node_name, std::function<void()> on_change, bool from_kubernetes)
    : context_(context),
      pool_(pool),
      config_(config),
      on_change_(std::move(on_change)),
      engine_(std::make_shared<PolicyEngine>(std::move(config), std::move(node_name), from_kubernetes)),
      wake_(context),
      next_(context) {}

void PolicyPart::start() {
  wanted_.directory = wanted_.retry = true;
  spawn(run());
}

void PolicyPart::stop() {
  stopping_ = true;
  wake_.cancel();
  next_.cancel();
  for (const auto& pause : pauses_)
    pause->cancel();
  for (const auto& descriptor : descriptors_) {
    boost::system::error_code ignored;
    descriptor->cancel(ignored);
  }
}

void PolicyPart::spawn(asio::awaitable<void> work) {
  spawn_on(context_, std::move(work), [this](std::string reason) {
    if (stopping_) return;
    failed_ = std::move(reason);
    log::error(log::Part::policy, "network policy no longer follows changes, what is enforced stays",
               {{"reason", failed_}});
    on_change_();
  });
}

void PolicyPart::want(const std::function<void(PolicyWork&)>& change) {
  change(wanted_);
  wake_.cancel();
}

void PolicyPart::set_desired(registration::DesiredRef desired) {
  // Nothing heard yet is not the same as nothing wanted.
  if (!desired || desired->sha256.empty() || (desired_ && desired_->sha256 == desired->sha256)) return;
  desired_ = desired;
  want([&desired](PolicyWork& work) { work.desired = desired; });
}

void PolicyPart::add_kubernetes(std::vector<PolicyText> changes, bool whole) {
  if (!failed_.empty()) return;  // nobody takes them
  want([&changes, whole](PolicyWork& work) {
    std::ranges::move(changes, std::back_inserter(work.kubernetes));
    work.kubernetes_whole = work.kubernetes_whole || whole;
  });
}

void PolicyPart::refresh_counters() {
  if (opened_ && std::chrono::steady_clock::now() - report_.counted > kCountersAge)
    want([](PolicyWork& work) { work.counters = true; });
}

asio::awaitable<void> PolicyPart::run() {
  const std::shared_ptr<PolicyEngine> engine = engine_;
  std::function<Result<int>()> open = [engine]() -> Result<int> {
    Result<> opened = engine->open();
    if (opened.has_error()) return std::move(opened).error();
    return 0;
  };
  const Result<int> opened = co_await pool_.run_for<int>(std::move(open), kLongestTurn);
  if (stopping_) co_return;
  if (opened.has_error()) {
    failed_ = opened.error().text();
    log::error(log::Part::policy, "network policy is off", {{"reason", failed_}});
    on_change_();
    co_return;
  }
  opened_ = true;
  if (!config_.directory.empty()) spawn(watch_directory());
  spawn(watch(
      engine_->monitor_fd(), [this] { want([](PolicyWork& work) { work.links = true; }); }, 0ms));
  spawn(watch(
      engine_->events_fd(),
      [this] {
        want_flows_ = true;
        wake_.cancel();
      },
      kFlowPause));
  while (!stopping_) {
    if (!wanted_.any() && !want_flows_) {
      wake_.expires_at(asio::steady_timer::time_point::max());
      co_await wake_.async_wait(kTuple);
      continue;
    }
    if (!co_await one_turn()) co_return;
  }
}

asio::awaitable<bool> PolicyPart::one_turn() {
  struct Outcome {
    PolicyReport report;
    std::vector<NamedFlow> flows;
  };
  // Moved on, never copied: the first state of a cluster is tens of megabytes of text.
  const auto given = std::make_shared<PolicyWork>(std::exchange(wanted_, {}));
  const PolicyTurn work(*given);
  const bool with_flows = std::exchange(want_flows_, false);
  ++turns_begun_;
  std::function<Result<Outcome>()> job = [engine = engine_, given, with_flows]() -> Result<Outcome> {
    Outcome out;
    out.report = engine->turn(std::move(*given));
    if (with_flows) out.flows = engine->flows(kFlowsATime);
    return out;
  };
  Result<Outcome> done = co_await pool_.run_for<Outcome>(std::move(job), kLongestTurn);
  if (stopping_) co_return false;
  if (done.has_error()) {
    failed_ = done.error().text();
    log::error(log::Part::policy, "network policy no longer follows changes, what is enforced stays",
               {{"reason", failed_}});
    on_change_();
    co_return false;
  }
  const bool published = done->report.enforcement.publications != report_.enforcement.publications;
  report_ = std::move(done->report);
  keep(std::move(done->flows));
  ++turns_done_;
  plan_next(work, published);
  for (const auto& pause : pauses_)
    pause->cancel();
  if (work.any) on_change_();
  co_return true;
}

// What nobody will tell of: a failed publication, a pod whose device is not known yet, a file that is being written.
// Other turns, of which there are many while flows come in, put none of it off.
void PolicyPart::plan_next(const PolicyTurn& done, bool published) {
  const auto now = std::chrono::steady_clock::now();
  const auto again = [now](std::optional<SteadyTime>& due, bool needed, bool tried, SteadyTime::duration after) {
    if (!needed) due.reset();
    if (needed && (tried || !due)) due = now + after;
  };
  const bool pending =
      std::ranges::any_of(report_.enforcement.endpoints, [](const auto& each) { return !each.pending.empty(); });
  const bool unsettled = report_.enforcement.unsettled;
  again(due_.retry, !report_.failure.empty(), done.retry, kRetryAfter);
  again(due_.search, pending, done.search, kSearchEvery);
  again(due_.reread, report_.again_after.has_value(), done.directory, report_.again_after.value_or(0ms));
  again(due_.latest_settling, unsettled, done.settle, kSettleLatest);
  again(due_.settle, unsettled, done.settle || published, kSettleAfter);
  if (unsettled) due_.settle = std::min(*due_.settle, *due_.latest_settling);

  std::optional<SteadyTime> first;
  for (const std::optional<SteadyTime>& due : {due_.retry, due_.search, due_.reread, due_.settle})
    if (due) first = first ? std::min(*first, *due) : *due;
  next_.cancel();
  if (!first) return;
  next_.expires_at(*first);
  next_.async_wait([this](const boost::system::error_code& error) {
    if (!error && !stopping_) want([this](PolicyWork& work) { add_due(work); });
  });
}

// What others wanted meanwhile stays wanted.
void PolicyPart::add_due(PolicyWork& work) const {
  const auto is_due = [now = std::chrono::steady_clock::now()](const std::optional<SteadyTime>& due) {
    return due && *due <= now;
  };
  work.retry |= is_due(due_.retry);
  work.search |= is_due(due_.search);
  work.links |= is_due(due_.search);
  work.directory |= is_due(due_.reread);
  work.settle |= is_due(due_.settle);
}

// Waits until the descriptor is readable, tells, and waits for the turn that reads it before it looks again.
asio::awaitable<void> PolicyPart::watch(int fd, std::function<void()> readable, std::chrono::milliseconds pause) {
  const auto descriptor = std::make_shared<asio::posix::stream_descriptor>(context_, ::dup(fd));
  const auto timer = std::make_shared<asio::steady_timer>(context_);
  descriptors_.push_back(descriptor);
  pauses_.push_back(timer);
  while (!stopping_) {
    const auto [error] = co_await descriptor->async_wait(asio::posix::stream_descriptor::wait_read, kTuple);
    if (error || stopping_) co_return;
    if (pause > 0ms) {
      asio::steady_timer gather(context_, pause);
      co_await gather.async_wait(kTuple);
    }
    const std::uint64_t begun = turns_begun_;
    readable();
    while (turns_done_ <= begun && !stopping_ && failed_.empty()) {
      timer->expires_at(asio::steady_timer::time_point::max());
      co_await timer->async_wait(kTuple);
    }
    if (!failed_.empty()) co_return;
  }
}

asio::awaitable<void> PolicyPart::watch_directory() {
  bool seen = true;
  while (!stopping_) {
    const int fd = ::inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
    if (fd < 0) throw std::runtime_error("inotify cannot be used: too many instances or no memory");
    const auto descriptor = std::make_shared<asio::posix::stream_descriptor>(context_, fd);
    const bool watching = ::inotify_add_watch(fd, config_.directory.c_str(), kFileEvents) >= 0;
    if (watching && !std::exchange(seen, true)) want([](PolicyWork& work) { work.directory = true; });
    if (!watching) {
      seen = false;
      const auto pause = std::make_shared<asio::steady_timer>(context_, kDirectoryRetry);
      pauses_.push_back(pause);
      co_await pause->async_wait(kTuple);
      std::erase(pauses_, pause);
      continue;
    }
    descriptors_.push_back(descriptor);
    want([](PolicyWork& work) { work.directory = true; });  // what changed before the watch was there
    bool gone = false;
    while (!gone && !stopping_) {
      std::array<char, 4096> buffer{};
      const auto [error, size] = co_await descriptor->async_read_some(asio::buffer(buffer), kTuple);
      if (error) break;
      const DirectoryEvents events = parse_events(std::string_view(buffer.data(), size));
      gone = events.gone;
      if (events.files) want([](PolicyWork& work) { work.directory = true; });
    }
    std::erase(descriptors_, descriptor);
  }
}

PolicyPart::Waited PolicyPart::judge_wait() const {
  if (!failed_.empty()) return {false, failed_};
  if (!report_.failure.empty()) return {false, report_.failure};
  for (const enforcement::EndpointStatus& endpoint : report_.enforcement.endpoints)
    if (!endpoint.pending.empty()) return {false, endpoint.name + ": " + endpoint.pending};
  for (const enforcement::DeviceStatus& device : report_.enforcement.devices)
    if (!device.problem.empty()) return {false, device.name + ": " + device.problem};
  for (const policy::Fault& fault : report_.faults)
    if (!fault.applied) return {false, fault.text()};
  return {report_.enforcement.live, report_.enforcement.live ? "" : "no policy has been published yet"};
}

asio::awaitable<PolicyPart::Waited> PolicyPart::wait(std::chrono::milliseconds timeout) {
  const auto deadline = std::chrono::steady_clock::now() + timeout;
  const std::uint64_t needed = turns_begun_ + 1;
  want([](PolicyWork& work) { work.directory = true; });
  while (true) {
    Waited now = judge_wait();
    if (!failed_.empty() || stopping_) co_return now;
    if (turns_done_ >= needed && now.enforced) co_return now;
    if (std::chrono::steady_clock::now() >= deadline) {
      if (turns_done_ < needed) now = {false, "the change is still being worked on"};
      co_return now;
    }
    asio::steady_timer tick(
        context_, std::min<std::chrono::steady_clock::duration>(5ms, deadline - std::chrono::steady_clock::now()));
    co_await tick.async_wait(kTuple);
  }
}

PolicyPart::Waited PolicyPart::judge_pod(const std::string& name, std::uint32_t ifindex) const {
  if (!failed_.empty()) return {false, failed_};
  if (!report_.enforcement.live)
    return {false, report_.failure.empty() ? "no policy has been published yet" : report_.failure};
  const auto device = std::ranges::find(report_.enforcement.devices, ifindex, &enforcement::DeviceStatus::ifindex);
  const bool on_it = device != report_.enforcement.devices.end() && device->endpoint == name;
  if (on_it && device->problem.empty() && report_.failure.empty()) return {true, {}};
  if (on_it) return {false, device->problem.empty() ? report_.failure : device->problem};
  const auto endpoint = std::ranges::find(report_.enforcement.endpoints, name, &enforcement::EndpointStatus::name);
  if (endpoint == report_.enforcement.endpoints.end()) return {false, "the API server has not told of the pod yet"};
  return {false, endpoint->pending.empty() ? "the pod is taken for one on another device" : endpoint->pending};
}

asio::awaitable<PolicyPart::Waited> PolicyPart::wait_for_pod(std::string name, std::uint32_t ifindex,
                                                             std::chrono::milliseconds timeout) {
  const auto deadline = std::chrono::steady_clock::now() + timeout;
  const std::uint64_t needed = turns_begun_ + 1;
  want([](PolicyWork& work) { work.links = true; });  // whatever is attached to the device since the last look
  const auto turn = std::make_shared<asio::steady_timer>(context_);
  pauses_.push_back(turn);  // is cancelled after each turn
  while (true) {
    const Waited now =
        turns_done_ < needed && failed_.empty() ? Waited{false, "the agent is busy"} : judge_pod(name, ifindex);
    if (now.enforced || !failed_.empty() || stopping_ || std::chrono::steady_clock::now() >= deadline) {
      std::erase(pauses_, turn);
      co_return now;
    }
    turn->expires_at(deadline);
    co_await turn->async_wait(kTuple);
  }
}

void PolicyPart::keep(std::vector<NamedFlow> flows) {
  for (NamedFlow& flow : flows) {
    flows_.push_back(std::make_shared<const NamedFlow>(std::move(flow)));
    ++flow_number_;
    if (flows_.size() > kFlowsKept) flows_.pop_front();
  }
}

asio::awaitable<PolicyPart::Flows> PolicyPart::flows(std::uint64_t after, std::size_t most,
                                                     std::chrono::milliseconds patience) {
  if (after >= flow_number_ && !stopping_) {
    after = flow_number_;
    const auto deadline = std::chrono::steady_clock::now() + patience;
    while (flow_number_ <= after && !stopping_ && std::chrono::steady_clock::now() < deadline) {
      asio::steady_timer tick(
          context_, std::min<std::chrono::steady_clock::duration>(50ms, deadline - std::chrono::steady_clock::now()));
      co_await tick.async_wait(kTuple);
    }
  }
  Flows out;
  const std::uint64_t oldest = flow_number_ - flows_.size() + 1;
  out.first = std::max(after + 1, oldest);
  out.lost = report_.counters.lost_events + (after + 1 < oldest && after > 0 ? oldest - after - 1 : 0);
  for (std::uint64_t number = out.first; number <= flow_number_ && out.items.size() < most; ++number)
    out.items.push_back(flows_[number - oldest]);
  out.next = out.first + out.items.size() - 1;
  co_return out;
}

}  // namespace omnitide::daemon
