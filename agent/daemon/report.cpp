#include "agent/daemon/report.hpp"

#include "agent/base/text.hpp"
#include "agent/base/version.hpp"
#include "agent/codec/facts_codec.hpp"
#include "agent/codec/time.hpp"
#include "agent/daemon/policy_report.hpp"
#include "agent/daemon/self.hpp"
#include "agent/daemon/telemetry_part.hpp"
#include "discovery/inventory/labels.hpp"
#include "omnitide/node/v1/local.pb.h"

namespace omnitide::daemon {

namespace v1 = node::v1;

void fill(const Event& event, v1::Event& out) {
  codec::set_time(event.time, *out.mutable_time());
  out.set_part(std::string(log::name(event.part)));
  out.set_level(std::string(log::name(event.level)));
  out.set_message(event.message);
  out.set_number(event.number);
}

namespace {

void fill(const discovery::SourceStatus& source, v1::SourceStatus& out) {
  out.set_name(std::string(source.name));
  out.set_ok(source.ok);
  out.set_error(source.error.empty() ? join(source.problems, "; ") : source.error);
  out.set_seconds(std::chrono::duration<double>(source.duration).count());
  if (source.last_success) codec::set_time(*source.last_success, *out.mutable_last_success());
}

void fill(const registration::View& view, const std::string& endpoint, v1::RegistrationStatus& out) {
  out.set_state(std::string(registration::name(view.state)));
  out.set_reason(view.reason);
  out.set_endpoint(endpoint);
  if (view.certificate_expires) codec::set_time(*view.certificate_expires, *out.mutable_certificate_expires());
  if (view.last_acknowledged) codec::set_time(*view.last_acknowledged, *out.mutable_last_heartbeat());
  codec::set_time(wall_now() + view.next_attempt_in, *out.mutable_next_attempt());
  out.set_generation(view.saved.generation);
  out.set_acknowledged_generation(view.saved.acknowledged_generation);
  out.mutable_labels()->insert(view.saved.labels.begin(), view.saved.labels.end());
  out.set_heartbeat_interval_seconds(view.saved.heartbeat_interval_seconds);
}

}  // namespace

void fill(const Snapshot& snapshot, v1::Status& out) {
  if (snapshot.registration) out.set_node_id(snapshot.registration->node_id);
  out.set_hostname(snapshot.config.node.name);
  out.set_version(std::string(version()));
  codec::set_time(snapshot.started, *out.mutable_started());
  out.set_boot_id(snapshot.boot_id);
  out.set_ready(snapshot.not_ready_because.empty());
  out.set_not_ready_because(snapshot.not_ready_because);
  for (const model::PartStatus& part : snapshot.parts) {
    v1::PartStatus& row = *out.add_parts();
    row.set_name(part.name);
    row.set_state(static_cast<v1::PartState>(part.state));
    row.set_reason(part.reason);
    for (const std::string& url : part.urls)
      row.add_urls(url);
  }
  if (snapshot.registration)
    fill(*snapshot.registration, snapshot.config.registration.endpoint, *out.mutable_registration());
  out.set_facts_sha256(hex_encode(snapshot.facts_sha256));
  for (const discovery::SourceStatus& source : snapshot.sources)
    fill(source, *out.add_sources());
  for (const Event& event : snapshot.events.snapshot())
    fill(event, *out.add_events());
  if (snapshot.policy != nullptr) fill(*snapshot.policy, *out.mutable_policy());
  if (snapshot.telemetry != nullptr && snapshot.telemetry->enabled())
    snapshot.telemetry->fill(*out.mutable_telemetry());
  out.set_state_dir(snapshot.config.paths.state_dir);
  if (snapshot.config.registry.embedded) out.set_registry_dir(snapshot.config.registry.dir);
  out.set_resident_bytes(resident_bytes());
  for (const std::string& file : snapshot.config.files)
    out.add_config_files(file);
  out.set_ready_after_seconds(snapshot.ready_after.count());
  if (snapshot.registration) {
    out.set_certificate_seconds(std::chrono::duration<double>(snapshot.registration->certificate_time).count());
  }
}

void fill(const Snapshot& snapshot, const model::NodeFacts& facts, const std::vector<model::Sample>& samples,
          v1::Discovery& out) {
  codec::to_proto(facts, *out.mutable_facts());
  for (const model::Sample& sample : samples)
    codec::to_proto(sample, *out.add_samples());
  for (const discovery::SourceStatus& source : snapshot.sources)
    fill(source, *out.add_sources());
  const discovery::Labels labels = discovery::labels(facts);
  out.mutable_labels()->insert(labels.begin(), labels.end());
  out.set_facts_sha256(hex_encode(snapshot.facts_sha256));
}

}  // namespace omnitide::daemon
