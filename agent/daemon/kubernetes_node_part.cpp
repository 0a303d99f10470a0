#include "agent/daemon/kubernetes_node_part.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "agent/base/log.hpp"
#include "agent/base/random.hpp"
#include "agent/base/text.hpp"
#include "agent/base/version.hpp"
#include "agent/daemon/spawn.hpp"
#include "agent/daemon/tuple.hpp"
#include "discovery/inventory/labels.hpp"

namespace omnitide::daemon {

namespace asio = boost::asio;
namespace k8s = kubernetes;
using model::PartState;
using namespace std::chrono_literals;

namespace {

constexpr auto kRequest = 10s;        // one attempt
constexpr auto kStartSpread = 2'000;  // milliseconds: nodes that start together do not ask together
constexpr auto kLongestNap = 1h;      // when nothing is due
constexpr std::size_t kMostNamed = 3;

SteadyTime steady_now() { return std::chrono::steady_clock::now(); }

}  // namespace

KubernetesNodePart::KubernetesNodePart(asio::io_context& context, KubernetesConnection& connection,
                                       const config::KubernetesConfig& config, std::string node, Sources sources)
    : context_(context),
      connection_(connection),
      config_(config),
      node_(std::move(node)),
      space_(connection.client().default_namespace()),
      sources_(std::move(sources)),
      timer_(context),
      beat_backoff_(1s, config.lease_duration / 6),
      return_(connection.client().on_return([this] { server_is_back(); })) {}

void KubernetesNodePart::start() {
  acquired_ = wall_now();
  find_ = steady_now() + std::chrono::milliseconds(random_u64() % kStartSpread);
  sources_.on_state(PartState::starting, "asking " + connection_.server());
  spawn_on(context_, run(), [this](const std::string& reason) {
    hold_.reset();
    if (stopping_) return;
    broken_ = "no longer tells the cluster of this node: " + reason;
    log::error(log::Part::registration, "no longer tells the cluster of this node", {{"reason", reason}});
    report();
  });
}

void KubernetesNodePart::poke() {
  poked_ = true;
  timer_.cancel();
}

void KubernetesNodePart::server_is_back() {
  const SteadyTime now = steady_now();
  find_backoff_.reset();
  beat_backoff_.reset();
  if (!unknown_.empty()) find_ = std::min(find_, now);
  if (!beat_problem_.empty()) beat_ = std::min(beat_, now);
  for (Item* item : {&inventory_, &labels_, &feature_})
    item->state.returned(now);
  poke();
}

void KubernetesNodePart::facts_changed() {
  want();
  poke();
}

void KubernetesNodePart::leave(bool leave) {
  if (leaving_ == leave) return;
  leaving_ = leave;
  left_ = false;
  leave_ = SteadyTime::min();
  leave_backoff_.reset();
  left_behind_.clear();
  if (leave) {
    hold_ = connection_.hold();
  } else {
    hold_.reset();
    for (Item* item : {&inventory_, &labels_, &feature_})
      item->state.forget();
    beat_ = SteadyTime::min();
  }
  poke();
}

void KubernetesNodePart::stop() {
  stopping_ = true;
  poke();
}

asio::awaitable<KubernetesNodePart::Answer> KubernetesNodePart::ask(k8s::Request request) {
  request.timeout = kRequest;
  co_return co_await connection_.client().ask(std::move(request));
}

asio::awaitable<void> KubernetesNodePart::run() {
  while (!stopping_ || (leaving_ && !left_)) {
    co_await sleep();
    if (leaving_ && !left_ && leave_ <= steady_now()) co_await take_away();
    if (!leaving_ && !stopping_) co_await step();
    report();
  }
  hold_.reset();
}

asio::awaitable<void> KubernetesNodePart::sleep() {
  if (std::exchange(poked_, false)) co_return;
  timer_.expires_at(std::min(next(), steady_now() + kLongestNap));
  co_await timer_.async_wait(kTuple);
  poked_ = false;
}

SteadyTime KubernetesNodePart::next() const {
  if (leaving_) return left_ ? SteadyTime::max() : leave_;
  SteadyTime out = find_;
  if (!may_write()) return out;
  if (config_.lease) out = std::min(out, beat_);
  for (const Item* item : {&inventory_, &labels_, &feature_})
    if (const auto due = item->state.due()) out = std::min(out, *due);
  return drop_feature_ ? SteadyTime::min() : out;
}

// The heartbeat first: nothing else counts a node as gone.
asio::awaitable<void> KubernetesNodePart::step() {
  const SteadyTime now = steady_now();
  if (may_write() && config_.lease && beat_ <= now) co_return co_await beat();
  if (find_ <= now) co_return co_await find_out();
  if (!may_write()) co_return;
  if (inventory_.state.due(now)) co_return co_await write_inventory();
  if (labels_.state.due(now)) co_return co_await write_labels();
  if (drop_feature_) co_return co_await drop_feature();
  if (feature_.state.due(now)) co_return co_await write_feature();
}

// Half of the next time is chance, so that nodes that began together drift apart.
asio::awaitable<void> KubernetesNodePart::beat() {
  const auto third = std::chrono::duration_cast<std::chrono::milliseconds>(config_.lease_duration) / 3;
  const k8s::Heartbeat heartbeat{.duration = std::chrono::duration_cast<std::chrono::seconds>(config_.lease_duration),
                                 .acquired = acquired_,
                                 .renewed = wall_now()};
  k8s::Request request = k8s::apply_request(k8s::kLeases, k8s::heartbeat_name(space_, node_),
                                            k8s::heartbeat_body(space_, *self_, heartbeat), k8s::kFieldManager, true);
  const Answer answer = co_await ask(std::move(request));
  const SteadyTime now = steady_now();
  if (answer.has_value()) {
    beat_backoff_.reset();
    beat_problem_.clear();
    beat_ =
        now + third / 2 + std::chrono::milliseconds(random_u64() % static_cast<std::uint64_t>(third.count() / 2 + 1));
    co_return;
  }
  beat_problem_ = "Lease: " + answer.error().error.text();
  beat_ = now + std::max<std::chrono::milliseconds>(beat_backoff_.next(random_u64()), 200ms) +
          answer.error().retry_after.value_or(0s);
}

void KubernetesNodePart::settle(Item& item, const Answer& answer, std::string_view what) {
  if (answer.has_value()) {
    item.problem.clear();
    return item.state.wrote(steady_now(), random_u64());
  }
  item.problem = fmt::format("{}: {}", what, answer.error().error.text());
  item.state.failed(steady_now(), random_u64(), answer.error().retry_after);
}

asio::awaitable<void> KubernetesNodePart::write_inventory() {
  inventory_.state.began();
  const k8s::Name name{{}, node_};
  k8s::Request object =
      k8s::apply_request(k8s::kNodeInventories, name, k8s::inventory_body(*self_), k8s::kFieldManager, true);
  k8s::Request status =
      k8s::apply_request(k8s::kNodeInventories, name, inventory_.state.body(), k8s::kFieldManager, true, "status");
  Answer answer = co_await ask(std::move(object));
  if (answer.has_value()) answer = co_await ask(std::move(status));
  settle(inventory_, answer, "NodeInventory");
}

// A label that somebody else owns is left to him; the others are set. Each time anew: he may have let go of it.
asio::awaitable<void> KubernetesNodePart::write_labels() {
  constexpr int kMostTries = 3;
  constexpr std::string_view kField = ".metadata.labels.";
  labels_.state.began();
  const k8s::Name name{{}, node_};
  k8s::LabelMap labels = place_ == LabelPlace::node ? wanted_labels_ : k8s::LabelMap();
  std::map<std::string, std::string> conflicts;
  Answer answer = k8s::Fault{};
  for (int tries = 0; tries < kMostTries; ++tries) {
    k8s::Request request =
        k8s::apply_request(k8s::kNodes, name, k8s::node_labels_body(*self_, labels), k8s::kFieldManager, false);
    answer = co_await ask(std::move(request));
    if (answer.has_value() || answer.error().conflicts.empty()) break;
    for (const k8s::Conflict& each : answer.error().conflicts) {
      if (!each.field.starts_with(kField)) continue;
      const std::string key = each.field.substr(kField.size());
      if (labels.erase(key) > 0) conflicts.emplace(key, each.manager);
    }
  }
  if (answer.has_value()) conflicts_ = std::move(conflicts);
  // Another Node of this name has taken its place.
  if (answer.has_error() && answer.error().status == 409) find_ = std::min(find_, steady_now() + 1s);
  settle(labels_, answer, "labels");
}

asio::awaitable<void> KubernetesNodePart::write_feature() {
  feature_.state.began();
  const k8s::Name name{space_, node_};
  k8s::Request request = k8s::apply_request(k8s::kNodeFeatures, name, feature_.state.body(), k8s::kFieldManager, true);
  const Answer answer = co_await ask(std::move(request));
  settle(feature_, answer, "NodeFeature");
}

asio::awaitable<void> KubernetesNodePart::drop_feature() {
  drop_feature_ = false;  // one that is left does nothing without a master, and goes at the next start
  k8s::Request request = removal(k8s::kNodeFeatures, space_);
  (void)co_await took_away(std::move(request), "NodeFeature");
}

// What the cluster is to have, by what is known now.
void KubernetesNodePart::want() {
  const model::NodeFacts* facts = sources_.facts();
  if (!may_write() || facts == nullptr) return;
  if (config_.inventory) inventory_.state.want(k8s::inventory_status_body(node_, *facts, addresses_, version()));
  wanted_labels_ = discovery::labels(*facts);
  if (unbound_.empty())
    labels_.state.want(k8s::node_labels_body(*self_, place_ == LabelPlace::node ? wanted_labels_ : k8s::LabelMap()));
  if (place_ == LabelPlace::node_feature)
    feature_.state.want(k8s::node_feature_body(space_, *self_, wanted_labels_));
  else
    feature_.state.want_nothing();
}

std::string KubernetesNodePart::problems() const {
  if (!broken_.empty()) return broken_;
  if (!stranger_.empty()) return stranger_;
  std::vector<std::string> out;
  const auto add = [&out](const std::string& text) {
    if (!text.empty()) out.push_back(text);
  };
  add(unknown_);
  add(beat_problem_);
  for (const Item* item : {&inventory_, &labels_, &feature_})
    add(item->problem);
  if (place_ == LabelPlace::node && !unbound_.empty()) add("no labels on the Node: " + unbound_);
  std::size_t named = 0;
  for (const auto& [label, manager] : conflicts_) {
    if (named++ == kMostNamed) break;
    add(fmt::format("label {} is left as it is: it belongs to {}", printable(label, 200), manager));
  }
  if (conflicts_.size() > kMostNamed) add(fmt::format("and {} more labels", conflicts_.size() - kMostNamed));
  if (const std::string unheard = sources_.removal_problem(); !unheard.empty())
    add("a removal would not be heard of: " + unheard);
  return join(out, "; ");
}

std::string KubernetesNodePart::summary() const {
  std::vector<std::string> out;
  if (config_.lease) out.push_back("Lease " + space_ + "/" + k8s::heartbeat_name(space_, node_).name);
  if (config_.inventory) out.emplace_back("NodeInventory");
  if (place_ == LabelPlace::node && unbound_.empty())
    out.push_back(fmt::format("{} labels on the Node", wanted_labels_.size() - conflicts_.size()));
  if (place_ == LabelPlace::node_feature) out.push_back(fmt::format("{} labels by NodeFeature", wanted_labels_.size()));
  return join(out, ", ");
}

std::string KubernetesNodePart::left_behind() const {
  std::vector<std::string> out;
  for (const auto& [what, why] : left_behind_)
    out.push_back(what + ": " + why);
  return join(out, "; ");
}

void KubernetesNodePart::report() {
  if (leaving_) {
    if (!left_behind_.empty()) return sources_.on_state(PartState::degraded, "left behind: " + left_behind());
    return sources_.on_state(PartState::off, left_ ? "taken away with the DaemonSet" : "being taken away");
  }
  if (const std::string wrong = problems(); !wrong.empty()) return sources_.on_state(PartState::degraded, wrong);
  const bool begun = may_write() && sources_.facts() != nullptr && (beat_ != SteadyTime() || !config_.lease);
  const bool whole =
      !inventory_.state.never_written() && !labels_.state.never_written() && !feature_.state.never_written();
  if (!begun || !whole) return sources_.on_state(PartState::starting, "asking " + connection_.server());
  sources_.on_state(PartState::on, summary());
}

}  // namespace omnitide::daemon
