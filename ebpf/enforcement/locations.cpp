#include "ebpf/enforcement/locations.hpp"

#include <string_view>
#include <utility>

#include "agent/base/address.hpp"

namespace omnitide::enforcement {

namespace {

constexpr std::uint8_t kWhole = 128;  // bits of a single address

bool permanent(const Prefix& prefix) { return prefix == Prefix{} || prefix == all_v4(); }

bool changing(const policy_location& element) { return element.identity != element.previous; }

}  // namespace

std::size_t Locations::Hash::operator()(const Prefix& prefix) const {
  const std::string_view bytes(reinterpret_cast<const char*>(prefix.address.bytes.data()), prefix.address.bytes.size());
  return std::hash<std::string_view>{}(bytes) ^ (std::size_t{prefix.length} * 0x9e3779b97f4a7c15U);
}

Locations::Locations() {
  for (const LocationWrite& write : first()) {
    table_[write.prefix] = {.identity = policy::kWorld, .element = write.value, .pending = false};
    ++lengths_[write.prefix.length];
  }
}

std::vector<LocationWrite> Locations::first() {
  const policy_location world{policy::kWorld, policy::kWorld, 0};
  return {{.prefix = Prefix{}, .value = world, .before = {}, .fresh = true},
          {.prefix = all_v4(), .value = world, .before = {}, .fresh = true}};
}

// The identity that the longest prefix over `of`, `of` itself included, gives in the state to come, or now.
policy::IdentityId Locations::longest(const Prefix& of, const Overlay* overlay, const Lengths& lengths) const {
  const int shortest = of.is_v4() ? kMappedBits : 0;
  for (int length = of.length; length >= shortest; --length) {
    if (lengths[static_cast<std::size_t>(length)] == 0) continue;
    const Prefix over = make_prefix(of.address, static_cast<std::uint8_t>(length));
    if (overlay != nullptr) {
      if (const auto found = overlay->find(over); found != overlay->end()) {
        if (found->second != 0) return found->second;
        continue;
      }
    }
    const auto found = table_.find(over);
    if (found != table_.end() && found->second.identity != 0) return found->second.identity;
  }
  return policy::kWorld;
}

// The element that a packet of this address finds now, when it has none of its own.
const Locations::Entry* Locations::element_over(const Prefix& of) const {
  const int shortest = of.is_v4() ? kMappedBits : 0;
  for (int length = of.length; length >= shortest; --length) {
    if (lengths_[static_cast<std::size_t>(length)] == 0) continue;
    const auto found = table_.find(make_prefix(of.address, static_cast<std::uint8_t>(length)));
    if (found != table_.end()) return &found->second;
  }
  return nullptr;
}

bool Locations::stage_one(const Prefix& prefix, policy::IdentityId identity, std::uint32_t epoch,
                          LocationStep& step) const {
  const auto found = table_.find(prefix);
  if (found != table_.end()) {
    const policy_location& now = found->second.element;
    if (now.identity == identity) return true;
    if (found->second.pending && changing(now)) return false;
    step.writes.push_back({.prefix = prefix, .value = {identity, now.identity, epoch}, .before = now, .fresh = false});
    return true;
  }
  const Entry* over = element_over(prefix);
  if (over != nullptr && over->pending && changing(over->element)) return false;
  const policy::IdentityId before = over == nullptr ? policy::kWorld : over->element.identity;
  step.writes.push_back({.prefix = prefix, .value = {identity, before, epoch}, .before = {}, .fresh = true});
  return true;
}

// Elements that are gone but not yet removed repeat what is over them; they cannot follow another change of that.
bool Locations::shadows_hold(const Overlay& overlay, const Lengths& lengths) const {
  for (const Prefix& prefix : pending_) {
    const Entry& entry = table_.at(prefix);
    if (entry.identity != 0 || overlay.contains(prefix)) continue;
    if (longest(prefix, &overlay, lengths) != entry.element.identity) return false;
  }
  return true;
}

std::optional<LocationStep> Locations::stage(std::span<const policy::Location> set, std::span<const Prefix> gone,
                                             std::uint32_t epoch) const {
  LocationStep step;
  Overlay overlay;
  Lengths lengths = lengths_;
  for (const Prefix& prefix : gone) {
    if (!table_.contains(prefix)) continue;
    overlay[prefix] = permanent(prefix) ? policy::kWorld : 0;
  }
  for (const policy::Location& location : set) {
    overlay[location.prefix] = location.identity;
    ++lengths[location.prefix.length];
  }
  for (const auto& [prefix, identity] : overlay) {
    const bool leaves = identity == 0;
    const policy::IdentityId to = leaves ? longest(prefix, &overlay, lengths) : identity;
    if (!stage_one(prefix, to, epoch, step)) return std::nullopt;
    const auto now = table_.find(prefix);
    if (leaves) {
      step.gone.push_back(prefix);
    } else if (now == table_.end() || now->second.identity != identity) {
      step.set.push_back({prefix, identity});
    }
  }
  if (!shadows_hold(overlay, lengths)) return std::nullopt;
  return step;
}

void Locations::commit(const LocationStep& step) {
  const auto touch = [this](const Prefix& prefix) -> Entry& {
    const auto [found, fresh] = table_.try_emplace(prefix);
    if (fresh) {
      ++lengths_[prefix.length];
      addresses_ += prefix.length == kWhole ? 1U : 0U;
    }
    return found->second;
  };
  const auto await = [this](const Prefix& prefix, Entry& entry) {
    if (!std::exchange(entry.pending, true)) pending_.push_back(prefix);
  };
  for (const LocationWrite& write : step.writes) {
    Entry& entry = touch(write.prefix);
    entry.element = write.value;
    await(write.prefix, entry);
  }
  for (const policy::Location& location : step.set)
    touch(location.prefix).identity = location.identity;
  for (const Prefix& prefix : step.gone) {
    Entry& entry = touch(prefix);
    entry.identity = 0;
    await(prefix, entry);
  }
}

Locations::Rest Locations::rest() const {
  Rest out;
  for (const Prefix& prefix : pending_) {
    const Entry& entry = table_.at(prefix);
    if (entry.identity == 0) {
      out.gone.push_back(prefix);
    } else if (changing(entry.element)) {
      policy_location value = entry.element;
      value.previous = value.identity;
      out.writes.push_back({.prefix = prefix, .value = value, .before = entry.element, .fresh = false});
    }
  }
  return out;
}

void Locations::settled() {
  for (const Prefix& prefix : pending_) {
    const auto found = table_.find(prefix);
    if (found->second.identity == 0) {
      --lengths_[prefix.length];
      addresses_ -= prefix.length == kWhole ? 1U : 0U;
      table_.erase(found);
      continue;
    }
    found->second.pending = false;
    found->second.element.previous = found->second.element.identity;
  }
  pending_.clear();
}

std::vector<Prefix> Locations::named() const {
  std::vector<Prefix> out;
  out.reserve(table_.size());
  for (const auto& [prefix, entry] : table_) {
    if (entry.identity != 0) out.push_back(prefix);
  }
  return out;
}

}  // namespace omnitide::enforcement
