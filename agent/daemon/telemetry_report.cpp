#include "agent/daemon/telemetry_report.hpp"

#include "agent/codec/time.hpp"
#include "agent/daemon/report.hpp"
#include "omnitide/node/v1/telemetry_status.pb.h"

namespace omnitide::daemon {

namespace v1 = node::v1;
using telemetry::kDropCauseNames;
using telemetry::kStreamNames;
using telemetry::kStreams;
using telemetry::PublisherStatus;

namespace {

constexpr std::chrono::seconds kRatesOver{60};
constexpr std::size_t kMostNoted = 120;

void fill_stream(const PublisherStatus& status, const TelemetryRates::PerSecond& rates, std::size_t i,
                 v1::TelemetryStream& out) {
  const telemetry::StreamStatus& stream = status.spool.streams.at(i);
  out.set_name(std::string(kStreamNames.at(i)));
  out.set_backlog(stream.records);
  out.set_backlog_bytes(stream.bytes);
  if (stream.records > 0) codec::set_time(stream.oldest, *out.mutable_oldest());
  out.set_first(stream.first);
  out.set_next(stream.next);
  out.set_appended(stream.appended);
  out.set_published(status.published.at(i));
  out.set_republished(status.republished.at(i));
  out.set_historical(status.historical.at(i));
  out.set_confirmed(status.confirmed.at(i));
  out.set_appended_per_second(rates.appended.at(i));
  out.set_confirmed_per_second(rates.confirmed.at(i));
  for (std::size_t cause = 0; cause < telemetry::kDropCauses; ++cause) {
    if (stream.dropped.at(cause) == 0) continue;
    v1::TelemetryDrop& drop = *out.add_drops();
    drop.set_cause(std::string(kDropCauseNames.at(cause)));
    drop.set_records(stream.dropped.at(cause));
  }
}

}  // namespace

void TelemetryRates::note(SteadyTime now, const PublisherStatus& status) {
  Totals totals{.time = now, .appended = {}, .confirmed = status.confirmed, .bytes = status.bytes_out};
  for (std::size_t i = 0; i < kStreams; ++i)
    totals.appended.at(i) = status.spool.streams.at(i).appended;
  // After a restart of the publisher everything counts anew.
  if (!noted_.empty() && totals.bytes < noted_.back().bytes) noted_.clear();
  noted_.push_back(totals);
  while (noted_.size() > kMostNoted || (noted_.size() > 2 && noted_[1].time + kRatesOver <= now))
    noted_.pop_front();
}

TelemetryRates::PerSecond TelemetryRates::rates() const {
  PerSecond out;
  if (noted_.size() < 2) return out;
  const Totals &first = noted_.front(), &last = noted_.back();
  const double seconds = std::chrono::duration<double>(last.time - first.time).count();
  if (seconds <= 0) return out;
  const auto rate = [seconds](std::uint64_t before, std::uint64_t after) {
    return after > before ? static_cast<double>(after - before) / seconds : 0;
  };
  for (std::size_t i = 0; i < kStreams; ++i) {
    out.appended.at(i) = rate(first.appended.at(i), last.appended.at(i));
    out.confirmed.at(i) = rate(first.confirmed.at(i), last.confirmed.at(i));
  }
  out.bytes = rate(first.bytes, last.bytes);
  return out;
}

std::string_view link_name(PublisherStatus::Link link) {
  switch (link) {
    case PublisherStatus::Link::waiting: return "waiting";
    case PublisherStatus::Link::connecting: return "connecting";
    case PublisherStatus::Link::connected: return "connected";
    case PublisherStatus::Link::stopped: break;
  }
  return "stopped";
}

std::string_view phase_name(telemetry::SparkplugSession::Phase phase) {
  switch (phase) {
    case telemetry::SparkplugSession::Phase::waiting_for_host: return "waiting for host";
    case telemetry::SparkplugSession::Phase::waiting_for_metrics: return "waiting for metrics";
    case telemetry::SparkplugSession::Phase::online: return "online";
    case telemetry::SparkplugSession::Phase::disconnected: break;
  }
  return "disconnected";
}

void fill(const TelemetryAbout& about, const PublisherStatus& status, const TelemetryRates& rates,
          v1::TelemetryStatus& out) {
  out.set_group(about.group);
  out.set_node(about.node);
  out.set_client_id(about.client_id);
  for (const std::string& broker : about.brokers)
    out.add_brokers(broker);
  out.set_link(std::string(link_name(status.link)));
  out.set_broker(status.broker);
  out.set_problem(status.problem);
  if (status.since != WallTime{}) codec::set_time(status.since, *out.mutable_since());
  if (status.next_attempt) codec::set_time(*status.next_attempt, *out.mutable_next_attempt());
  out.set_connects(status.connects);
  out.set_bytes_out(status.bytes_out);
  const TelemetryRates::PerSecond per_second = rates.rates();
  out.set_bytes_per_second(per_second.bytes);
  out.set_interval_seconds(std::chrono::duration<double>(about.interval).count());
  if (status.sparkplug) {
    v1::TelemetrySparkplug& sparkplug = *out.mutable_sparkplug();
    sparkplug.set_phase(std::string(phase_name(*status.sparkplug)));
    sparkplug.set_bd_seq(status.bd_seq);
    sparkplug.set_births(status.sparkplug_counts.births);
    sparkplug.set_rebirths(status.sparkplug_counts.rebirths);
    sparkplug.set_deaths(status.sparkplug_counts.deaths);
    sparkplug.set_refused_commands(status.sparkplug_counts.refused);
    sparkplug.set_stale_states(status.sparkplug_counts.stale_states);
    sparkplug.set_metrics(status.metrics);
    sparkplug.set_devices(status.devices);
    sparkplug.set_primary_host(about.primary_host);
  }
  v1::TelemetrySpool& spool = *out.mutable_spool();
  spool.set_folder(about.folder);
  spool.set_disk_bytes(status.spool.disk_bytes);
  spool.set_limit_bytes(about.spool_limit);
  spool.set_memory_bytes(status.spool.memory_bytes);
  spool.set_segments(status.spool.segments);
  spool.set_read_only(status.spool.read_only);
  spool.set_problem(status.spool.problem);
  for (std::size_t i = 0; i < kStreams; ++i)
    fill_stream(status, per_second, i, *spool.add_streams());
}

}  // namespace omnitide::daemon
