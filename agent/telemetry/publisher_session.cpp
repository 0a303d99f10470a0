// The Sparkplug session's side: what it is shown, and what it wants done.
#include <algorithm>
#include <utility>

#include "agent/telemetry/publisher_impl.hpp"

namespace omnitide::telemetry {

using std::chrono::steady_clock;

void Publisher::Impl::act() {
  for (SparkplugAction& action : session_->take_actions())
    do_action(action);
  if (!outbox_.empty()) (void)flush_outbox();
  if (session_->state() != saved_state_ && link_ == Link::connected) save_state_soon();
}

void Publisher::Impl::do_action(SparkplugAction& action) {
  switch (action.kind) {
    case SparkplugAction::Kind::publish:
      outbox_.push_back({.message = std::move(action.message), .ends = std::nullopt});
      break;
    case SparkplugAction::Kind::went_online:
      lane(Stream::sparkplug).delivery.online();
      if (!abandoned_ && handlers_.on_change) handlers_.on_change();
      break;
    case SparkplugAction::Kind::disconnect:
      leave_ = action.reason;
      wake();
      break;
    case SparkplugAction::Kind::next_broker: next_broker_ = true; break;
    case SparkplugAction::Kind::command:
      if (!abandoned_ && handlers_.on_command) handlers_.on_command(std::move(action.name), std::move(action.value));
      break;
    case SparkplugAction::Kind::refused:
      if (log_refused_.pass(steady_clock::now()))
        log::warning(log::Part::telemetry, "a command of a host is refused, ignoring",
                     {{"command", action.name}, {"reason", action.value}});
      break;
  }
}

// Everything that the host shall know: what is there now, and what history still has to tell of.
void Publisher::Impl::show_metrics() {
  std::vector<KnownMetric> all = known_;
  for (const KnownMetric& one : known_)
    only_history_.erase(one.alias);
  for (const std::uint64_t alias : only_history_) {
    const AliasTable::Entry* entry = aliases_->find(alias);
    if (entry == nullptr) continue;
    all.push_back(
        {.alias = alias,
         .metric = {
             .device = entry->device, .name = entry->name, .type = entry->type, .value = {}, .unit = entry->unit}});
  }
  session_->set_metrics(std::move(all), wall_now());
  act();
}

// An alias that the table does not know is lost: data() leaves it out and counts it.
bool Publisher::Impl::all_born(const Report& report) const {
  return std::ranges::all_of(report.values, [this](const ReportedValue& value) {
    return session_->born(value.alias) || aliases_->find(value.alias) == nullptr;
  });
}

void Publisher::Impl::want_births(const Report& report) {
  const std::size_t before = only_history_.size();
  for (const ReportedValue& value : report.values) {
    const bool is_known =
        std::ranges::any_of(known_, [&value](const KnownMetric& one) { return one.alias == value.alias; });
    if (!is_known && aliases_->find(value.alias) != nullptr) only_history_.insert(value.alias);
  }
  if (only_history_.size() != before) births_wanted_ = true;
}

// Once a second: the session delays births so that there are few of them.
void Publisher::Impl::look_after_births() {
  if (!session_ || session_->phase() != SparkplugSession::Phase::online || leave_) return;
  Lane& own = lane(Stream::sparkplug);
  if (std::exchange(births_wanted_, false)) show_metrics();
  history_held_ = false;
  const SparkplugCounts& counts = session_->counts();
  const bool nothing_waits = outbox_.empty() && unfenced_.empty();
  if (live_skipped_ && nothing_waits && !own.delivery.has_live() &&
      counts.births + counts.device_births > *live_skipped_) {
    live_skipped_.reset();
    own.history.clear();
    own.delivery.online();
  }
  if (only_history_.empty() || !nothing_waits || own.delivery.has_history() || live_skipped_) return;
  only_history_.clear();
  show_metrics();
}

}  // namespace omnitide::telemetry
