#include "agent/daemon/telemetry_messages.hpp"

#include "agent/base/text.hpp"
#include "agent/codec/facts_codec.hpp"
#include "agent/codec/json.hpp"
#include "agent/codec/time.hpp"
#include "agent/daemon/metrics_report.hpp"
#include "agent/daemon/policy_report.hpp"
#include "agent/daemon/report.hpp"
#include "omnitide/node/v1/telemetry.pb.h"

namespace omnitide::daemon {

namespace v1 = node::v1;

template <class Report>
std::string TelemetryMessages::finish(Report& report, WallTime time) const {
  report.set_node(node_);
  codec::set_time(time, *report.mutable_time());
  return form_ == MessageForm::json ? codec::to_json(report) : report.SerializeAsString();
}

std::string TelemetryMessages::facts(const model::NodeFacts& facts, const std::string& sha256, WallTime time) const {
  v1::FactsReport report;
  report.set_facts_sha256(hex_encode(sha256));
  codec::to_proto(facts, *report.mutable_facts());
  return finish(report, time);
}

std::string TelemetryMessages::conditions(std::span<const model::Condition> conditions, WallTime time) const {
  v1::ConditionsReport report;
  v1::Conditions all;
  codec::to_proto(conditions, all);
  report.mutable_items()->Swap(all.mutable_items());
  return finish(report, time);
}

std::string TelemetryMessages::events(std::span<const Event> events, std::uint64_t lost, WallTime started) const {
  v1::EventsReport report;
  for (const Event& event : events) {
    v1::Event& item = *report.add_items();
    fill(event, item);
    item.set_message(valid_utf8(event.message));
  }
  report.set_lost(lost);
  codec::set_time(started, *report.mutable_started());
  return finish(report, events.empty() ? started : events.back().time);
}

std::string TelemetryMessages::flows(const PolicyPart::Flows& flows, std::uint64_t lost, const std::string& node_name,
                                     WallTime time) const {
  v1::FlowsReport report;
  v1::FlowList list;
  fill(flows, node_name, list);
  report.mutable_items()->Swap(list.mutable_items());
  report.set_lost(lost);
  return finish(report, time);
}

std::vector<std::string> TelemetryMessages::metrics(std::span<const model::SampleBatch* const> batches,
                                                    const std::function<bool(const model::SampleView&)>& wanted,
                                                    WallTime time) const {
  std::vector<std::string> out;
  // Messages that stand one behind the other are one message with the items of all.
  // https://protobuf.dev/programming-guides/encoding/#last-one-wins
  std::string bytes;
  v1::MetricsReport report;
  std::size_t size = 0;
  const auto flush = [&] {
    if (size > 0) out.push_back(bytes + finish(report, time));
    bytes.clear();
    report.Clear();
    size = 0;
  };
  each_family(batches, MetricDetail::brief, wanted, [&](v1::MetricFamily& family) {
    const std::size_t more = family.ByteSizeLong();
    if (size + more > kLongestReport) flush();
    size += more;
    report.add_items()->Swap(&family);
    if (form_ == MessageForm::json) return;
    report.AppendToString(&bytes);
    report.Clear();
  });
  flush();
  return out;
}

}  // namespace omnitide::daemon
