// The agent's state as the messages of local.proto.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <vector>

#include "agent/config/config.hpp"
#include "agent/daemon/log_sinks.hpp"
#include "agent/daemon/policy_engine.hpp"
#include "agent/model/part_status.hpp"
#include "agent/model/sample.hpp"
#include "agent/registration/registration.hpp"
#include "discovery/inventory/inventory.hpp"

namespace omnitide::node::v1 {
class Discovery;
class Event;
class Status;
}  // namespace omnitide::node::v1

namespace omnitide::daemon {

class TelemetryPart;

// Everything that a report is made of, at one moment. Nothing is owned.
struct Snapshot {
  const config::Config& config;
  const std::vector<model::PartStatus>& parts;
  const EventRing& events;
  std::string boot_id, facts_sha256;
  WallTime started{};
  std::string not_ready_because;  // empty: ready
  std::chrono::duration<double> ready_after{0};
  std::optional<registration::View> registration;
  std::vector<discovery::SourceStatus> sources;
  const PolicyReport* policy = nullptr;      // null while network policy is off
  const TelemetryPart* telemetry = nullptr;  // null while no broker is named
};

void fill(const Event& event, node::v1::Event& out);
void fill(const Snapshot& snapshot, node::v1::Status& out);
void fill(const Snapshot& snapshot, const model::NodeFacts& facts, const std::vector<model::Sample>& samples,
          node::v1::Discovery& out);

}  // namespace omnitide::daemon
