// What Enforcement consists of.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "ebpf/enforcement/enforcement.hpp"
#include "ebpf/enforcement/links.hpp"
#include "ebpf/enforcement/network.hpp"
#include "ebpf/enforcement/object.hpp"
#include "ebpf/enforcement/pins.hpp"
#include "ebpf/enforcement/publisher.hpp"
#include "ebpf/enforcement/readback.hpp"
#include "ebpf/enforcement/roles.hpp"
#include "ebpf/enforcement/takeover.hpp"

namespace omnitide::enforcement {

struct Enforcement::State {
  State(Options given, Pins the_pins, NetworkMonitor the_monitor, Links the_links, Publisher the_publisher,
        Programs the_programs, EventReader the_events)
      : options(std::move(given)),
        pins(std::move(the_pins)),
        monitor(std::move(the_monitor)),
        links(std::move(the_links)),
        publisher(std::move(the_publisher)),
        programs(std::move(the_programs)),
        events(std::move(the_events)) {}

  // Endpoints as an update says, and how to go back. Whether any may be on another device now.
  struct Changed {
    std::vector<std::pair<std::string, std::optional<policy::PlanEndpoint>>> before;
    bool placement = false;
  };
  Changed change_endpoints(const policy::PlanUpdate& update, bool whole);
  void change_back(const Changed& changed);

  // Steps of a publication.
  Result<> refresh_network();
  void look_for_guards();
  [[nodiscard]] Roles roles_before() const;
  void use_numbers(const policy::PlanUpdate& update);
  Result<> publish(const policy::PlanUpdate& update, bool whole);
  Result<> publish_changed(const policy::PlanUpdate& update, const Changed& changed, bool whole);
  Result<> go_live();
  void attach();
  [[nodiscard]] std::map<LinkKey, Program> wanted_programs() const;
  void attach_one(const LinkKey& key, Program program);
  void attach_cgroup();
  void note(const Result<>& done);  // of what may fail although the policy is enforced
  void ask_for(const Endpoints& all);

  Options options;
  Pins pins;
  NetworkMonitor monitor;
  Links links;
  Publisher publisher;
  Programs programs;
  EventReader events;
  Shared inherited;  // maps of an earlier process that are not used again
  Inheritance inheritance;

  bool live = false, inherits = false;
  bool network_changed = true;  // since the last assignment
  Endpoints endpoints;
  Assignment assignment;
  std::map<LinkKey, std::string> problems;
  std::string local_delivery;
  std::map<Table, std::uint64_t> state_counts;
  std::uint64_t publications = 0, failures = 0;
  std::string last_failure, warning;
  std::string own_problem;  // why HostPolicy does not protect all of the node's addresses
};

}  // namespace omnitide::enforcement
