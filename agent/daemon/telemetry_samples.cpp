// Telemetry's own metrics.
#include <algorithm>
#include <array>

#include "agent/daemon/telemetry_report.hpp"

namespace omnitide::daemon {

namespace {

using model::MetricDescriptor;
using model::MetricType;
using telemetry::PublisherStatus;
using telemetry::StreamStatus;

constexpr std::array<std::string_view, 1> kStream{"stream"};
constexpr std::array<std::string_view, 2> kStreamCause{"stream", "cause"};
constexpr MetricDescriptor kConnected{
    "omnitide_telemetry_connected", "", "Whether there is a connection to a broker.", MetricType::gauge, {}};
constexpr MetricDescriptor kConnects{
    "omnitide_telemetry_connects_total", "", "Connections to a broker that came about.", MetricType::counter, {}};
constexpr MetricDescriptor kSent{
    "omnitide_telemetry_sent_bytes_total", "bytes", "Bytes of topics and payloads sent.", MetricType::counter, {}};
constexpr MetricDescriptor kDisk{
    "omnitide_telemetry_spool_disk_bytes", "bytes", "What the spool takes on the disk.", MetricType::gauge, {}};
constexpr MetricDescriptor kSpoolLimit{
    "omnitide_telemetry_spool_limit_bytes", "bytes", "What the spool may take.", MetricType::gauge, {}};
constexpr MetricDescriptor kReadOnly{"omnitide_telemetry_spool_read_only",
                                     "",
                                     "Whether the disk takes nothing, so that records wait in memory.",
                                     MetricType::gauge,
                                     {}};
constexpr MetricDescriptor kMetrics{
    "omnitide_telemetry_sparkplug_metrics", "", "Metrics in the last birth.", MetricType::gauge, {}};
constexpr MetricDescriptor kBeyond{"omnitide_telemetry_sparkplug_metrics_left_out",
                                   "",
                                   "Metrics that are beyond what Sparkplug may have.",
                                   MetricType::gauge,
                                   {}};
constexpr MetricDescriptor kBirths{
    "omnitide_telemetry_births_total", "", "Births of the node in Sparkplug.", MetricType::counter, {}};
constexpr MetricDescriptor kRebirths{"omnitide_telemetry_rebirths_total",
                                     "",
                                     "Of them, those that a host or a changed set of metrics asked for.",
                                     MetricType::counter,
                                     {}};
constexpr MetricDescriptor kDeaths{
    "omnitide_telemetry_deaths_total", "", "Deaths that the node itself published.", MetricType::counter, {}};
constexpr MetricDescriptor kRefused{"omnitide_telemetry_refused_commands_total",
                                    "",
                                    "Commands of hosts that are not allowed or make no sense.",
                                    MetricType::counter,
                                    {}};
constexpr MetricDescriptor kStale{"omnitide_telemetry_stale_states_total",
                                  "",
                                  "Messages of the primary host that were older than the one before.",
                                  MetricType::counter,
                                  {}};
constexpr MetricDescriptor kEventsLost{"omnitide_telemetry_events_lost_total",
                                       "",
                                       "Events that came faster than they could be taken.",
                                       MetricType::counter,
                                       {}};
constexpr MetricDescriptor kFlowsLost{
    "omnitide_telemetry_flows_lost_total", "", "Flows above telemetry.plain.flow_rate.", MetricType::counter, {}};
constexpr MetricDescriptor kBacklog{"omnitide_telemetry_backlog_records", "", "Records that no broker has confirmed.",
                                    MetricType::gauge, kStream};
constexpr MetricDescriptor kBacklogBytes{"omnitide_telemetry_backlog_bytes", "bytes", "Bytes of those records.",
                                         MetricType::gauge, kStream};
constexpr MetricDescriptor kOldest{"omnitide_telemetry_oldest_record_seconds", "seconds",
                                   "Age of the oldest of those records.", MetricType::gauge, kStream};
constexpr MetricDescriptor kAppended{"omnitide_telemetry_appended_total", "", "Records that were taken in.",
                                     MetricType::counter, kStream};
constexpr MetricDescriptor kPublished{"omnitide_telemetry_published_total", "", "Records that were published.",
                                      MetricType::counter, kStream};
constexpr MetricDescriptor kRepublished{"omnitide_telemetry_republished_total", "",
                                        "Of them, those that were published before, on a connection that was lost.",
                                        MetricType::counter, kStream};
constexpr MetricDescriptor kHistorical{"omnitide_telemetry_historical_total", "",
                                       "Of them, those that were published later than they came up.",
                                       MetricType::counter, kStream};
constexpr MetricDescriptor kConfirmed{"omnitide_telemetry_confirmed_total", "", "Records that a broker confirmed.",
                                      MetricType::counter, kStream};
constexpr MetricDescriptor kDropped{"omnitide_telemetry_dropped_total", "",
                                    "Records that were dropped, by cause; kept over restarts.", MetricType::counter,
                                    kStreamCause};

double number(std::uint64_t value) { return static_cast<double>(value); }

void add_stream(const PublisherStatus& status, std::size_t i, WallTime now, model::SampleBatch& out) {
  const StreamStatus& stream = status.spool.streams.at(i);
  const std::string_view name = telemetry::kStreamNames.at(i);
  const std::chrono::duration<double> age = stream.records > 0 ? now - stream.oldest : WallTime::duration{};
  out.add(kBacklog, number(stream.records), {name});
  out.add(kBacklogBytes, number(stream.bytes), {name});
  out.add(kOldest, std::max(age.count(), 0.0), {name});
  out.add(kAppended, number(stream.appended), {name});
  out.add(kPublished, number(status.published.at(i)), {name});
  out.add(kRepublished, number(status.republished.at(i)), {name});
  out.add(kHistorical, number(status.historical.at(i)), {name});
  out.add(kConfirmed, number(status.confirmed.at(i)), {name});
  for (std::size_t cause = 0; cause < telemetry::kDropCauses; ++cause)
    out.add(kDropped, number(stream.dropped.at(cause)), {name, telemetry::kDropCauseNames.at(cause)});
}

}  // namespace

std::vector<const MetricDescriptor*> telemetry_descriptors() {
  return {&kConnected,    &kConnects, &kSent,     &kDisk,      &kSpoolLimit,  &kReadOnly,   &kMetrics,   &kBeyond,
          &kBirths,       &kRebirths, &kDeaths,   &kRefused,   &kStale,       &kEventsLost, &kFlowsLost, &kBacklog,
          &kBacklogBytes, &kOldest,   &kAppended, &kPublished, &kRepublished, &kHistorical, &kConfirmed, &kDropped};
}

void add_telemetry_samples(const PublisherStatus& status, const TelemetryFeed::Lost& lost, std::uint64_t spool_limit,
                           WallTime now, model::SampleBatch& out) {
  out.add(kConnected, status.link == PublisherStatus::Link::connected ? 1 : 0);
  out.add(kConnects, number(status.connects));
  out.add(kSent, number(status.bytes_out));
  out.add(kDisk, number(status.spool.disk_bytes));
  out.add(kSpoolLimit, number(spool_limit));
  out.add(kReadOnly, status.spool.read_only ? 1 : 0);
  out.add(kMetrics, number(status.metrics));
  out.add(kBeyond, number(lost.metrics));
  out.add(kBirths, number(status.sparkplug_counts.births));
  out.add(kRebirths, number(status.sparkplug_counts.rebirths));
  out.add(kDeaths, number(status.sparkplug_counts.deaths));
  out.add(kRefused, number(status.sparkplug_counts.refused));
  out.add(kStale, number(status.sparkplug_counts.stale_states));
  out.add(kEventsLost, number(lost.events));
  out.add(kFlowsLost, number(lost.flows));
  for (std::size_t i = 0; i < telemetry::kStreams; ++i)
    add_stream(status, i, now, out);
}

}  // namespace omnitide::daemon
