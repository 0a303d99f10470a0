#include "ebpf/enforcement/publisher.hpp"

#include <fmt/format.h>

#include <array>
#include <utility>

namespace omnitide::enforcement {

Publisher::Publisher(Maps maps, Barrier barrier, Sequence sequence, std::uint32_t epoch)
    : maps_(std::move(maps)), barrier_(std::move(barrier)), sequence_(std::move(sequence)), epoch_(epoch) {}

Result<Publisher> Publisher::open(Maps maps, std::uint32_t epoch) {
  Result<Barrier> barrier = Barrier::open();
  if (barrier.has_error()) return barrier.error();
  Result<Sequence> sequence = Sequence::open(maps[Table::publication].fd.get());
  if (sequence.has_error()) return sequence.error();
  Publisher out(std::move(maps), std::move(*barrier), std::move(*sequence), epoch);
  if (const Result<> done = out.first_elements(); done.has_error()) return done.error();
  return out;
}

Result<> Publisher::first_elements() {
  LocationRows rows;
  for (const LocationWrite& write : Locations::first())
    rows.add(write);
  const Result<> done =
      add(Table::prefixes, rows.prefixes.keys.data(), rows.prefixes.values.data(), rows.prefixes.size());
  journal_.clear();
  return done;
}

Result<> Publisher::add(Table table, const void* keys, const void* values, std::size_t count) {
  if (count == 0) return {};
  std::size_t done = 0;
  const Result<> written = maps_.write(table, keys, values, count, done);
  maps_[table].used += done;
  journal_.push_back({.table = table, .keys = keys, .before = nullptr, .count = done});
  return written;
}

Result<> Publisher::replace(Table table, const void* keys, const void* values, const void* before, std::size_t count) {
  if (count == 0) return {};
  std::size_t done = 0;
  const Result<> written = maps_.write(table, keys, values, count, done);
  journal_.push_back({.table = table, .keys = keys, .before = before, .count = done});
  return written;
}

Result<> Publisher::drop(Table table, const void* keys, std::size_t count) {
  if (count == 0) return {};
  const Result<> removed = maps_.remove(table, keys, count);
  if (removed) maps_[table].used -= count;
  return removed;
}

void Publisher::undo(const Staged& staged) {
  for (auto step = journal_.rbegin(); step != journal_.rend(); ++step) {
    std::size_t done = 0;
    if (step->before == nullptr) {
      (void)drop(step->table, step->keys, step->count);
    } else {
      (void)maps_.write(step->table, step->keys, step->before, step->count, done);
    }
  }
  std::set<std::uint32_t> rows;
  for (const policy_word_key& key : staged.rows.words.keys)
    rows.insert(key.row);
  for (const std::uint32_t row : rows)
    row_ids_.give_back(row);
}

Result<> Publisher::check(const policy::PlanUpdate& update, const Elements& wanted) const {
  std::set<policy::SetId> added, gone(update.gone_sets.begin(), update.gone_sets.end());
  for (const policy::RuleSet& set : update.sets)
    added.insert(set.id);
  const auto known = [&](policy::SetId set) {
    return set == policy::kOpen || added.contains(set) || (sets_.contains(set) && !gone.contains(set));
  };
  for (const auto& [ifindex, element] : wanted) {
    if (!known(element.ingress_set) || !known(element.egress_set))
      return fail(Code::internal, fmt::format("the endpoint on device {} has a rule set that the plan lacks", ifindex));
  }
  return {};
}

Result<> Publisher::fits(const Staged& staged) const {
  const SetRows& rows = staged.rows;
  const std::array<std::pair<Table, std::size_t>, 9> more{{
      {Table::rules, rows.rules.size()},
      {Table::ports, rows.ports.size()},
      {Table::port_ranges, rows.ranges.size()},
      {Table::peers, rows.peers.size()},
      {Table::words, rows.words.size()},
      {Table::addresses, staged.fresh_locations.addresses.size()},
      {Table::prefixes, staged.fresh_locations.prefixes.size()},
      {Table::deny, staged.deny.size()},
      {Table::endpoints, staged.fresh_endpoints.size()},
  }};
  for (const auto& [table, count] : more) {
    const Map& map = maps_[table];
    if (count > 0 && map.used + count > map.limit) return map_full(table, map.used, map.limit, count);
  }
  return {};
}

Result<> Publisher::stage(const policy::PlanUpdate& update, const Elements& wanted, Staged& staged) {
  staged.epoch = following_epoch();
  if (Result<> good = check(update, wanted); good.has_error()) return good;
  if (sets_.collides(update)) {
    if (Result<> settled = force_settle(); settled.has_error()) return settled;
  }
  for (const policy::RuleSet& set : update.sets)
    encode_set(set, row_ids_, staged.rows);
  for (const policy::PeerRow& row : update.rows)
    encode_peer(row, row_ids_, staged.rows);
  stage_deny(update, staged);
  if (Result<> done = stage_locations(update, staged); done.has_error()) return done;
  stage_elements(update, wanted, staged);
  Result<> room = fits(staged);
  if (room.has_value() || !unsettled()) return room;
  if (Result<> settled = force_settle(); settled.has_error()) return settled;
  return fits(staged);
}

// Steps 1 to 3.
Result<> Publisher::write_all(const Staged& staged) {
  const SetRows& rows = staged.rows;
  const LocationRows &fresh = staged.fresh_locations, &changed = staged.changed_locations;
  const auto add_rows = [this](Table table, const auto& part) {
    return add(table, part.keys.data(), part.values.data(), part.size());
  };
  const auto replace_rows = [this](Table table, const auto& part, const auto& before) {
    return replace(table, part.keys.data(), part.values.data(), before.data(), part.size());
  };
  Result<> done = add_rows(Table::words, rows.words);
  if (done) done = add_rows(Table::rules, rows.rules);
  if (done) done = add_rows(Table::ports, rows.ports);
  if (done) done = add_rows(Table::port_ranges, rows.ranges);
  if (done) done = add_rows(Table::peers, rows.peers);
  if (done) done = add_rows(Table::deny, staged.deny);

  if (done) done = add_rows(Table::addresses, fresh.addresses);
  if (done) done = add_rows(Table::prefixes, fresh.prefixes);
  if (done) sequence_.begin();
  if (done) done = replace_rows(Table::addresses, changed.addresses, changed.addresses_before);
  if (done) done = replace_rows(Table::prefixes, changed.prefixes, changed.prefixes_before);

  if (done) done = add_rows(Table::endpoints, staged.fresh_endpoints);
  if (done) done = replace_rows(Table::endpoints, staged.changed_endpoints, staged.endpoints_before);
  return done;
}

Result<> Publisher::publish(const policy::PlanUpdate& update, const Elements& wanted) {
  Staged staged;
  Result<> done = stage(update, wanted, staged);
  if (done && staged.empty()) {
    commit(update, staged);
    return {};
  }
  if (done) done = write_all(staged);
  if (maps_.dead()) return done;
  if (done) {
    commit(update, staged);
    done = drop(Table::deny, staged.undenied.data(), staged.undenied.size());
    if (done.has_error()) {
      for (const policy_prefix& prefix : staged.undenied)
        deny_.insert(decode(prefix));
    }
  } else {
    undo(staged);
  }
  // Not used again even after a failure: a connection may have been judged in it.
  epoch_ = staged.epoch;
  sequence_.end();
  journal_.clear();
  return done;
}

void Publisher::commit(const policy::PlanUpdate& update, const Staged& staged) {
  sets_.commit(update);
  locations_.commit(staged.step);
  if (update.host_deny_changed) deny_ = deny_entries(update.host_deny);
  for (const auto* part : {&staged.fresh_endpoints, &staged.changed_endpoints}) {
    for (std::size_t i = 0; i < part->size(); ++i)
      live_[part->keys[i]] = part->values[i];
  }
  retired_ = staged.retired;
}

Result<> Publisher::retire() {
  const std::vector<std::uint32_t> keys(retired_.begin(), retired_.end());
  if (keys.empty()) return {};
  sequence_.begin();
  Result<> done = drop(Table::endpoints, keys.data(), keys.size());
  if (maps_.dead()) return done;
  sequence_.end();
  if (done.has_error()) return done;
  for (const std::uint32_t key : keys)
    live_.erase(key);
  retired_.clear();
  return {};
}

Result<> Publisher::force_settle() {
  if (!unsettled()) return {};
  ++forced_barriers_;
  return settle();
}

Result<> Publisher::settle() {
  if (!unsettled()) return {};
  if (Result<> waited = barrier_.wait(); waited.has_error()) return waited;
  Result<> done = settle_locations();
  return done ? settle_sets() : done;
}

Result<> Publisher::settle_locations() {
  if (!locations_.unsettled()) return {};
  const Locations::Rest rest = locations_.rest();
  LocationRows changed, gone;
  for (const LocationWrite& write : rest.writes)
    changed.add(write);
  for (const Prefix& prefix : rest.gone)
    gone.add({.prefix = prefix, .value = {}, .before = {}, .fresh = false});
  sequence_.begin();
  Result<> done = maps_.write(Table::addresses, changed.addresses);
  if (done) done = maps_.write(Table::prefixes, changed.prefixes);
  if (done) done = maps_.remove(Table::addresses, gone.addresses.keys.data(), gone.addresses.size());
  if (done) done = maps_.remove(Table::prefixes, gone.prefixes.keys.data(), gone.prefixes.size());
  if (maps_.dead()) return done;
  sequence_.end();
  if (done.has_error()) return done;
  maps_[Table::addresses].used -= gone.addresses.size();
  maps_[Table::prefixes].used -= gone.prefixes.size();
  locations_.settled();
  return {};
}

// The words of the rows to be removed, by what the kernel's rows say.
void Publisher::collect_words(const Removal& removal, std::vector<policy_word_key>& words,
                              std::set<std::uint32_t>& rows) const {
  const auto collect = [&](Table table, const auto& keys) {
    for (const auto& key : keys) {
      policy_row row{};
      const Result<bool> found = maps_.read(table, &key, &row);
      if (found.has_error() || !*found || row.row == 0) continue;
      append_words(row, words);
      rows.insert(row.row);
    }
  };
  if (maps_[Table::words].used == 0) return;
  collect(Table::peers, removal.peers);
  collect(Table::ports, removal.ports);
  collect(Table::port_ranges, removal.ranges);
}

Result<> Publisher::settle_sets() {
  if (!sets_.unsettled()) return {};
  const Removal removal = sets_.removal();
  std::vector<policy_word_key> words;
  std::set<std::uint32_t> rows;
  collect_words(removal, words, rows);
  const auto remove = [this](Table table, const auto& keys) { return maps_.remove(table, keys.data(), keys.size()); };
  Result<> done = remove(Table::words, words);
  if (done) done = remove(Table::rules, removal.rules);
  if (done) done = remove(Table::ports, removal.ports);
  if (done) done = remove(Table::port_ranges, removal.ranges);
  if (done) done = remove(Table::peers, removal.peers);
  if (done.has_error()) return done;
  maps_[Table::words].used -= words.size();
  maps_[Table::rules].used -= removal.rules.size();
  maps_[Table::ports].used -= removal.ports.size();
  maps_[Table::port_ranges].used -= removal.ranges.size();
  maps_[Table::peers].used -= removal.peers.size();
  for (const std::uint32_t row : rows)
    row_ids_.give_back(row);
  sets_.settled();
  return {};
}

policy::PlanUpdate Publisher::difference(policy::PlanUpdate whole) const {
  sets_.subtract(whole);
  std::set<Prefix> named;
  for (const policy::Location& location : whole.locations)
    named.insert(location.prefix);
  for (const Prefix& prefix : locations_.named()) {
    if (!named.contains(prefix)) whole.gone_locations.push_back(prefix);
  }
  whole.host_deny_changed = true;
  return whole;
}

Result<> Publisher::set_own(const std::set<Address>& own) {
  Rows<policy_address, std::uint32_t> fresh;
  std::vector<policy_address> gone;
  for (const Address& address : own) {
    if (!own_.contains(address)) fresh.add(encode(address), 1);
  }
  for (const Address& address : own_) {
    if (!own.contains(address)) gone.push_back(encode(address));
  }
  const Map& map = maps_[Table::own];
  if (fresh.size() > 0 && map.used - gone.size() + fresh.size() > map.limit)
    return map_full(Table::own, map.used, map.limit, fresh.size());
  Result<> done = drop(Table::own, gone.data(), gone.size());
  if (done) {
    for (const policy_address& address : gone)
      own_.erase(decode(address));
    done = add(Table::own, fresh.keys.data(), fresh.values.data(), fresh.size());
    journal_.clear();
  }
  if (done) own_ = own;
  return done;
}

}  // namespace omnitide::enforcement
