// What a node says while it lives: PUT of its facts and conditions, and heartbeats. A heartbeat with nothing new is
// answered from memory.
#include <fmt/format.h>

#include "agent/base/text.hpp"
#include "agent/codec/time.hpp"
#include "agent/io/crypto.hpp"
#include "agent/registry/admission.hpp"
#include "agent/registry/handlers.hpp"
#include "agent/registry/repository.hpp"
#include "agent/registry/wire.hpp"

namespace omnitide::registry {

namespace asio = boost::asio;

namespace {

v1::NodeAck ack_of(Context& context, const NodeRecord& node, const DesiredSet& desired, const std::string& facts_sha256,
                   const std::string& conditions_sha256) {
  v1::NodeAck out;
  out.set_generation(node.generation);
  out.set_heartbeat_interval_seconds(static_cast<std::uint32_t>(context.heartbeat_interval().count()));
  out.set_send_facts(node.facts_sha256 != facts_sha256);
  out.set_send_conditions(node.conditions_sha256 != conditions_sha256);
  out.set_labels_version(node.labels_version);
  if (desired.stated()) {
    out.set_desired_version(desired.version);
    out.set_desired_sha256(desired.sha256);
  }
  codec::set_time(context.now(), *out.mutable_server_time());
  // A CA roll-over is spread over time, so that not all nodes renew at once.
  if (node.offered_ca != context.authorities.issuer()->newest) {
    static const std::string kAll = "all";
    out.set_renew_now(!context.renewals.refuse(kAll, std::chrono::steady_clock::now()));
  }
  return out;
}

// What the node should have. A content that comes up for the first time is numbered before it is stated; where that
// fails now, nothing is stated, and the node keeps what it has until a later heartbeat.
asio::awaitable<SetRef> desired_of(Context& context, const NodeRecord& node) {
  SetRef out = context.desired.of(node);
  if (out->stated()) co_return out;
  std::vector<SetRef> one(1, out);
  (void)co_await number_sets(context, std::move(one));
  co_return out;
}

// A report that is not of the contract is cut to its bounds: it is no reason to take a node for dead.
AppliedRecord applied_of(const v1::DesiredStateReport& in) {
  constexpr std::size_t kDigest = 32, kLongest = 512;
  AppliedRecord out;
  out.held_version = in.held_version();
  out.applied_version = in.applied_version();
  if (in.held_sha256().size() == kDigest) out.held_sha256 = in.held_sha256();
  if (in.applied_sha256().size() == kDigest) out.applied_sha256 = in.applied_sha256();
  out.faults = in.faults();
  out.first_fault = in.first_fault();
  if (out.first_fault.size() > kLongest) out.first_fault = printable(out.first_fault, kLongest - 8);
  out.said = true;
  return out;
}

// 409 with the number to go on from.
io::HttpResponse old_generation(std::uint64_t said, std::uint64_t known) {
  Error error = fail(Code::aborted, fmt::format("generation {} is older than {}, which the registry has", said, known))
                    .with_hint(fmt::format("go on counting from {}", known));
  error.field = "generation";
  io::HttpResponse response = refuse(error);
  response.headers.emplace_back("Omnitide-Generation", fmt::format("{}", known));
  return response;
}

struct Put {
  Speaker speaker;
  v1::PutNodeRequest request;
  std::string node_id, labels;
  NodeRecord node;
  std::optional<Error> refusal;
  std::optional<std::uint64_t> known_generation;  // when the request's is older
  bool changed = false, clone = false;
};

bool has_news(const Put& put, const NodeRecord& node) {
  const v1::PutNodeRequest& in = put.request;
  return put.speaker.incarnation != Incarnation{node.boot_id, node.start_id} || in.generation() != node.generation ||
         (in.has_facts() && in.facts_sha256() != node.facts_sha256) ||
         (in.has_conditions() && in.conditions_sha256() != node.conditions_sha256) ||
         in.agent_version() != node.agent_version || in.hostname() != node.hostname || put.labels != node.agent_labels;
}

Result<> store_bodies(Database& database, Put& put) {
  const v1::PutNodeRequest& in = put.request;
  if (in.has_facts() && in.facts_sha256() != put.node.facts_sha256) {
    const Result<> saved = save_facts(database, put.node_id, in.facts());
    if (saved.has_error()) return saved;
    put.node.facts_sha256 = in.facts_sha256();
  }
  if (in.has_conditions() && in.conditions_sha256() != put.node.conditions_sha256) {
    const Result<> saved = save_conditions(database, put.node_id, in.conditions());
    if (saved.has_error()) return saved;
    put.node.conditions_sha256 = in.conditions_sha256();
  }
  return {};
}

Result<> put_in(Database& database, Put& put) {
  Result<std::optional<NodeRecord>> known = find_node(database, put.node_id);
  if (known.has_error()) return std::move(known).error();
  if (!*known) return no_such_node(put.node_id).with_hint("it was deleted: join again with a token");
  put.node = std::move(**known);
  if (std::optional<Error> refusal = refusal_of(put.node)) return *std::move(refusal);
  Result<Admission> admission = admit(database, put.node, put.speaker);
  if (admission.has_error()) return std::move(admission).error();
  put.changed = admission->changed;
  put.clone = admission->clone;
  put.refusal = std::move(admission->refusal);
  const v1::PutNodeRequest& in = put.request;
  if (!put.refusal && in.generation() < put.node.generation) {
    put.known_generation = put.node.generation;
  } else if (!put.refusal && has_news(put, put.node)) {
    if (const Result<> stored = store_bodies(database, put); stored.has_error()) return stored;
    put.node.generation = in.generation();
    put.node.agent_version = in.agent_version();
    put.node.hostname = in.hostname();
    (void)set_labels(put.node, &NodeRecord::agent_labels, put.labels);
    put.changed = true;
  }
  return put.changed ? save_node(database, put.node) : Result<>();
}

Result<> check_bytes(const char* field, const std::string& sha256, bool present, const std::string& bytes) {
  if (!sha256.empty() && sha256.size() != 32) return invalid(field, fmt::format("{} is not a SHA-256 digest", field));
  if (present && io::sha256(bytes) != sha256)
    return invalid(field, fmt::format("{} is not the digest of the bytes", field));
  return {};
}

Result<std::shared_ptr<Put>> read_put(Context& context, const io::HttpRequest& request) {
  auto put = std::make_shared<Put>();
  v1::PutNodeRequest& in = put->request;
  if (const Result<> read = decode(request, in); read.has_error()) return read.error();
  Result<Speaker> speaker = speaker_of(request, in.boot_id(), in.start_id(), context.run);
  if (speaker.has_error()) return std::move(speaker).error();
  if (in.hostname().size() > 253) return invalid("hostname", "the host name is longer than 253 bytes");
  if (in.agent_version().size() > 64) return invalid("agentVersion", "the version is longer than 64 bytes");
  if (in.generation() > static_cast<std::uint64_t>(INT64_MAX))
    return invalid("generation", "the generation is out of range");
  const Result<Labels> labels = labels_of(in.labels());
  if (labels.has_error()) return labels.error();
  Result<> good = check_bytes("factsSha256", in.facts_sha256(), in.has_facts(), in.facts());
  if (good.has_value())
    good = check_bytes("conditionsSha256", in.conditions_sha256(), in.has_conditions(), in.conditions());
  if (good.has_error()) return std::move(good).error();
  put->speaker = std::move(*speaker);
  put->labels = encode_labels(*labels);
  put->node_id = parameter(request, "id");
  return put;
}

// Another start or boot than the present one speaks: judged and stored before the answer.
struct TakeOver {
  Speaker speaker;
  std::string node_id;
  NodeRecord node;
  Admission admission;
};

Result<> take_over_in(Database& database, TakeOver& in) {
  Result<std::optional<NodeRecord>> known = find_node(database, in.node_id);
  if (known.has_error()) return std::move(known).error();
  if (!*known) return no_such_node(in.node_id);
  in.node = std::move(**known);
  if (std::optional<Error> refusal = refusal_of(in.node)) return *std::move(refusal);
  Result<Admission> admission = admit(database, in.node, in.speaker);
  if (admission.has_error()) return std::move(admission).error();
  in.admission = std::move(*admission);
  return in.admission.changed ? save_node(database, in.node) : Result<>();
}

asio::awaitable<Result<>> take_over(Context& context, const io::HttpRequest& request, const v1::HeartbeatRequest& in) {
  Result<Speaker> speaker = speaker_of(request, in.boot_id(), in.start_id(), context.run);
  if (speaker.has_error()) co_return std::move(speaker).error();
  auto job = std::make_shared<TakeOver>();
  job->speaker = std::move(*speaker);
  job->node_id = parameter(request, "id");
  auto running = context.writer.run([job](Database& database) { return take_over_in(database, *job); },
                                    [&context, job] {
                                      if (job->admission.clone) context.cloned(job->node);
                                      if (job->admission.changed) context.committed(job->node, Change::modified);
                                    });
  const Result<> done = co_await std::move(running);
  if (done.has_error()) co_return done.error();
  if (job->admission.refusal) co_return *job->admission.refusal;
  co_return Result<>();
}

}  // namespace

asio::awaitable<io::HttpResponse> put_node(Context& context, io::HttpRequest& request) {
  const Result<std::shared_ptr<Put>> read = read_put(context, request);
  if (read.has_error()) co_return refuse(read.error());
  const std::shared_ptr<Put> put = *read;
  ++context.counters.puts;
  const NodeRecord* known = context.nodes.find(put->node_id);
  if (known != nullptr && known->state == State::approved && !has_news(*put, *known)) {
    put->node = *known;  // the same request again: it is on disk already
  } else {
    auto running = context.writer.run([put](Database& database) { return put_in(database, *put); },
                                      [&context, put] {
                                        if (put->clone) context.cloned(put->node);
                                        if (put->changed) context.committed(put->node, Change::modified);
                                      });
    const Result<> done = co_await std::move(running);
    if (done.has_error()) co_return refuse(done.error());
    if (put->refusal) co_return refuse(*put->refusal);
    if (put->known_generation) co_return old_generation(put->request.generation(), *put->known_generation);
  }
  if (NodeRecord* node = context.nodes.find(put->node_id)) {
    context.nodes.seen(*node, context.now(), request.peer->certificate->serial);
  }
  const NodeRecord& node = put->node;
  const SetRef desired = co_await desired_of(context, node);
  v1::NodeAck out = ack_of(context, node, *desired, put->request.facts_sha256(), put->request.conditions_sha256());
  for (const auto& [key, value] : effective_labels(node.agent_labels, node.token_labels, node.registry_labels)) {
    (*out.mutable_labels())[key] = value;
  }
  co_return reply(request, out);
}

asio::awaitable<io::HttpResponse> heartbeat(Context& context, io::HttpRequest& request) {
  ++context.counters.heartbeats;
  v1::HeartbeatRequest in;
  if (const Result<> read = decode(request, in); read.has_error()) co_return refuse(read.error());
  const std::string& node_id = parameter(request, "id");
  NodeRecord* node = context.nodes.find(node_id);
  if (node == nullptr) {
    co_return refuse(no_such_node(node_id).with_hint("it was deleted: join again with a token"));
  }
  if (const std::optional<Error> refusal = refusal_of(*node)) co_return refuse(*refusal);
  if (node->start_id != in.start_id() || node->boot_id != in.boot_id()) {
    const Result<> taken = co_await take_over(context, request, in);
    if (taken.has_error()) co_return refuse(taken.error());
    node = context.nodes.find(node_id);
    if (node == nullptr) co_return refuse(no_such_node(node_id));
  }
  if (in.generation() < node->generation) co_return old_generation(in.generation(), node->generation);
  SetRef desired = context.desired.of(*node);
  if (!desired->stated()) {  // rare; all others need no further coroutine
    desired = co_await desired_of(context, *node);
    node = context.nodes.find(node_id);
    if (node == nullptr) co_return refuse(no_such_node(node_id));
  }
  context.nodes.seen(*node, context.now(), request.peer->certificate->serial);
  if (in.has_desired()) context.nodes.applied(*node, applied_of(in.desired()));
  co_return reply(request, ack_of(context, *node, *desired, in.facts_sha256(), in.conditions_sha256()));
}

}  // namespace omnitide::registry
