#include "agent/daemon/health_part.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <set>
#include <utility>

#include "agent/base/text.hpp"
#include "agent/daemon/health_kubernetes.hpp"
#include "agent/daemon/health_network.hpp"
#include "agent/daemon/health_remedy.hpp"
#include "agent/daemon/health_rules.hpp"
#include "agent/daemon/self.hpp"
#include "agent/daemon/spawn.hpp"
#include "agent/daemon/tuple.hpp"
#include "discovery/collectors/catalogue.hpp"
#include "health/checks/probes.hpp"

namespace omnitide::daemon {

namespace asio = boost::asio;
using namespace std::chrono_literals;
using health::Verdict;
using log::Part;
using model::PartState;

namespace {

constexpr std::chrono::milliseconds kLogQuiet = 1h;     // after which a condition of the log is taken for gone
constexpr std::chrono::milliseconds kConfirmed = 1min;  // after which a check of the state knows better than the log

health::Thresholds thresholds_of(const config::HealthThresholds& config) {
  health::Thresholds out;
  out.disk_percent = config.disk_space;
  out.inode_percent = config.disk_inodes;
  out.memory_percent = config.memory;
  out.use_percent = config.use;
  out.disk_lasts = std::chrono::duration_cast<std::chrono::seconds>(config.disk_lasts);
  out.registry_silent = std::chrono::duration_cast<std::chrono::seconds>(config.registry);
  out.certificate_lasts = std::chrono::duration_cast<std::chrono::seconds>(config.certificate);
  return out;
}

}  // namespace

HealthPart::HealthPart(asio::io_context& context, io::WorkerPool& pool, Root root, config::HealthConfig config,
                       Place place, Sources sources)
    : context_(context),
      pool_(pool),
      root_(std::move(root)),
      config_(std::move(config)),
      place_(std::move(place)),
      sources_(std::move(sources)),
      history_(place_.state_dir + "/health-history.jsonl"),
      round_timer_(context),
      decide_timer_(context) {
  load_plugins();
  load();
  make_checks();
  make_probes();
  forget_others();
}

// What was damaged is put aside, and its budgets count as used up.
void HealthPart::load() {
  const std::string path = place_.state_dir + "/health.json";
  Result<HealthSaved> saved = load_health(path);
  const health::Bounds bounds = health_bounds(config_);
  if (saved.has_error()) {
    log::error(Part::health, "what was known of health is lost, doing nothing for a day",
               {{"reason", saved.error().text()}});
    std::rename(path.c_str(), (path + ".damaged").c_str());
    saved = HealthSaved{{}, used_up(bounds), 0, {}, {}, used_up(quarantine_bounds(config_))};
  }
  const bool same_boot = saved->decider.boot_id == place_.boot_id;
  if (same_boot) saved_sequence_ = saved->kernel_sequence;
  store_.restore(std::move(saved->conditions));
  decider_.emplace(health_ladders(config_), bounds, std::move(saved->decider));
  quarantine_.emplace(quarantine_bounds(config_), std::move(saved->quarantine));
  saved_positions_ = std::move(saved->log_positions);
  make_logs(same_boot);
  make_units(same_boot ? std::move(saved->restarts) : std::vector<health::RestartCount>());
}

void HealthPart::make_units(std::vector<health::RestartCount> restarts) {
  services_ = std::make_unique<HealthServices>(root_, config_.exclude, std::move(restarts));
  watched_units_ = units_to_watch();
  units_ = std::make_unique<UnitWatch>(
      context_, pool_, watched_units_, [this](const UnitWatch::Units& units) { told_units(units); },
      [this](std::string problem) {
        // Of what nobody listed it is no fault that it cannot be watched, as in a container.
        units_problem_ = config_.units.empty() ? std::string() : std::move(problem);
        tell_state();
      });
}

std::vector<std::string> HealthPart::units_to_watch() const {
  std::vector<std::string> out = config_.units;
  for (std::string& unit : services_->installed())
    if (std::ranges::find(out, unit) == out.end()) out.push_back(std::move(unit));
  return out;
}

void HealthPart::make_logs(bool same_boot) {
  LoadedLogRules loaded = load_all_log_rules(config_.rule_files);
  refused_rules_ = std::move(loaded.refused);
  const LogTeller::Told told{.finding = [this](health::Finding finding) { heard(std::move(finding)); },
                             .event = [this](const LogEvent& event) { heard(event); },
                             .problem = [this] { tell_state(); }};
  if (config_.kernel_log)
    kernel_log_ = std::make_unique<HealthKernelLog>(context_, loaded.rules, config_.kernel_log_rate, told);
  logs_ = std::make_unique<HealthLogs>(context_, pool_, loaded.rules, config_.kernel_log_rate, told);
  // A boot begins with logs that say nothing.
  for (health::Finding& finding : log_defaults()) {
    const health::ConditionEntry* entry = store_.find(finding.condition, finding.check);
    if (entry == nullptr || entry->settled.verdict != Verdict::bad || !same_boot)
      (void)store_.apply(std::move(finding), {1, 1}, wall_now());
  }
}

std::vector<health::Finding> HealthPart::log_defaults() const {
  std::vector<health::Finding> out = logs_->defaults();
  if (!kernel_log_) return out;
  for (health::Finding& each : kernel_log_->defaults())
    out.push_back(std::move(each));
  return out;
}

void HealthPart::make_checks() {
  std::vector<std::string> suspects;
  if (const health::ConditionEntry* entry = store_.find("ReadonlyFilesystem", "readonly");
      entry != nullptr && entry->settled.verdict == Verdict::bad)
    for (const auto& [name, value] : entry->settled.evidence)
      if (name == "mountpoint") suspects.push_back(value);
  std::set<std::string, std::less<>> needed;
  for (health::Check& check : health::node_checks(thresholds_of(config_.thresholds), suspects)) {
    if (std::ranges::find(config_.exclude, check.name) != config_.exclude.end()) continue;
    needed.insert(check.collectors.begin(), check.collectors.end());
    checks_.push_back({std::move(check), {}});
  }
  std::vector<model::Collector> collectors;
  for (auto& each : discovery::node_collectors(root_, model::CollectorSettings()))
    if (needed.contains(each.name)) collectors.push_back(std::move(each));
  for (auto& each : health::probes(root_))
    if (needed.contains(each.name)) collectors.push_back(std::move(each));
  engine_ = std::make_unique<metrics::CollectionEngine>(context_.get_executor(), pool_, std::move(collectors),
                                                        [this](model::SampleBatch& out) { add_own(out); });
}

// What an earlier configuration checked and this one does not is said by nobody.
void HealthPart::forget_others() {
  const std::vector<health::ConditionEntry> entries = store_.entries();
  const std::vector<health::Finding> of_log = log_defaults();
  for (const health::ConditionEntry& entry : entries) {
    const health::Finding& known = entry.settled;
    const bool checked =
        std::ranges::any_of(checks_, [&known](const Scheduled& each) { return each.check.name == known.check; });
    const bool logged = std::ranges::any_of(of_log, [&known](const health::Finding& each) {
      return each.check == known.check && each.condition == known.condition;
    });
    const bool unit = std::ranges::any_of(
        config_.units, [&known](const std::string& name) { return unit_check(name) == known.check; });
    const bool service = services_->has(known.check);
    const Probe* probe = probes_->find(known.check);
    const bool probed = probe != nullptr && probe->condition == known.condition;
    if (!checked && !logged && !unit && !service && !probed) store_.forget(known.condition, known.check);
  }
}

// Those of plugin "custom" among the rule files; the others are the logs'.
void HealthPart::load_plugins() {
  std::vector<std::string> others;
  std::size_t rules = 0;
  for (const std::string& path : config_.rule_files) {
    Result<std::optional<PluginFile>> file = load_plugin_file(path);
    if (file.has_value() && *file && (rules += (*file)->rules.size()) > kMostPluginRules)
      file = fail(Code::resource_exhausted,
                  fmt::format("{}: there are more than {} rules with programs", path, kMostPluginRules));
    if (file.has_error()) {
      log::error(Part::health, "a rule file is refused, going on without it", {{"reason", file.error().text()}});
      refused_plugins_.push_back(file.error().text());
    } else if (*file) {
      plugins_.push_back(std::move(**file));
    } else {
      others.push_back(path);
    }
  }
  config_.rule_files = std::move(others);
}

void HealthPart::make_probes() {
  std::vector<Probe> all = configured_probes(config_);
  std::vector<std::size_t> groups{0, kCommandsAtOnce};
  KubernetesNode node;
  node.interval = config_.interval;
  node.known = [this](std::string_view condition, std::string_view check) {
    const health::ConditionEntry* entry = store_.find(condition, check);
    return entry != nullptr && entry->settled.verdict != Verdict::unknown;
  };
  for (Probe& probe : kubernetes_probes(node))
    if (std::ranges::find(config_.exclude, probe.name) == config_.exclude.end()) all.push_back(std::move(probe));
  for (Probe& probe : network_probes({.root = root_, .interval = config_.interval}))
    if (std::ranges::find(config_.exclude, probe.name) == config_.exclude.end()) all.push_back(std::move(probe));
  for (const PluginFile& file : plugins_) {
    for (Probe& probe : plugin_probes(file, groups.size()))
      all.push_back(std::move(probe));
    groups.push_back(file.concurrency);
  }
  HealthProbes::Told told{
      .finding = [this](health::Finding finding, const Probe& probe) { heard(std::move(finding), probe); },
      .event =
          [this](const std::string& source, const health::Finding& found) {
            const auto held = plugin_events_.pass(source + ' ' + found.reason, std::chrono::steady_clock::now());
            if (held) heard(LogEvent{source, found.reason, found.message, *held});
          }};
  probes_ = std::make_unique<HealthProbes>(context_, std::move(all), std::move(groups), std::move(told));
}

void HealthPart::spawn(asio::awaitable<void> work) {
  spawn_on(context_, std::move(work), [this](std::string reason) {
    if (stopping_) return;
    log::error(Part::health, "health failed and is off until a restart", {{"reason", reason}});
    sources_.on_state(PartState::failed, std::move(reason));
  });
}

void HealthPart::start() {
  tell_state();
  start_quarantine();
  spawn(rounds());
  if (kernel_log_) spawn(kernel_log_->run(saved_sequence_));
  for (asio::awaitable<void>& each : logs_->run(saved_positions_))
    spawn(std::move(each));
  spawn(units_->run());
  for (asio::awaitable<void>& each : probes_->work())
    spawn(std::move(each));
}

void HealthPart::stop() {
  stopping_ = true;
  round_timer_.cancel();
  decide_timer_.cancel();
  if (kernel_log_) kernel_log_->stop();
  logs_->stop();
  units_->stop();
  probes_->stop();
  if (const Result<> saved = save(); saved.has_error())
    log::error(Part::health, "the state of health is not saved", {{"reason", saved.error().text()}});
}

void HealthPart::adjust(const config::HealthConfig& next) {
  config_.interval = next.interval;
  config_.remediation = next.remediation;
  health::DeciderState saved = decider_->saved();
  decider_.emplace(health_ladders(config_), health_bounds(config_), std::move(saved));
  health::QuarantineState quarantine = quarantine_->saved();
  quarantine_.emplace(quarantine_bounds(config_), std::move(quarantine));
  round_timer_.cancel();
}

Result<> HealthPart::save() {
  dirty_ = false;
  HealthSaved all{store_.entries(),   decider_->saved(),  kernel_log_ ? kernel_log_->next_sequence() : 0,
                  logs_->positions(), services_->known(), quarantine_->saved()};
  // Before the first decision the boot of the state is that of an earlier run; the rest is of this one.
  if (all.decider.boot_id != place_.boot_id) {
    all.kernel_sequence = 0;
    all.restarts.clear();
  }
  return save_health(place_.state_dir + "/health.json", all);
}

std::vector<std::string> HealthPart::problems() const {
  std::vector<std::string> out;
  if (kernel_log_ && !kernel_log_->status().problem.empty()) out.push_back(kernel_log_->status().problem);
  for (const HealthLogs::Status& each : logs_->status())
    if (!each.problem.empty()) out.push_back(each.problem);
  out.insert(out.end(), refused_rules_.begin(), refused_rules_.end());
  if (!config_.remediation.cordon_for.empty() && !sources_.on_quarantine)
    out.emplace_back("health.remediation.cordon_for needs kubernetes.enabled");
  if (!units_problem_.empty()) out.push_back("units are not watched: " + units_problem_);
  out.insert(out.end(), refused_plugins_.begin(), refused_plugins_.end());
  for (std::string& problem : probes_->problems())
    out.push_back("a check cannot be made: " + std::move(problem));
  return out;
}

void HealthPart::tell_state() {
  const std::vector<std::string> all = problems();
  if (all.empty())
    return sources_.on_state(PartState::on,
                             fmt::format("{} checks", checks_.size() + services_->size() + probes_->size()));
  sources_.on_state(PartState::degraded, join(all, "; "));
}

asio::awaitable<void> HealthPart::rounds() {
  SteadyTime planned = std::chrono::steady_clock::now();
  while (!stopping_) {
    const SteadyTime now = std::chrono::steady_clock::now();
    lag_ = now - planned;
    std::vector<std::size_t> due;
    for (std::size_t i = 0; i < checks_.size(); ++i)
      if (checks_[i].last == SteadyTime{} || now - checks_[i].last >= checks_[i].check.interval - 500ms)
        due.push_back(i);
    co_await round(std::move(due));
    planned = std::max(now + config_.interval, std::chrono::steady_clock::now() + 100ms);
    round_timer_.expires_at(planned);
    co_await round_timer_.async_wait(kTuple);
  }
}

asio::awaitable<void> HealthPart::round(std::vector<std::size_t> due) {
  std::vector<std::string> names;
  for (const std::size_t index : due)
    for (const std::string& name : checks_[index].check.collectors)
      if (std::ranges::find(names, name) == names.end()) names.push_back(name);
  const std::shared_ptr<const metrics::Collection> collection = co_await engine_->collect(std::move(names));
  if (stopping_) co_return;
  const WallTime now = wall_now();
  const health::Readings readings(collection->batches(), std::chrono::steady_clock::now());
  for (const std::size_t index : due) {
    Scheduled& each = checks_[index];
    each.last = readings.time();
    settle(each.check.evaluate(readings), each.check.hysteresis, now);
  }
  quiet_log_conditions(now);
  look_at_services(now);
  ++round_;
  decide();
  tell_changes();
}

// What only this loop knows.
void HealthPart::add_own(model::SampleBatch& out) {
  out.add(health::daemon_family(health::kLoopLag), lag_.count());
  out.add(health::daemon_family(health::kAgentBytes), static_cast<double>(resident_bytes()));
  if (const auto silence = sources_.registry_silence())
    out.add(health::daemon_family(health::kRegistrySilence), silence->count());
  const auto certificate = sources_.certificate();
  if (!certificate) return;
  const auto add = [&out](std::string_view family, std::chrono::duration<double> time) {
    out.add(health::daemon_family(family), time.count(), {"registration"});
  };
  add(health::kCertificateSeconds, certificate->ends - wall_now());
  add(health::kCertificateLifetime, certificate->ends - certificate->begins);
  add(health::kCertificateRenewal, certificate->ends - certificate->renews);
}

// The kernel says when something breaks, never when it is whole again: a check of the same condition knows, and else
// time tells.
void HealthPart::quiet_log_conditions(WallTime now) {
  for (health::Finding& finding : log_defaults()) {
    const health::ConditionEntry* entry = store_.find(finding.condition, finding.check);
    if (entry == nullptr || entry->settled.verdict != Verdict::bad) continue;
    const bool confirmed = std::ranges::any_of(store_.entries(), [&](const health::ConditionEntry& other) {
      return other.settled.condition == finding.condition && other.settled.verdict == Verdict::good &&
             std::ranges::any_of(checks_,
                                 [&other](const Scheduled& s) { return s.check.name == other.settled.check; }) &&
             other.seen - entry->seen >= kConfirmed;
    });
    if (confirmed || now - entry->seen >= kLogQuiet) settle(std::move(finding), {1, 1}, now);
  }
}

asio::awaitable<Result<>> HealthPart::run_check(std::string name) {
  std::vector<std::size_t> due;
  for (std::size_t i = 0; i < checks_.size(); ++i)
    if (name.empty() || checks_[i].check.name == name) due.push_back(i);
  if (due.empty() && !services_->has(name) && probes_->find(name) == nullptr)
    co_return fail(Code::not_found, fmt::format("there is no check \"{}\"", printable(name, 60)))
        .with_hint("`omnitide-agent health` lists them");
  record("operator", name.empty() ? "all checks" : name, "run", "", "");
  constexpr std::chrono::milliseconds kAll = 8s, kOne = 6min;  // one that was asked for is waited for
  co_await probes_->run(name, name.empty() ? kAll : kOne);
  if (stopping_) co_return fail(Code::aborted, "the agent is stopping");
  co_await round(std::move(due));
  co_return Result<>();
}

}  // namespace omnitide::daemon
