#include "agent/registry/node_message.hpp"

#include <fmt/format.h>

#include "agent/base/text.hpp"
#include "agent/codec/time.hpp"
#include "agent/registry/handlers.hpp"
#include "agent/registry/labels.hpp"
#include "agent/registry/wire.hpp"

namespace omnitide::registry {

namespace {

void set_map(google::protobuf::Map<std::string, std::string>* out, const Labels& labels) {
  for (const auto& [key, value] : labels)
    (*out)[key] = value;
}

void set_report(v1::DesiredStateReport& out, const AppliedRecord& applied) {
  out.set_held_version(applied.held_version);
  out.set_held_sha256(applied.held_sha256);
  out.set_applied_version(applied.applied_version);
  out.set_applied_sha256(applied.applied_sha256);
  out.set_faults(applied.faults);
  out.set_first_fault(applied.first_fault);
}

}  // namespace

v1::Node node_message(const Context& context, const NodeRecord& node) {
  v1::Node out;
  out.set_node_id(node.node_id);
  out.set_hostname(node.hostname);
  out.set_state(static_cast<v1::NodeState>(node.state));
  out.set_state_reason(node.state_reason);
  out.set_online(node.state == State::approved && context.now() - node.last_seen < 3 * context.heartbeat_interval());
  codec::set_time(node.joined, *out.mutable_joined());
  codec::set_time(node.last_seen, *out.mutable_last_seen());
  out.set_boot_id(node.boot_id);
  out.set_start_id(node.start_id);
  out.set_generation(node.generation);
  out.set_facts_sha256(node.facts_sha256);
  out.set_agent_version(node.agent_version);
  set_map(out.mutable_labels(), effective_labels(node.agent_labels, node.token_labels, node.registry_labels));
  set_map(out.mutable_registry_labels(), decode_labels(node.registry_labels));
  if (node.certificate_expires != WallTime{})
    codec::set_time(node.certificate_expires, *out.mutable_certificate_expires());
  out.set_token_id(node.token_id);
  out.set_resource_version(node.resource_version);
  out.set_replaces(node.replaces);
  const SetRef desired = context.desired.of(node);
  out.set_desired_version(desired->version);
  out.set_desired_sha256(desired->sha256);
  if (node.applied.said) set_report(*out.mutable_desired_report(), node.applied);
  return out;
}

v1::Token token_message(const TokenRecord& token) {
  v1::Token out;
  out.set_token_id(token.token_id);
  out.set_approve(token.approve == Approve::manual ? v1::APPROVAL_MODE_MANUAL : v1::APPROVAL_MODE_AUTO);
  out.set_uses(token.uses);
  out.set_used(token.used);
  codec::set_time(token.expires, *out.mutable_expires());
  codec::set_time(token.created, *out.mutable_created());
  set_map(out.mutable_labels(), decode_labels(token.labels));
  out.set_comment(token.comment);
  out.set_revoked(token.revoked);
  return out;
}

v1::Operator operator_message(const OperatorRecord& record) {
  v1::Operator out;
  out.set_serial(record.serial);
  out.set_name(record.name);
  codec::set_time(record.issued, *out.mutable_issued());
  codec::set_time(record.expires, *out.mutable_expires());
  out.set_revoked(record.revoked);
  return out;
}

v1::PolicyDocument policy_message(const PolicyRecord& record) {
  v1::PolicyDocument out;
  out.set_name(record.name);
  out.set_revision(record.revision);
  out.set_node_selector(record.selector);
  out.set_sha256(record.sha256);
  out.set_bytes(record.bytes);
  out.set_objects(record.objects);
  codec::set_time(record.changed, *out.mutable_changed());
  out.set_changed_by(record.changed_by);
  out.set_deleted(record.deleted);
  return out;
}

Result<NodeFilter> NodeFilter::of(const io::HttpRequest& request) {
  NodeFilter out;
  Result<Selector> selector = Selector::parse(query(request, "labelSelector"));
  if (selector.has_error()) return std::move(selector).error();
  out.selector_ = std::move(*selector);
  const std::string word = to_lower(query(request, "state"));
  if (word.empty()) return out;
  for (const auto& [name, state] : {std::pair{"pending", State::pending}, std::pair{"approved", State::approved},
                                    std::pair{"quarantined", State::quarantined}, std::pair{"banned", State::banned}}) {
    if (word == name) out.state_ = state;
  }
  if (!out.state_) {
    return invalid("state", fmt::format("\"{}\" is not a state", printable(word, 40)))
        .with_hint("pending, approved, quarantined or banned");
  }
  return out;
}

bool NodeFilter::takes(const NodeRecord& node) const {
  if (state_ && node.state != *state_) return false;
  if (selector_.empty()) return true;
  return selector_.matches(effective_labels(node.agent_labels, node.token_labels, node.registry_labels));
}

}  // namespace omnitide::registry
