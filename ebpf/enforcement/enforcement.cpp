#include "ebpf/enforcement/enforcement.hpp"

#include <net/if.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <utility>

#include "ebpf/enforcement/hooks.hpp"
#include "ebpf/enforcement/locator.hpp"
#include "ebpf/enforcement/state.hpp"

namespace omnitide::enforcement {

namespace {

std::set<std::uint32_t> devices_of(const Network& network) {
  std::set<std::uint32_t> out;
  for (const auto& [index, device] : network.devices()) {
    if (!device.loopback) out.insert(index);
  }
  return out;
}

// Devices that were ours: their pods may be gone.
Roles earlier_roles(const Inheritance& inheritance, const Links& links, bool same_version, const Network& network) {
  Roles out;
  for (const std::uint32_t ifindex : inheritance.pods)
    out[ifindex] = {.kind = RoleKind::pod, .endpoint = {}};
  if (same_version) return out;
  for (const LinkKey& key : links.keys()) {
    const Device* device = network.device(key.ifindex);
    if (key.hook == Hook::in && device != nullptr && is_pod_kind(*device))
      out[key.ifindex] = {.kind = RoleKind::pod, .endpoint = {}};
  }
  return out;
}

bool has(const Shared& maps, Table table) { return static_cast<bool>(maps[static_cast<std::size_t>(table)]); }

}  // namespace

Enforcement::Enforcement(std::unique_ptr<State> state) : state_(std::move(state)) {}
Enforcement::Enforcement(Enforcement&&) noexcept = default;
Enforcement& Enforcement::operator=(Enforcement&&) noexcept = default;
Enforcement::~Enforcement() = default;

Result<Enforcement> Enforcement::open(Options options) {
  if (!options.faults) options.faults = std::make_shared<Faults>();
  const Result<Pins> pins = Pins::open(options.pins, options.abi, options.faults);
  if (pins.has_error()) return pins.error();
  Result<NetworkMonitor> monitor = NetworkMonitor::open();
  if (monitor.has_error()) return monitor.error();
  Result<Links> links = Links::open(*pins, options.attach, devices_of(monitor->state()), options.faults);
  if (links.has_error()) return links.error();

  Shared pinned = pins->maps();
  const bool same_version = has(pinned, Table::connections);
  const Result<Inheritance> inheritance = read_inheritance(pinned);
  if (inheritance.has_error()) return inheritance.error();
  const auto shapes = wanted_shapes(options);
  if (shapes.has_error()) return shapes.error();
  const Shared shared = usable(pinned, *shapes);
  Result<Object> object = load_object(options, shared, options.faults);
  if (object.has_error()) return object.error();
  Result<EventReader> events = EventReader::open(object->maps[Table::events].fd.get());
  if (events.has_error()) return events.error();
  Result<Publisher> publisher = Publisher::open(std::move(object->maps), inheritance->epoch);
  if (publisher.has_error()) return publisher.error();

  auto state = std::make_unique<State>(std::move(options), *pins, std::move(*monitor), std::move(*links),
                                       std::move(*publisher), std::move(object->programs), std::move(*events));
  state->inheritance = *inheritance;
  state->inherited = same_version ? std::move(pinned) : pins->foreign_maps();
  state->inherits = !state->links.keys().empty();
  state->assignment.roles = earlier_roles(*inheritance, state->links, same_version, state->monitor.state());
  if (!state->inherits && !state->options.interfaces.empty() && !state->options.interfaces_start_open) {
    if (const Result<> closed = state->publish({}, true); closed.has_error()) return closed.error();
  }
  return Enforcement(std::move(state));
}

Enforcement::FirstIds Enforcement::first_ids() const {
  return {.set = state_->inheritance.set + 1, .identity = state_->inheritance.identity + 1};
}

Result<> Enforcement::publish(const policy::PlanUpdate& update, bool whole) { return state_->publish(update, whole); }

Result<> Enforcement::settle() { return state_->publisher.settle(); }

Result<> Enforcement::set_mode(Mode mode) {
  const Mode before = std::exchange(state_->options.mode, mode);
  if (!state_->live) return {};
  Result<> done = state_->publish({}, false);
  if (done.has_error()) state_->options.mode = before;
  return done;
}

int Enforcement::monitor_fd() const { return state_->monitor.fd(); }

Result<> Enforcement::links_changed() {
  if (!state_->live) return state_->refresh_network();
  return state_->publish({}, false);
}

void Enforcement::search() {
  if (state_->live) state_->ask_for(state_->endpoints);
}

Enforcement::State::Changed Enforcement::State::change_endpoints(const policy::PlanUpdate& update, bool whole) {
  Changed out;
  const auto put = [&](const policy::PlanEndpoint& endpoint) {
    const auto found = endpoints.find(endpoint.name);
    if (found == endpoints.end()) {
      out.placement = true;
      out.before.emplace_back(endpoint.name, std::nullopt);
      endpoints.emplace(endpoint.name, endpoint);
      return;
    }
    const policy::PlanEndpoint& now = found->second;
    if (now == endpoint) return;
    out.placement = out.placement || now.kind != endpoint.kind || now.addresses != endpoint.addresses ||
                    now.interface != endpoint.interface || now.host_interfaces != endpoint.host_interfaces;
    out.before.emplace_back(endpoint.name, std::move(found->second));
    found->second = endpoint;
  };
  const auto take = [&](Endpoints::iterator found) {
    out.placement = true;
    out.before.emplace_back(found->first, std::move(found->second));
    return endpoints.erase(found);
  };
  for (const std::string& name : update.gone_endpoints) {
    if (const auto found = endpoints.find(name); found != endpoints.end()) take(found);
  }
  if (whole) {
    std::set<std::string> named;
    for (const policy::PlanEndpoint& endpoint : update.endpoints)
      named.insert(endpoint.name);
    for (auto each = endpoints.begin(); each != endpoints.end();)
      each = named.contains(each->first) ? std::next(each) : take(each);
  }
  for (const policy::PlanEndpoint& endpoint : update.endpoints)
    put(endpoint);
  return out;
}

void Enforcement::State::change_back(const Changed& changed) {
  for (auto each = changed.before.rbegin(); each != changed.before.rend(); ++each) {
    if (each->second) {
      endpoints[each->first] = *each->second;
    } else {
      endpoints.erase(each->first);
    }
  }
}

Result<> Enforcement::State::refresh_network() {
  const Result<NetworkMonitor::Change> change = monitor.update();
  if (change.has_error()) return change.error();
  std::set<std::uint32_t> gone = change->removed;
  for (const std::uint32_t ifindex : gone)
    links.forget(ifindex);
  if (change->lost) gone.merge(links.verify());
  for (const std::uint32_t ifindex : gone)
    assignment.roles.erase(ifindex);
  look_for_guards();
  network_changed = network_changed || change->any || !gone.empty() || !links.guards().empty();
  return {};
}

void Enforcement::State::look_for_guards() {
  std::set<LinkKey> guards = pins.guards();
  std::erase_if(guards, [this](const LinkKey& key) {
    std::array<char, IF_NAMESIZE> name{};
    const bool gone = ::if_indextoname(key.ifindex, name.data()) == nullptr && errno == ENXIO;
    if (gone) (void)pins.remove(pins.guard_path(key));
    return gone;
  });
  links.set_guards(std::move(guards));
}

// A device that is guarded is a pod's that we do not know yet, whatever it was taken for until now.
Roles Enforcement::State::roles_before() const {
  Roles out = assignment.roles;
  for (const LinkKey& key : links.guards()) {
    Role& role = out[key.ifindex];
    if (role.kind == RoleKind::other || role.kind == RoleKind::host) role = {.kind = RoleKind::closed, .endpoint = {}};
  }
  return out;
}

// A number stands for one content for ever: what was published under it, or only tried, is not published again.
void Enforcement::State::use_numbers(const policy::PlanUpdate& update) {
  for (const policy::RuleSet& set : update.sets)
    inheritance.set = std::max(inheritance.set, set.id);
  for (const policy::Location& location : update.locations)
    inheritance.identity = std::max(inheritance.identity, location.identity & ~policy::kPodBit);
}

Result<> Enforcement::State::publish(const policy::PlanUpdate& update, bool whole) {
  if (!live && !whole) return fail(Code::failed_precondition, "the first plan has to be a whole one");
  if (const Result<> refreshed = refresh_network(); refreshed.has_error()) return refreshed.error();
  use_numbers(update);
  const Changed changed = change_endpoints(update, whole);
  Result<> done = publish_changed(update, changed, whole);
  if (done.has_error()) {
    change_back(changed);
    ++failures;
    last_failure = done.error().text();
    return done;
  }
  ++publications;
  last_failure.clear();
  return {};
}

Result<> Enforcement::State::publish_changed(const policy::PlanUpdate& update, const Changed& changed, bool whole) {
  const bool moved = network_changed || changed.placement || !live;
  Assignment next;
  if (moved) next = assign(endpoints, monitor.state(), roles_before(), options);
  const Roles& roles = moved ? next.roles : assignment.roles;
  const Elements elements = elements_of(roles, endpoints, options.mode);
  const LinkKey sockets{0, Hook::cgroup};
  const bool delivers = waits_for_sockets(elements);
  if (live && delivers && !links.has(sockets)) attach_one(sockets, Program::deliver);  // before anything waits for it
  Result<> done =
      whole ? publisher.publish(publisher.difference(update), elements) : publisher.publish(update, elements);
  if (done.has_error()) return done;
  if (moved) {
    const Result<> own = publisher.set_own(monitor.state().own());
    own_problem = own.has_error() ? own.error().text() : "";
    assignment = std::move(next);
  }
  warning = own_problem;
  network_changed = false;
  if (!live) {
    if (done = go_live(); done.has_error()) return done;
  } else if (moved || !problems.empty() || delivers != links.has(sockets)) {
    attach();
  }
  if (changed.placement) ask_for(endpoints);
  note(publisher.retire());
  return {};
}

void Enforcement::State::note(const Result<>& done) {
  if (done.has_error()) warning = done.error().text();
}

// From here on the new maps are those that the next process finds, and then link after link is theirs.
Result<> Enforcement::State::go_live() {
  if (const Result<Copied> copied = copy_connections(inherited, publisher.maps()); copied.has_error())
    return copied.error();
  if (Result<> pinned = pins.pin(publisher.maps()); pinned.has_error()) return pinned;
  live = true;
  attach();
  // Connections that were opened since, under programs that were not switched yet.
  if (const Result<Copied> copied = copy_connections(inherited, publisher.maps()); copied.has_error())
    note(copied.error());
  inherited = {};
  note(pins.remove_other_versions());
  return {};
}

std::map<LinkKey, Program> Enforcement::State::wanted_programs() const {
  return programs_of(assignment.roles, options.xdp_deny, waits_for_sockets(publisher.elements()));
}

void Enforcement::State::attach() {
  problems.clear();
  const std::map<LinkKey, Program> wanted = wanted_programs();
  for (const auto& [key, program] : wanted)
    attach_one(key, program);
  if (!wanted.contains({0, Hook::cgroup})) local_delivery.clear();
  for (const LinkKey& key : links.keys()) {
    if (wanted.contains(key)) continue;
    if (const Result<> cleared = links.clear(key); cleared.has_error()) problems[key] = cleared.error().text();
  }
}

void Enforcement::State::attach_one(const LinkKey& key, Program program) {
  if (key.hook == Hook::cgroup) {
    attach_cgroup();
    return;
  }
  const Result<> done = links.set(key, programs[program]);
  // A device that is gone is no problem: its event is on the way.
  if (done.has_error() && done.error().code != Code::not_found) problems[key] = done.error().text();
}

void Enforcement::State::ask_for(const Endpoints& all) {
  constexpr std::size_t kMost = 64;  // questions at once
  std::size_t asked = 0;
  for (const auto& [name, reason] : assignment.pending) {
    const auto endpoint = all.find(name);
    if (endpoint == all.end() || endpoint->second.kind != policy::EndpointKind::pod) continue;
    for (const auto& [address, ifindex] : questions(endpoint->second, monitor.state())) {
      if (++asked > kMost) return;
      monitor.ask(address, ifindex);
    }
  }
}

Result<> Enforcement::detach() {
  for (const LinkKey& key : state_->pins.guards())
    (void)detach_clsact(key);  // of one that is a link its pin goes below
  for (const LinkKey& key : state_->links.keys()) {
    if (Result<> cleared = state_->links.clear(key); cleared.has_error()) return cleared;
  }
  state_->live = false;
  return state_->pins.remove_all();
}

Result<> Enforcement::remove(const Options& options) {
  const auto faults = std::make_shared<Faults>();
  const Result<Pins> pins = Pins::open(options.pins, options.abi, faults);
  if (pins.has_error()) return pins.error();
  const Result<NetworkMonitor> monitor = NetworkMonitor::open();
  if (monitor.has_error()) return monitor.error();
  Result<Links> links = Links::open(*pins, options.attach, devices_of(monitor->state()), faults);
  if (links.has_error()) return links.error();
  for (const LinkKey& key : links->keys()) {
    if (Result<> cleared = links->clear(key); cleared.has_error()) return cleared;
  }
  return pins->remove_all();
}

}  // namespace omnitide::enforcement
