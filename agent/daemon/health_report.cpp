#include "agent/daemon/health_report.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "agent/base/text.hpp"
#include "agent/codec/facts_codec.hpp"
#include "agent/codec/time.hpp"
#include "agent/daemon/health_part.hpp"
#include "agent/daemon/report.hpp"
#include "omnitide/node/v1/health.pb.h"

namespace omnitide::daemon {

namespace v1 = node::v1;
using health::Verdict;
using model::MetricDescriptor;
using model::MetricType;

namespace {

constexpr std::array<std::string_view, 1> kByCondition{"condition"};
constexpr std::array kFamilies{
    MetricDescriptor{"omnitide_health_condition", "", "1 while a condition of the node is true.", MetricType::gauge,
                     kByCondition},
    MetricDescriptor{
        "omnitide_health_actions_total", "", "Remedies that this run of the agent began.", MetricType::counter, {}},
    MetricDescriptor{"omnitide_health_paused", "", "1 while remediation is paused or locked.", MetricType::gauge, {}},
    MetricDescriptor{"omnitide_health_kernel_log_lines_total",
                     "",
                     "Lines of the kernel's log that were looked at.",
                     MetricType::counter,
                     {}},
    MetricDescriptor{
        "omnitide_health_kernel_log_hits_total", "", "Matches of rules for the kernel's log.", MetricType::counter, {}},
    MetricDescriptor{"omnitide_health_kernel_log_lost_total",
                     "",
                     "Lines that the kernel overwrote before they were read.",
                     MetricType::counter,
                     {}},
    MetricDescriptor{"omnitide_health_remedies_exhausted",
                     "",
                     "Faults that last and for which no remedy is left: people must look.",
                     MetricType::gauge,
                     {}}};

std::string_view word(Verdict verdict) {
  return verdict == Verdict::bad ? "bad" : verdict == Verdict::good ? "good" : "unknown";
}

void fill_check(const health::ConditionEntry& entry, v1::HealthCheck& out) {
  out.set_name(entry.settled.check);
  out.set_condition(entry.settled.condition);
  out.set_verdict(std::string(word(entry.settled.verdict)));
  out.set_reason(entry.settled.reason);
  out.set_message(valid_utf8(entry.settled.message));
  codec::set_time(entry.since, *out.mutable_since());
  codec::set_time(entry.seen, *out.mutable_seen());
  for (const auto& [name, value] : entry.settled.evidence) {
    v1::HealthEvidence& each = *out.add_evidence();
    each.set_name(name);
    each.set_value(valid_utf8(value));
  }
}

}  // namespace

std::vector<const MetricDescriptor*> health_descriptors() {
  std::vector<const MetricDescriptor*> out;
  for (const MetricDescriptor& family : kFamilies)
    out.push_back(&family);
  for (const MetricDescriptor* family : probe_descriptors())
    out.push_back(family);
  return out;
}

void HealthPart::add_samples(model::SampleBatch& out) const {
  for (const model::Condition& condition : store_.conditions())
    out.add(kFamilies[0], condition.status == model::ConditionStatus::true_ ? 1 : 0, {condition.type});
  out.add(kFamilies[1], static_cast<double>(acted_));
  out.add(kFamilies[2], decider_->paused(wall_now()) || locked() ? 1 : 0);
  out.add(kFamilies[6],
          static_cast<double>(std::ranges::count_if(decider_->saved().episodes, [](const health::Episode& each) {
            return each.present && each.told_exhausted;
          })));
  probes_->add_samples(out);
  if (!kernel_log_) return;
  const HealthKernelLog::Status& log = kernel_log_->status();
  out.add(kFamilies[3], static_cast<double>(log.lines));
  out.add(kFamilies[4], static_cast<double>(log.hits));
  out.add(kFamilies[5], static_cast<double>(log.lost));
}

void HealthPart::fill(v1::HealthStatus& out) const {
  const health::World now = world();
  v1::Conditions all;
  codec::to_proto(store_.conditions(), all);
  out.mutable_conditions()->Swap(all.mutable_items());
  for (const health::ConditionEntry& entry : store_.entries()) {
    v1::HealthCheck& check = *out.add_checks();
    fill_check(entry, check);
    const auto known = std::ranges::find_if(
        checks_, [&entry](const Scheduled& each) { return each.check.name == entry.settled.check; });
    if (known != checks_.end()) check.set_what(std::string(known->check.what));
    if (services_->has(entry.settled.check)) check.set_what(HealthServices::what(entry.settled.check));
    if (const Probe* probe = probes_->find(entry.settled.check)) check.set_what(valid_utf8(probe->what));
  }
  for (const health::Ladder& ladder : decider_->ladders()) {
    v1::HealthRemedy& remedy = *out.add_remedies();
    remedy.set_condition(ladder.condition);
    remedy.set_subject(ladder.subject);
    for (const health::Action& step : ladder.steps)
      remedy.add_steps(text(step));
    if (!now.time_known &&
        std::ranges::find(ladder.steps, health::ActionKind::clean, &health::Action::kind) != ladder.steps.end())
      remedy.set_held(fmt::format("clean is not done now: {}", health::kAgeUnknown));
    const health::Episode* episode = decider_->episode(ladder.condition, ladder.subject);
    if (episode == nullptr) continue;
    remedy.set_present(episode->present);
    remedy.set_tried(episode->tried);
    const health::Decider::Next next = decider_->next(*episode, now);
    if (next.action) remedy.set_next(text(*next.action));
    remedy.set_not_now(next.because);
    remedy.set_wait_seconds(std::chrono::duration<double>(next.in).count());
  }
  fill_quarantine(out);
  out.set_remediation(decider_->bounds().enabled);
  out.set_dry_run(decider_->bounds().dry_run);
  out.set_paused(decider_->paused(now.wall));
  if (out.paused() && decider_->saved().paused_until != WallTime{})
    codec::set_time(decider_->saved().paused_until, *out.mutable_paused_until());
  out.set_locked(now.locked);
  out.set_lock_file(config_.remediation.lock_file);
  out.set_actions(static_cast<std::uint32_t>(decider_->saved().ledger.size()));
  out.set_actions_limit(decider_->bounds().actions);
  for (const std::string& problem : problems())
    if (!kernel_log_ || problem != kernel_log_->status().problem) out.add_problems(valid_utf8(problem));
  for (const HealthLogs::Status& log : logs_->status()) {
    v1::HealthLog& each = *out.add_logs();
    each.set_log(valid_utf8(log.log));
    each.set_reading(log.reading);
    each.set_problem(log.problem);
    each.set_lines(log.lines);
    each.set_hits(log.hits);
    each.set_rules(static_cast<std::uint32_t>(log.rules));
  }
  if (!kernel_log_) return;
  const HealthKernelLog::Status& log = kernel_log_->status();
  v1::HealthKernelLog& kernel = *out.mutable_kernel_log();
  kernel.set_reading(log.reading);
  kernel.set_problem(log.problem);
  kernel.set_lines(log.lines);
  kernel.set_hits(log.hits);
  kernel.set_lost(log.lost);
  kernel.set_rules(static_cast<std::uint32_t>(log.rules));
}

}  // namespace omnitide::daemon
