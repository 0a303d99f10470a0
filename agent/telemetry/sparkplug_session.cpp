#include "agent/telemetry/sparkplug_session.hpp"

#include <algorithm>
#include <iterator>
#include <unordered_map>
#include <utility>

#include "agent/base/text.hpp"

namespace omnitide::telemetry {

namespace {

constexpr std::uint64_t kBdSeqs = 256;
constexpr std::size_t kLongestBroker = 256;
constexpr std::size_t kMostGroups = 4'096;          // devices that are there or were a while ago
constexpr std::uint8_t kDisconnectWithWill = 0x04;  // MQTT 5; the specification wants it for every DISCONNECT

// A clock that went back counts as time that has passed: what waits must not wait for years.
bool has_passed(WallTime since, std::chrono::milliseconds interval, WallTime now) {
  return now < since || now - since >= interval;
}

}  // namespace

SparkplugSession::SparkplugSession(SparkplugOptions options, SparkplugState state)
    : options_(std::move(options)), state_(std::move(state)) {
  state_.next_bd_seq %= kBdSeqs;
  groups_.try_emplace("");
}

SparkplugMessage SparkplugSession::connecting(std::string_view broker) {
  disconnected();
  link_ = Link::connecting;
  broker_ = printable(broker, kLongestBroker);  // one line of the state's file
  bd_seq_ = state_.next_bd_seq;
  state_.next_bd_seq = (bd_seq_ + 1) % kBdSeqs;
  return {topic("NDEATH"), death_payload(std::nullopt), 1, false};
}

std::vector<std::string> SparkplugSession::filters() const {
  std::vector<std::string> out{topic("NCMD"), topic("DCMD", "+")};
  if (!options_.primary_host.empty()) out.push_back("spBv1.0/STATE/" + options_.primary_host);
  return out;
}

void SparkplugSession::connected(WallTime now) {
  if (link_ != Link::connecting) return;
  link_ = Link::up;
  if (!options_.primary_host.empty() && !host_ && options_.brokers > 1) patience_end_ = now + options_.host_patience;
  proceed(now);
}

void SparkplugSession::disconnected() {
  link_ = Link::down;
  phase_ = Phase::disconnected;
  host_.reset();
  patience_end_.reset();
  host_wants_birth_ = false;
  waiting_counted_ = false;
  for (auto& [device, group] : groups_) {
    group.alive = false;
    group.born.clear();
  }
}

// Goes as far towards the births as host and metrics allow.
void SparkplugSession::proceed(WallTime now) {
  if (link_ != Link::up || phase_ == Phase::online) return;
  if (!options_.primary_host.empty() && host_ != true) {
    if (host_ == false && options_.brokers > 1)
      leave(now, true);
    else
      phase_ = Phase::waiting_for_host;
    return;
  }
  patience_end_.reset();
  if (!have_metrics_) {
    phase_ = Phase::waiting_for_metrics;
    return;
  }
  phase_ = Phase::online;
  births(now);
  actions_.push_back({.kind = SparkplugAction::Kind::went_online, .message = {}, .name = {}, .value = {}});
}

// Ends the session: deaths when it was born, then the connection.
void SparkplugSession::leave(WallTime now, bool next) {
  if (phase_ == Phase::online) deaths(now);
  disconnected();
  actions_.push_back({.kind = SparkplugAction::Kind::disconnect,
                      .message = {},
                      .reason = kDisconnectWithWill,
                      .name = {},
                      .value = {}});
  if (next) actions_.push_back({.kind = SparkplugAction::Kind::next_broker, .message = {}, .name = {}, .value = {}});
}

void SparkplugSession::stop(WallTime now) {
  if (link_ == Link::up)
    leave(now, false);
  else
    disconnected();
}

// Sorts the metrics to their devices, each name once.
void SparkplugSession::take_metrics(std::vector<Known> metrics) {
  for (auto& [device, group] : groups_) {
    group.metrics.clear();
    group.stand_ins.clear();
  }
  for (Known& known : metrics) {
    auto at = groups_.find(known.metric.device);
    if (at == groups_.end() && groups_.size() < kMostGroups) at = groups_.try_emplace(known.metric.device).first;
    if (at != groups_.end()) at->second.metrics.push_back(std::move(known));
  }
  for (auto& [device, group] : groups_)
    settle(group);
}

void SparkplugSession::settle(Group& group) {
  std::unordered_map<std::string_view, const Known*> names;
  std::vector<Known> once;
  once.reserve(group.metrics.size());  // so that names stay in place
  for (Known& known : group.metrics) {
    const auto first = names.find(known.metric.name);
    if (first == names.end()) {
      once.push_back(std::move(known));
      names.emplace(once.back().metric.name, &once.back());
    } else if (known.alias != first->second->alias) {
      group.stand_ins.emplace(known.alias, Group::StandIn{first->second->alias, first->second->metric.type});
    }
  }
  group.metrics = std::move(once);
  group.known.clear();
  std::ranges::transform(group.metrics, std::back_inserter(group.known), &Known::alias);
  std::ranges::sort(group.known);
}

void SparkplugSession::set_metrics(std::vector<Known> metrics, WallTime now) {
  take_metrics(std::move(metrics));
  have_metrics_ = true;
  metrics_at_ = now;
  for (auto at = groups_.begin(); at != groups_.end();) {
    Group& group = at->second;
    const bool gone = group.metrics.empty() && !at->first.empty();
    if (gone && group.alive && phase_ == Phase::online) device_death(at->first, group, now);
    // A device that was just here keeps its place, so that one that comes and goes is not born each time.
    if (gone && (!group.born_at || has_passed(*group.born_at, options_.rebirth_interval, now)))
      at = groups_.erase(at);
    else
      ++at;
  }
  if (phase_ == Phase::online)
    run_due(now);
  else
    proceed(now);
}

void SparkplugSession::tick(WallTime now) {
  if (phase_ == Phase::waiting_for_host && patience_end_ && now >= *patience_end_)
    leave(now, true);
  else if (phase_ == Phase::online)
    run_due(now);
}

void SparkplugSession::take_token(WallTime now) {
  if (now < tokens_at_) tokens_at_ = now;
  while (tokens_ < kRebirthBurst && now - tokens_at_ >= kRebirthEvery) {
    ++tokens_;
    tokens_at_ += kRebirthEvery;
  }
  if (tokens_ == kRebirthBurst) tokens_at_ = now;
  if (tokens_ == 0) return;
  --tokens_;
  host_wants_birth_ = false;
  ++counts_.rebirths;
  births(now);
}

void SparkplugSession::request_rebirth(WallTime now) {
  host_wants_birth_ = true;
  take_token(now);
  if (host_wants_birth_) ++counts_.delayed_births;
}

void SparkplugSession::rebirth(WallTime now) {
  if (phase_ == Phase::online) request_rebirth(now);
}

// What a changed set, a new device or a host waits for, as far as its time has come.
void SparkplugSession::run_due(WallTime now) {
  if (host_wants_birth_) take_token(now);
  const Group& node = groups_.find("")->second;
  if (node.known != node.born) {
    if (!node.born_at || has_passed(*node.born_at, options_.rebirth_interval, now)) {
      ++counts_.rebirths;
      births(now);
    } else if (!std::exchange(waiting_counted_, true)) {
      ++counts_.delayed_births;
    }
  }
  for (auto& [device, group] : groups_) {
    if (device.empty() || !group.changed()) continue;
    if (!group.born_at || has_passed(*group.born_at, options_.rebirth_interval, now)) device_birth(device, group, now);
  }
}

std::optional<WallTime> SparkplugSession::next_tick() const {
  std::optional<WallTime> out;
  const auto at = [&out](WallTime time) { out = out ? std::min(*out, time) : time; };
  if (phase_ == Phase::waiting_for_host && patience_end_) at(*patience_end_);
  if (phase_ != Phase::online) return out;
  if (host_wants_birth_) at(tokens_at_ + kRebirthEvery);
  for (const auto& [device, group] : groups_) {
    const bool waits = device.empty() ? group.known != group.born : group.changed();
    if (waits && group.born_at) at(*group.born_at + options_.rebirth_interval);
  }
  return out;
}

std::vector<SparkplugAction> SparkplugSession::take_actions() { return std::exchange(actions_, {}); }

HostState* SparkplugSession::host_here() {
  const auto at = std::ranges::find(state_.hosts, broker_, &HostState::broker);
  return at == state_.hosts.end() ? nullptr : &*at;
}

void SparkplugSession::setting(std::string_view command, std::string value, WallTime now) {
  const auto at = settings_.find(command);
  if (at != settings_.end() && at->second == value) return;
  settings_.insert_or_assign(std::string(command), std::move(value));
  show_setting(command, now);
}

}  // namespace omnitide::telemetry
