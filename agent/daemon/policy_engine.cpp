#include "agent/daemon/policy_engine.hpp"

#include <fmt/format.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <iterator>
#include <set>

#include "agent/base/log.hpp"
#include "agent/policy/parse.hpp"

namespace omnitide::daemon {

namespace {

using std::chrono::duration;
using std::chrono::steady_clock;

constexpr std::uint8_t kDirectoryRank = 0, kRegistryRank = 1, kKubernetesRank = 2;  // a file on the device wins
constexpr unsigned kBurstSeconds = 3;

duration<double> since(steady_clock::time_point begin) { return steady_clock::now() - begin; }

policy::Source registry_source(const std::string& document) { return {kRegistryRank, "registry:" + document}; }

// When an event of CLOCK_MONOTONIC was, on the wall clock.
WallTime wall_time_of(std::uint64_t monotonic_ns) {
  timespec now{};
  ::clock_gettime(CLOCK_MONOTONIC, &now);
  const auto age =
      std::chrono::nanoseconds(now.tv_sec * 1'000'000'000 + now.tv_nsec) - std::chrono::nanoseconds(monotonic_ns);
  return wall_now() - std::chrono::duration_cast<std::chrono::milliseconds>(age);
}

}  // namespace

enforcement::Options enforcement_options(const config::PolicyConfig& config) {
  enforcement::Options out;
  out.pins = config.pin_dir;
  out.cgroup = config.cgroup_root;
  out.mode = config.mode == config::PolicyMode::audit ? enforcement::Mode::audit : enforcement::Mode::enforce;
  out.interfaces = config.interfaces;
  out.interfaces_start_open = config.interfaces_start_open;
  out.xdp_deny = config.xdp_deny;
  out.mark_mask = config.mark_mask;
  out.mark_shift = static_cast<std::uint32_t>(std::countr_zero(config.mark_mask));
  out.connection_rate = config.limits.connection_rate;
  out.connection_burst = config.limits.connection_rate * kBurstSeconds;
  out.limits.connections = config.limits.connections;
  out.limits.translations = config.limits.connections / 4;
  out.limits.rules = config.limits.total_rules;
  out.limits.peers = config.limits.identities;
  out.limits.addresses = config.limits.identities;
  out.limits.prefixes = config.limits.cidrs;
  out.limits.words = config.limits.total_rules;
  out.limits.deny = config.limits.deny;
  return out;
}

PolicyEngine::PolicyEngine(config::PolicyConfig config, std::string node_name, bool from_kubernetes)
    : config_(std::move(config)), node_name_(std::move(node_name)), awaits_kubernetes_(from_kubernetes) {
  if (!config_.directory.empty()) directory_.emplace(config_.directory, kDirectoryRank);
}

Result<> PolicyEngine::open() {
  Result<enforcement::Enforcement> opened = enforcement::Enforcement::open(enforcement_options(config_));
  if (opened.has_error()) return std::move(opened).error();
  enforcement_.emplace(std::move(*opened));
  start_over();
  fill_report();
  return {};
}

// A compiler whose numbers meet none that the kernel still has.
void PolicyEngine::start_over() {
  const enforcement::Enforcement::FirstIds first = enforcement_->first_ids();
  policy::CompilerLimits limits;
  limits.rules = config_.limits.rules;
  limits.identities = config_.limits.identities;
  limits.cidrs = config_.limits.cidrs;
  limits.addresses = config_.limits.identities;
  limits.rows = config_.limits.identities;
  limits.deny = config_.limits.deny;
  limits.total_rules = config_.limits.total_rules;
  compiler_.emplace(policy::Compiler::Options{
      .node_name = node_name_, .limits = limits, .first_set = first.set, .first_identity = first.identity});
  whole_next_ = true;
}

// A policy that an earlier agent left is not taken away because its files cannot be read, or because the API server has
// not answered yet.
std::string PolicyEngine::may_not_start() const {
  if (awaits_kubernetes_) return "the API server has not told its objects yet, keeping what an earlier start left";
  if (!whole_next_ || !directory_ || !report_.enforcement.inherited ||
      ::access(config_.directory.c_str(), R_OK | X_OK) == 0)
    return {};
  return fmt::format("{} cannot be read, keeping the policy of an earlier start", config_.directory);
}

policy::Changes PolicyEngine::read(PolicyWork& work) {
  std::vector<policy::SourceUpdate> updates;
  if (directory_ && work.directory) {
    policy::Directory::Reading reading = directory_->read(wall_now());
    updates = std::move(reading.updates);
    file_faults_ = std::move(reading.faults);
    report_.again_after = reading.again_after;
  }
  if (work.desired) {
    if (desired_)
      for (const registration::DesiredDocument& old : desired_->documents)
        updates.push_back({registry_source(old.name), std::nullopt});
    for (const registration::DesiredDocument& document : work.desired->documents) {
      const policy::Source source = registry_source(document.name);
      std::erase_if(updates, [&source](const policy::SourceUpdate& update) { return update.source == source; });
      updates.push_back({source, policy::parse(document.text, source.name)});
    }
    desired_ = work.desired;
  }
  // Of several words about one object the last one counts: the store takes each source once.
  std::set<std::string_view> told;
  for (auto each = work.kubernetes.rbegin(); each != work.kubernetes.rend(); ++each) {
    if (!told.insert(each->source).second) continue;
    policy::SourceUpdate update{{kKubernetesRank, each->source}, std::nullopt};
    // Its place is for what it says: of a whole cluster not all is there twice.
    if (const std::string text = std::exchange(each->text, {}); !text.empty())
      update.content = policy::parse(text, "kubernetes");
    updates.push_back(std::move(update));
  }
  return store_.apply(std::move(updates));
}

void PolicyEngine::compile_and_publish(const policy::Changes& changes) {
  if (compile_anew_) start_over();
  const auto begin = steady_clock::now();
  policy::Changes all;
  if (compile_anew_) all.upserts = store_.objects();
  Result<policy::PlanUpdate> update = compiler_->apply(compile_anew_ ? all : changes);
  report_.compile = since(begin);
  compile_anew_ = update.has_error();
  if (update.has_error()) {
    report_.failure = update.error().text();
    ++report_.refused;
    log::error(log::Part::policy, "the change is too large, keeping the last policy",
               {{"reason", update.error().text()}});
    return;
  }
  if (!whole_next_) return publish(*update, false);
  publish(compiler_->everything(), true);
}

void PolicyEngine::publish(const policy::PlanUpdate& update, bool whole) {
  if (update.empty() && !whole) {
    report_.failure.clear();
    return;
  }
  const auto begin = steady_clock::now();
  const Result<> published = enforcement_->publish(update, whole);
  report_.publish = since(begin);
  whole_next_ = published.has_error();
  if (published.has_error()) {
    report_.failure = published.error().text();
    log::error(log::Part::policy, "cannot publish the change, keeping the last policy", {{"reason", report_.failure}});
    return;
  }
  note_sets(update, whole);
  report_.failure.clear();
  report_.last_change = wall_now();
  const bool told = whole || changes_told_.pass(steady_clock::now());
  log::write(log::Part::policy, told ? log::Level::info : log::Level::debug,
             whole ? "policy published" : "policy changed",
             {{"endpoints", std::to_string(compiler_->use().endpoints)},
              {"took", fmt::format("{:.2f}ms", (report_.parse + report_.compile + report_.publish).count() * 1000)},
              {"not_logged", std::to_string(told && !whole ? changes_told_.suppressed() : 0)}});
}

void PolicyEngine::note_sets(const policy::PlanUpdate& update, bool whole) {
  if (whole) rule_origins_.clear();
  for (const policy::SetId gone : update.gone_sets)
    rule_origins_.erase(gone);
  for (const policy::RuleSet& set : update.sets) {
    std::vector<std::uint32_t>& origins = rule_origins_[set.id];
    origins.clear();
    for (const policy::PlanRule& rule : set.rules)
      origins.push_back(rule.origin);
  }
}

void PolicyEngine::defer(PolicyWork& work) {
  deferred_.directory = work.directory;
  deferred_.desired = work.desired;
  deferred_.kubernetes = std::move(work.kubernetes);
}

void PolicyEngine::add_deferred(PolicyWork& work) {
  PolicyWork before = std::exchange(deferred_, {});
  work.directory = work.directory || before.directory;
  if (!work.desired) work.desired = before.desired;
  std::ranges::move(work.kubernetes, std::back_inserter(before.kubernetes));
  work.kubernetes = std::move(before.kubernetes);
}

PolicyReport PolicyEngine::turn(PolicyWork work) {
  awaits_kubernetes_ = awaits_kubernetes_ && !work.kubernetes_whole;
  if (work.changes_objects() || work.retry) {
    add_deferred(work);
    if (const std::string reason = may_not_start(); reason.empty()) {
      const auto begin = steady_clock::now();
      const policy::Changes changes = read(work);
      report_.parse = since(begin);
      if (!changes.empty() || whole_next_ || compile_anew_) compile_and_publish(changes);
    } else {
      report_.failure = reason;
      defer(work);
    }
  }
  const auto warn = [this](const Result<>& done, std::string_view what) {
    if (done.has_error()) report_.notices.push_back(fmt::format("{}: {}", what, done.error().text()));
  };
  report_.notices.clear();
  if (work.links) warn(enforcement_->links_changed(), "following the devices");
  if (work.search) enforcement_->search();
  if (work.settle) warn(enforcement_->settle(), "removing what is no longer used");
  if (work.counters) {
    warn(enforcement_->count_state(), "counting connections");
    Result<enforcement::Counters> counters = enforcement_->counters();
    if (counters.has_value()) report_.counters = std::move(*counters);
    report_.counted = steady_clock::now();
  }
  fill_report();
  note_applied();
  return report_;
}

// A document counts as applied when it is in force, with its faults told.
void PolicyEngine::note_applied() {
  if (!desired_ || !report_.failure.empty() || !report_.enforcement.live) return;
  registration::AppliedState applied{
      .version = desired_->version, .sha256 = desired_->sha256, .faults = 0, .first_fault = {}};
  for (const policy::Fault& fault : report_.faults) {
    if (fault.applied || !fault.file.starts_with("registry:")) continue;
    if (applied.faults++ == 0) applied.first_fault = fault.text();
  }
  report_.applied = std::move(applied);
}

void PolicyEngine::fill_report() {
  const std::string warned = std::move(report_.enforcement.warning);
  report_.enforcement = enforcement_->status();
  const std::string& warning = report_.enforcement.warning;
  if (!warning.empty()) report_.notices.push_back(warning);
  if (!warning.empty() && warning != warned)
    log::warning(log::Part::policy, "not all is in force as it should be, going on", {{"reason", warning}});
  report_.objects = store_.size();
  report_.use = compiler_->use();
  report_.limits = compiler_->limits();
  report_.faults = store_.faults();
  report_.faults.insert(report_.faults.end(), file_faults_.begin(), file_faults_.end());
  for (const policy::Compiler::Conflict& conflict : compiler_->conflicts()) {
    std::string claimants;
    for (const policy::ObjectKey& key : conflict.claimants)
      claimants += (claimants.empty() ? "" : ", ") + policy::describe(key);
    report_.notices.push_back(
        fmt::format("{} is claimed by {}; the first has it", format(conflict.address), claimants));
  }
}

std::vector<NamedFlow> PolicyEngine::flows(std::size_t most) {
  std::vector<NamedFlow> out;
  for (enforcement::FlowEvent& event : enforcement_->drain(most)) {
    NamedFlow flow;
    flow.time = wall_time_of(event.time_ns);
    const auto name = [this](const Address& address) -> std::optional<policy::ObjectKey> {
      const policy::ObjectKey* key = compiler_->holder(address);
      return key == nullptr ? std::nullopt : std::optional(*key);
    };
    flow.source = name(event.source);
    flow.destination = name(event.destination);
    const auto set = rule_origins_.find(event.set);
    if (event.rule && set != rule_origins_.end() && *event.rule < set->second.size()) {
      const policy::RuleOrigin* origin = compiler_->rule_origin(set->second[*event.rule]);
      if (origin != nullptr) flow.rule = *origin;
    }
    const auto device =
        std::ranges::find(report_.enforcement.devices, event.ifindex, &enforcement::DeviceStatus::ifindex);
    if (device != report_.enforcement.devices.end()) flow.device = device->name;
    flow.event = std::move(event);
    out.push_back(std::move(flow));
  }
  return out;
}

}  // namespace omnitide::daemon
