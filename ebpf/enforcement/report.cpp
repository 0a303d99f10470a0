#include <fmt/format.h>

#include "agent/base/file.hpp"
#include "ebpf/enforcement/connections.hpp"
#include "ebpf/enforcement/state.hpp"
#include "ebpf/loader/cgroup2.hpp"

namespace omnitide::enforcement {

namespace {

std::vector<EndpointStatus> endpoint_status(const Endpoints& endpoints, const Assignment& assignment,
                                            const Network& network) {
  std::map<std::string, EndpointStatus> all;
  for (const auto& [name, endpoint] : endpoints)
    all[name] = {.name = name, .devices = {}, .pending = {}};
  for (const auto& [name, reason] : assignment.pending)
    all[name].pending = reason;
  for (const auto& [ifindex, role] : assignment.roles) {
    const Device* device = network.device(ifindex);
    const auto found = all.find(role.endpoint);
    if (device != nullptr && found != all.end()) found->second.devices.push_back(device->name);
  }
  std::vector<EndpointStatus> out;
  out.reserve(all.size());
  for (auto& [name, status] : all)
    out.push_back(std::move(status));
  return out;
}

}  // namespace

void Enforcement::State::attach_cgroup() {
  const Result<std::string> folder = ebpf::cgroup2_root(options.cgroup);
  if (folder.has_error()) {
    local_delivery = folder.error().message + ": what pods send to the node itself through a Service is dropped";
    return;
  }
  const Result<> done = links.set_cgroup(*folder, programs[Program::deliver]);
  local_delivery = done ? "" : done.error().text();
  if (done.has_error()) problems[{0, Hook::cgroup}] = local_delivery;
}

Status Enforcement::status() const {
  const State& state = *state_;
  const Network& network = state.monitor.state();
  Status out{.live = state.live,
             .inherited = state.inherits,
             .mode = state.options.mode,
             .attached_by = state.links.attached_by(),
             .epoch = state.publisher.epoch(),
             .publications = state.publications,
             .failures = state.failures,
             .forced_barriers = state.publisher.forced_barriers(),
             .unsettled = state.publisher.unsettled(),
             .last_failure = state.last_failure,
             .warning = state.warning,
             .local_delivery = state.local_delivery,
             .endpoints = endpoint_status(state.endpoints, state.assignment, network),
             .devices = {},
             .maps = {}};
  for (const auto& [ifindex, role] : state.live ? state.assignment.roles : Roles{}) {
    const Device* device = network.device(ifindex);
    std::string problem;
    for (const Hook hook : {Hook::in, Hook::out, Hook::xdp}) {
      const auto found = state.problems.find({ifindex, hook});
      if (found != state.problems.end() && problem.empty()) problem = found->second;
    }
    if (role.kind == RoleKind::other && problem.empty()) continue;
    out.devices.push_back({.ifindex = ifindex,
                           .name = device == nullptr ? "" : device->name,
                           .kind = role.kind,
                           .endpoint = role.endpoint,
                           .problem = std::move(problem)});
  }
  for (std::size_t i = 0; i < kTables; ++i) {
    const auto table = static_cast<Table>(i);
    const auto counted = state.state_counts.find(table);
    if (is_state(table) && counted == state.state_counts.end()) continue;
    if (table == Table::publication) continue;
    const Map& map = state.publisher.maps()[table];
    out.maps.push_back({.name = table_name(table),
                        .used = counted == state.state_counts.end() ? map.used : counted->second,
                        .limit = map.limit});
  }
  return out;
}

Result<Counters> Enforcement::counters() const { return read_counters(state_->publisher.maps()); }

Result<> Enforcement::count_state() {
  const Options& options = state_->options;
  const Result<Connections> connections = Connections::open(state_->publisher.maps()[Table::connections].fd.get());
  if (connections.has_error()) return connections.error();
  state_->state_counts[Table::connections] =
      connections->count({.tcp = options.tcp_idle, .other = options.other_idle, .brief = options.brief_idle});
  for (const Table table : {Table::translations, Table::fragments, Table::budgets}) {
    const Result<std::uint64_t> counted = state_->publisher.maps().count(table);
    if (counted.has_error()) return counted.error();
    state_->state_counts[table] = *counted;
  }
  return {};
}

int Enforcement::events_fd() const { return state_->events.fd(); }

std::vector<FlowEvent> Enforcement::drain(std::size_t most) {
  std::vector<FlowEvent> out;
  for (const policy_event& event : state_->events.drain(most)) {
    FlowEvent flow = decode(event);
    const auto role = state_->assignment.roles.find(flow.ifindex);
    if (role != state_->assignment.roles.end()) flow.endpoint = role->second.endpoint;
    out.push_back(std::move(flow));
  }
  return out;
}

}  // namespace omnitide::enforcement
