// What plain mode publishes: the messages of telemetry.proto, as protobuf or as proto3 JSON.
#pragma once

#include <cstddef>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "agent/base/clock.hpp"
#include "agent/daemon/log_sinks.hpp"
#include "agent/daemon/policy_part.hpp"
#include "agent/model/condition.hpp"
#include "agent/model/node_facts.hpp"
#include "agent/model/sample_batch.hpp"

namespace omnitide::daemon {

enum class MessageForm : std::uint8_t { protobuf, json };

// A report of metrics is cut into several above this, between families.
inline constexpr std::size_t kLongestReport = std::size_t{256} << 10U;

class TelemetryMessages {
 public:
  TelemetryMessages(std::string node, MessageForm form) : node_(std::move(node)), form_(form) {}

  [[nodiscard]] std::string facts(const model::NodeFacts& facts, const std::string& sha256, WallTime time) const;
  [[nodiscard]] std::string conditions(std::span<const model::Condition> conditions, WallTime time) const;
  // `started`: of the agent, whose events are numbered from then.
  [[nodiscard]] std::string events(std::span<const Event> events, std::uint64_t lost, WallTime started) const;
  [[nodiscard]] std::string flows(const PolicyPart::Flows& flows, std::uint64_t lost, const std::string& node_name,
                                  WallTime time) const;
  // The samples that `wanted` takes; no message when there are none. Families without values are left out.
  [[nodiscard]] std::vector<std::string> metrics(std::span<const model::SampleBatch* const> batches,
                                                 const std::function<bool(const model::SampleView&)>& wanted,
                                                 WallTime time) const;

 private:
  template <class Report>
  [[nodiscard]] std::string finish(Report& report, WallTime time) const;
  std::string node_;
  MessageForm form_;
};

}  // namespace omnitide::daemon
