#include "agent/daemon/health_probes.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <exception>
#include <utility>

#include "agent/base/log.hpp"
#include "agent/base/text.hpp"
#include "agent/daemon/tuple.hpp"

namespace omnitide::daemon {

namespace asio = boost::asio;
using namespace std::chrono_literals;
using health::Finding;
using health::Verdict;
using model::MetricDescriptor;
using model::MetricType;

namespace {

constexpr std::chrono::milliseconds kSpread = 50ms;  // between the first runs of two probes

constexpr std::array<std::string_view, 1> kByCheck{"check"};
constexpr std::array kProbeFamilies{
    MetricDescriptor{"omnitide_health_check_runs_total", "", "Runs of a check of the operator's.", MetricType::counter,
                     kByCheck},
    MetricDescriptor{"omnitide_health_check_failures_total", "", "Runs of it that found a fault.", MetricType::counter,
                     kByCheck},
    MetricDescriptor{"omnitide_health_check_seconds", "seconds", "How long its last run took.", MetricType::gauge,
                     kByCheck}};

// Work that waits for the kernel: a thread for each probe at most, made when one finds no idle one, so that what hangs
// keeps no other one waiting.
io::WorkerPool::Limits limits_of(const std::vector<Probe>& probes) {
  io::WorkerPool::Limits out;
  out.threads = out.stuck = static_cast<unsigned>(std::max<std::size_t>(probes.size(), 1));
  return out;
}

}  // namespace

ProbeRun::ProbeRun(asio::io_context& context, io::WorkerPool& workers, std::chrono::milliseconds timeout)
    : context_(context), workers_(workers), deadline_(std::chrono::steady_clock::now() + timeout) {}

std::chrono::milliseconds ProbeRun::left() const {
  return std::max(std::chrono::ceil<std::chrono::milliseconds>(deadline_ - std::chrono::steady_clock::now()), 1ms);
}

void ProbeRun::on_stop(std::function<void()> stop) { stop_ = std::move(stop); }
void ProbeRun::stop() {
  if (stop_) stop_();
}

HealthProbes::HealthProbes(asio::io_context& context, std::vector<Probe> probes, std::vector<std::size_t> groups,
                           Told told)
    : context_(context), workers_(limits_of(probes)), told_(std::move(told)) {
  for (const std::size_t most : groups)
    groups_.push_back({most, 0, std::make_unique<asio::steady_timer>(context, SteadyTime::max())});
  for (Probe& probe : probes)
    items_.push_back(std::make_shared<Item>(context, std::move(probe)));
}

std::vector<asio::awaitable<void>> HealthProbes::work() {
  std::vector<asio::awaitable<void>> out;
  for (std::size_t i = 0; i < items_.size(); ++i)
    out.push_back(attend(items_[i], std::min(kSpread * static_cast<int>(i), items_[i]->probe.interval)));
  return out;
}

void HealthProbes::stop() {
  stopping_ = true;
  for (const auto& item : items_) {
    item->timer.cancel();
    wake(*item);
    if (item->run) item->run->stop();
  }
  for (Group& group : groups_)
    group.free->cancel();
}

const Probe* HealthProbes::find(std::string_view name) const {
  const auto found = std::ranges::find_if(items_, [name](const auto& item) { return item->probe.name == name; });
  return found == items_.end() ? nullptr : &(*found)->probe;
}

asio::awaitable<void> HealthProbes::attend(std::shared_ptr<Item> item, std::chrono::milliseconds first) {
  auto due = std::chrono::steady_clock::now() + first;
  while (!stopping_) {
    item->timer.expires_at(due);
    if (!item->wanted) co_await item->timer.async_wait(kTuple);
    if (stopping_) break;
    item->wanted = false;
    due = std::chrono::steady_clock::now() + item->probe.interval;
    co_await once(item);
    wake(*item);
  }
}

void HealthProbes::wake(Item& item) {
  for (const auto& waiter : std::exchange(item.waiters, {}))
    if (const auto timer = waiter.lock()) timer->cancel();
}

asio::awaitable<void> HealthProbes::once(std::shared_ptr<Item> item) {
  Group& group = groups_.at(item->probe.group);
  while (group.most != 0 && group.used >= group.most && !stopping_)
    co_await group.free->async_wait(kTuple);
  if (stopping_) co_return;
  ++group.used;
  const auto began = std::chrono::steady_clock::now();
  item->run = std::make_shared<ProbeRun>(context_, workers_, item->probe.timeout);
  Finding found;
  try {
    found = co_await item->probe.look(item->run);
  } catch (const std::exception& problem) {
    found.reason = "NotRun";
    found.message = printable(problem.what(), 200);
  }
  item->run.reset();
  item->took = std::chrono::steady_clock::now() - began;
  --group.used;
  group.free->cancel();
  if (!stopping_) settle(*item, std::move(found));
}

void HealthProbes::settle(Item& item, Finding finding) {
  ++item.runs;
  if (finding.verdict == Verdict::bad) ++item.bad;
  // What cannot be run is told once, and stands among the problems of health.
  std::string problem = finding.reason == "NotRun" ? fmt::format("{}: {}", item.probe.name, finding.message) : "";
  if (problem != item.problem && !problem.empty())
    log::warning(log::Part::health, "a check cannot be made, trying again",
                 {{"check", item.probe.name}, {"reason", finding.message}});
  item.problem = std::move(problem);
  finding.condition = item.probe.condition;
  finding.check = item.probe.name;
  if (!item.probe.condition.empty()) return told_.finding(std::move(finding), item.probe);
  if (finding.verdict == Verdict::bad) told_.event(item.probe.source, finding);
}

asio::awaitable<void> HealthProbes::run(std::string name, std::chrono::milliseconds longest) {
  const auto timer = std::make_shared<asio::steady_timer>(context_, longest);
  const SteadyTime deadline = timer->expiry();
  std::vector<std::pair<std::shared_ptr<Item>, std::uint64_t>> asked;
  for (const auto& item : items_) {
    if (!name.empty() && item->probe.name != name) continue;
    // One that is under way now began before it was asked for.
    asked.emplace_back(item, item->runs + (item->run ? 2 : 1));
    item->wanted = true;
    item->timer.cancel();
  }
  for (const auto& [item, runs] : asked) {
    while (!stopping_ && item->runs < runs && std::chrono::steady_clock::now() < deadline) {
      item->waiters.push_back(timer);
      co_await timer->async_wait(kTuple);
    }
  }
}

std::vector<std::string> HealthProbes::problems() const {
  std::vector<std::string> out;
  for (const auto& item : items_)
    if (!item->problem.empty()) out.push_back(item->problem);
  return out;
}

std::vector<const MetricDescriptor*> probe_descriptors() {
  std::vector<const MetricDescriptor*> out;
  for (const MetricDescriptor& family : kProbeFamilies)
    out.push_back(&family);
  return out;
}

void HealthProbes::add_samples(model::SampleBatch& out) const {
  for (const auto& item : items_)
    out.add(kProbeFamilies[0], static_cast<double>(item->runs), {item->probe.name});
  for (const auto& item : items_)
    out.add(kProbeFamilies[1], static_cast<double>(item->bad), {item->probe.name});
  for (const auto& item : items_)
    out.add(kProbeFamilies[2], item->took.count(), {item->probe.name});
}

}  // namespace omnitide::daemon
