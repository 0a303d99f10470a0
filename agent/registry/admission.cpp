#include "agent/registry/admission.hpp"

#include <fmt/format.h>
#include <google/protobuf/map.h>

#include <algorithm>

#include "agent/base/text.hpp"
#include "agent/registry/repository.hpp"
#include "agent/registry/wire.hpp"

namespace omnitide::registry {

namespace {

bool is_id(const std::string& text) {
  return !text.empty() && text.size() <= 64 &&
         std::all_of(text.begin(), text.end(), [](char c) { return c > ' ' && c < 0x7f; });
}

std::int64_t steady_number(SteadyTime time) {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(time.time_since_epoch()).count();
}

// `field` is what an agent goes by; the message is for people.
Error in_state(const char* field, std::string message) {
  Error error = fail(Code::permission_denied, std::move(message));
  error.field = field;
  return error;
}

Error quarantine_error(const NodeRecord& node) {
  return in_state("state/quarantined", fmt::format("node {} is quarantined: {}", node.node_id, node.state_reason))
      .with_hint("an operator decides: omnitide-agent registry approve, replace, ban or delete");
}

}  // namespace

Result<Speaker> speaker_of(const io::HttpRequest& request, const std::string& boot_id, const std::string& start_id,
                           std::int64_t run) {
  if (!is_id(boot_id)) return invalid("bootId", "bootId must be 1 to 64 printable characters without blanks");
  if (!is_id(start_id)) return invalid("startId", "startId must be 1 to 64 printable characters without blanks");
  return Speaker{{boot_id, start_id}, request.peer->connected, run};
}

std::optional<Error> refusal_of(const NodeRecord& node) {
  switch (node.state) {
    case State::approved: return std::nullopt;
    case State::quarantined: return quarantine_error(node);
    case State::banned:
      return in_state("state/banned", fmt::format("node {} is banned: {}", node.node_id, node.state_reason))
          .with_hint("an operator can approve it again, or delete it so that it may join anew");
    default:
      return in_state("state/pending", fmt::format("node {} waits for approval", node.node_id))
          .with_hint("an operator approves it: omnitide-agent registry approve");
  }
}

Error superseded_error(const NodeRecord& node) {
  Error error = fail(Code::aborted, fmt::format("a newer start of node {} has taken over", node.node_id))
                    .with_hint("this agent is the old one and must end; if it goes on, the node is quarantined");
  error.field = kSupersededField;
  return error;
}

Result<Admission> admit(Database& database, NodeRecord& node, const Speaker& speaker) {
  Admission out;
  const Incarnation current{node.boot_id, node.start_id};
  if (speaker.incarnation == current) return out;
  const Result<std::vector<Incarnation>> past = superseded(database, node.node_id);
  if (past.has_error()) return past.error();
  // After a restart of the registry every connection is younger than what was accepted before it.
  const bool connected_before =
      node.accepted_run == speaker.run && steady_number(speaker.connected) < node.accepted_steady;
  switch (judge(current, *past, speaker.incarnation, connected_before)) {
    case Verdict::same: return out;
    case Verdict::stale: out.refusal = superseded_error(node); return out;
    case Verdict::clone:
      node.state = State::quarantined;
      node.state_reason = clone_reason(current, speaker.incarnation);
      out.refusal = quarantine_error(node);
      out.changed = out.clone = true;
      return out;
    case Verdict::newer: break;
  }
  if (!current.boot_id.empty()) {
    const Result<> added = add_superseded(database, node.node_id, current);
    if (added.has_error()) return added.error();
  }
  node.boot_id = speaker.incarnation.boot_id;
  node.start_id = speaker.incarnation.start_id;
  node.accepted_run = speaker.run;
  node.accepted_steady = steady_number(std::chrono::steady_clock::now());
  out.changed = true;
  return out;
}

bool set_labels(NodeRecord& node, std::string NodeRecord::*source, std::string encoded) {
  if (node.*source == encoded) return false;
  const Labels before = effective_labels(node.agent_labels, node.token_labels, node.registry_labels);
  node.*source = std::move(encoded);
  if (effective_labels(node.agent_labels, node.token_labels, node.registry_labels) != before) ++node.labels_version;
  return true;
}

Result<Labels> labels_of(const google::protobuf::Map<std::string, std::string>& labels) {
  Labels out(labels.begin(), labels.end());
  const Result<> checked = check_labels(out);
  if (checked.has_error()) return checked.error();
  return out;
}

}  // namespace omnitide::registry
