#include "agent/daemon/ebpf_metrics_part.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <map>
#include <mutex>
#include <utility>

#include "agent/base/text.hpp"

namespace omnitide::daemon {

namespace asio = boost::asio;
using model::PartState;

namespace {

constexpr std::chrono::seconds kLoading{60};  // of a slow machine; a fast one takes a tenth of a second
constexpr std::string_view kPrefix = "ebpf.";

}  // namespace

// Filled by a worker, asked by workers.
class EbpfMetricsPart::Loaded {
 public:
  using Collect = std::function<Result<>(model::SampleBatch&)>;

  void fill(const std::vector<collectors::EbpfCollector>& all) {
    const std::lock_guard lock(mutex_);
    for (const collectors::EbpfCollector& each : all) {
      if (each.collector.collect) collect_[each.collector.name] = std::make_shared<Collect>(each.collector.collect);
    }
  }
  Result<> collect(std::string_view name, model::SampleBatch& batch) {
    std::shared_ptr<Collect> found;
    {
      const std::lock_guard lock(mutex_);
      const auto at = collect_.find(name);
      if (at != collect_.end()) found = at->second;
    }
    return found ? (*found)(batch) : Result<>();
  }

 private:
  std::mutex mutex_;
  std::map<std::string_view, std::shared_ptr<Collect>> collect_;
};

EbpfMetricsPart::EbpfMetricsPart(asio::io_context& context, io::WorkerPool& pool, collectors::Options options,
                                 OnState on_state)
    : context_(context),
      pool_(pool),
      options_(std::move(options)),
      on_state_(std::move(on_state)),
      loaded_(std::make_shared<Loaded>()) {}

void EbpfMetricsPart::start() {
  on_state_(PartState::starting, "loading programs");
  asio::co_spawn(context_, load(), asio::detached);
}

asio::awaitable<void> EbpfMetricsPart::load() {
  using State = std::pair<PartState, std::string>;
  // Named, not a temporary of the co_await: GCC 12 destroys a lambda's captures twice there.
  std::function<Result<State>()> job = [options = options_, loaded = loaded_]() -> Result<State> {
    const std::vector<collectors::EbpfCollector> all = collectors::open_all(options);
    loaded->fill(all);
    return ebpf_state(all);
  };
  Result<State> state = co_await pool_.run_for<State>(std::move(job), kLoading);
  if (stopping_) co_return;
  if (state.has_error())
    on_state_(PartState::off, state.error().text());
  else
    on_state_(state->first, std::move(state->second));
}

std::vector<model::Collector> EbpfMetricsPart::collectors() const {
  std::vector<model::Collector> out = collectors::known_collectors();
  std::erase_if(out, [this](const model::Collector& each) {
    return std::ranges::find(options_.exclude, each.name.substr(kPrefix.size())) != options_.exclude.end();
  });
  for (model::Collector& each : out)
    each.collect = [loaded = loaded_, name = each.name](model::SampleBatch& batch) {
      return loaded->collect(name, batch);
    };
  return out;
}

std::pair<PartState, std::string> ebpf_state(const std::vector<collectors::EbpfCollector>& collectors) {
  std::size_t on = 0;
  std::map<std::string, std::vector<std::string>> off;  // by reason
  std::string others;                                   // that work in another way than their best
  for (const collectors::EbpfCollector& each : collectors) {
    const std::string_view name = each.collector.name.substr(kPrefix.size());
    if (each.off.empty())
      ++on;
    else
      off[each.off].emplace_back(name);
    if (each.off.empty() && !each.how.empty()) others += fmt::format("; {} {}", name, each.how);
  }
  if (on == 0 && off.size() == 1) return {PartState::off, off.begin()->first};
  std::string text = fmt::format("{} collectors", on);
  for (const auto& [reason, names] : off)
    text += fmt::format("; {} off: {}", join(names, ", "), reason);
  return {on > 0 ? PartState::on : PartState::off, text + others};
}

}  // namespace omnitide::daemon
