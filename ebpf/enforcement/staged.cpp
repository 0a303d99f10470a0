#include "ebpf/enforcement/staged.hpp"

#include <cstring>

#include "ebpf/enforcement/publisher.hpp"

namespace omnitide::enforcement {

namespace {

constexpr std::uint8_t kWhole = 128;

policy_endpoint comparable(policy_endpoint element) {
  element.version = element.version_end = 0;
  element.epoch = 0;
  return element;
}

std::uint32_t next_epoch(std::uint32_t epoch) { return epoch + 1 == 0 ? 1 : epoch + 1; }

}  // namespace

bool same_element(const policy_endpoint& left, const policy_endpoint& right) {
  const policy_endpoint one = comparable(left), other = comparable(right);
  return std::memcmp(&one, &other, sizeof one) == 0;
}

void LocationRows::add(const LocationWrite& write) {
  if (write.prefix.length == kWhole) {
    addresses.add(encode(write.prefix.address), write.value);
    addresses_before.push_back(write.before);
  } else {
    prefixes.add(encode(write.prefix), write.value);
    prefixes_before.push_back(write.before);
  }
}

bool Staged::empty() const {
  const std::size_t rows_of_sets = rows.rules.size() + rows.ports.size() + rows.ranges.size() + rows.peers.size();
  return rows_of_sets + step.writes.size() + step.set.size() + step.gone.size() + deny.size() + undenied.size() +
             fresh_endpoints.size() + changed_endpoints.size() ==
         0;
}

Result<> Publisher::stage_locations(const policy::PlanUpdate& update, Staged& staged) {
  std::optional<LocationStep> step = locations_.stage(update.locations, update.gone_locations, staged.epoch);
  if (!step) {
    if (Result<> settled = force_settle(); settled.has_error()) return settled;
    step = locations_.stage(update.locations, update.gone_locations, staged.epoch);
  }
  if (!step) return fail(Code::internal, "a location would need three identities at once");
  staged.step = std::move(*step);
  for (const LocationWrite& write : staged.step.writes)
    (write.fresh ? staged.fresh_locations : staged.changed_locations).add(write);
  return {};
}

void Publisher::stage_deny(const policy::PlanUpdate& update, Staged& staged) const {
  if (!update.host_deny_changed) return;
  const std::set<Prefix> wanted = deny_entries(update.host_deny);
  for (const Prefix& prefix : wanted) {
    if (!deny_.contains(prefix)) staged.deny.add(encode(prefix), 1);
  }
  for (const Prefix& prefix : deny_) {
    if (!wanted.contains(prefix)) staged.undenied.push_back(encode(prefix));
  }
}

void Publisher::stage_elements(const policy::PlanUpdate& update, const Elements& wanted, Staged& staged) {
  std::map<policy::SetId, std::uint32_t> flags;
  for (const policy::RuleSet& set : update.sets)
    flags[set.id] = set_flags(set);
  const auto flags_of = [this, &flags](policy::SetId set) {
    const auto found = flags.find(set);
    return found == flags.end() ? sets_.flags(set) : found->second;
  };
  const bool all = !staged.step.writes.empty();
  const auto stage = [&](std::uint32_t ifindex, policy_endpoint element) {
    element.ingress_flags = flags_of(element.ingress_set);
    element.egress_flags = flags_of(element.egress_set);
    const auto now = live_.find(ifindex);
    if (now != live_.end() && !all && same_element(now->second, element)) return;
    element.epoch = staged.epoch;
    element.version = element.version_end = ++version_;
    if (now == live_.end()) {
      staged.fresh_endpoints.add(ifindex, element);
    } else {
      staged.changed_endpoints.add(ifindex, element);
      staged.endpoints_before.push_back(now->second);
    }
  };
  for (const auto& [ifindex, element] : wanted)
    stage(ifindex, element);
  for (const auto& [ifindex, element] : live_) {
    if (wanted.contains(ifindex)) continue;
    stage(ifindex, policy_endpoint{});
    staged.retired.insert(ifindex);
  }
}

std::uint32_t Publisher::following_epoch() const { return next_epoch(epoch_); }

}  // namespace omnitide::enforcement
