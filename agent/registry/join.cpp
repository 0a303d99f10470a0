// How a device gets its certificate: nonce, join, renewal, re-join.
#include <fmt/format.h>

#include "agent/base/text.hpp"
#include "agent/codec/time.hpp"
#include "agent/io/crypto.hpp"
#include "agent/registry/admission.hpp"
#include "agent/registry/handlers.hpp"
#include "agent/registry/repository.hpp"
#include "agent/registry/wire.hpp"

namespace omnitide::registry {

namespace {

constexpr std::uint32_t kPollSeconds = 10;

Error bad_token(std::string message) {
  Error error = fail(Code::unauthenticated, std::move(message)).with_hint("ask an operator for a new join token");
  error.field = "token";
  return error;
}

// The public key of a CSR that also signed the nonce for this purpose. The nonce is not used up yet: the caller does
// that, without a wait in between, once it knows that the key is somebody's.
Result<std::string> proven_key(const Context& context, const char* purpose, const std::string& nonce,
                               const std::string& csr, const std::string& signature) {
  const Result<> good = context.nonces.check(nonce, std::chrono::steady_clock::now());
  if (good.has_error()) return good.error();
  Result<std::string> key = io::csr_public_key(csr);
  if (key.has_error()) {
    Error error = std::move(key).error().within("the certificate request is not usable");
    error.code = Code::invalid_argument;
    error.field = "csrDer";
    return error;
  }
  std::string text = fmt::format("omnitide.node.v1 {}", purpose);
  text.push_back('\0');
  text += nonce;
  text += io::sha256(csr);
  if (!io::verify_signature(*key, text, signature)) {
    Error error = fail(Code::unauthenticated, "the signature is not by the key of the certificate request");
    error.field = "signature";
    return error;
  }
  return key;
}

Result<> use_up(Context& context, const std::string& nonce) {
  return context.nonces.consume(nonce, std::chrono::steady_clock::now());
}

// Issues to the node and notes it in the record, which the caller saves.
Result<std::string> issue_to(NodeRecord& node, const Issuer& issuer, std::string_view key, WallTime now,
                             std::chrono::milliseconds lifetime) {
  Result<Issued> issued = issue_client(issuer, key, node.node_id, "node", now, lifetime);
  if (issued.has_error()) return std::move(issued).error();
  node.certificate_serial = std::move(issued->serial);
  node.certificate_expires = issued->not_after;
  node.certificate_used = false;
  node.offered_ca = issuer.newest;
  return std::move(issued->der);
}

struct Joining {
  Speaker speaker;
  std::string token_id, secret_sha256, key, node_id, hostname, labels;
  WallTime now{};
  std::chrono::milliseconds lifetime{};
  std::shared_ptr<const Issuer> issuer;

  NodeRecord node;
  std::optional<TokenRecord> token;  // when a use was taken
  std::string certificate;
  std::optional<Error> refusal;
  bool added = false, changed = false, clone = false;
};

// `token` is null when there is none of that id; the same time passes then.
std::optional<Error> why_not(const TokenRecord* token, std::string_view secret_sha256) {
  const std::string nothing(32, '\0');
  const bool fits = io::constant_time_equal(token == nullptr ? nothing : token->secret_sha256, secret_sha256);
  if (token == nullptr || !fits) return bad_token("the join token is not valid");
  if (token->revoked) return bad_token("the join token was revoked");
  return std::nullopt;
}

// Whether one more node can join by it.
std::optional<Error> why_no_more(const TokenRecord& token, WallTime now) {
  if (token.expires <= now)
    return bad_token(fmt::format("the join token expired at {}", format_rfc3339(token.expires)));
  if (token.used >= token.uses)
    return bad_token(fmt::format("the join token was used {} times, which is all", token.used));
  return std::nullopt;
}

Result<TokenRecord> checked_token(Database& database, const Joining& in, bool already_joined_by_it) {
  Result<std::optional<TokenRecord>> found = find_token(database, in.token_id);
  if (found.has_error()) return std::move(found).error();
  std::optional<Error> refused = why_not(*found ? &**found : nullptr, in.secret_sha256);
  if (!refused && !already_joined_by_it) refused = why_no_more(**found, in.now);
  if (refused) return *std::move(refused);
  return **std::move(found);
}

// One transaction: the use of the token is taken if and only if the node is there.
Result<> join_in(Database& database, Joining& in) {
  Result<std::optional<NodeRecord>> known = find_node(database, in.node_id);
  if (known.has_error()) return std::move(known).error();
  in.added = !*known;
  if (*known) in.node = std::move(**known);
  const bool by_it = !in.added && in.node.token_id == in.token_id;
  Result<TokenRecord> token = checked_token(database, in, by_it);
  if (token.has_error()) return std::move(token).error();
  NodeRecord& node = in.node;
  if (in.added) {
    node.node_id = in.node_id;
    node.joined = node.last_seen = in.now;
    node.state = State::pending;
    node.state_reason = "joined by a token that wants approval";
  } else if (node.state == State::banned || node.state == State::quarantined) {
    return *refusal_of(node);
  }
  Result<Admission> admission = admit(database, node, in.speaker);
  if (admission.has_error()) return std::move(admission).error();
  in.refusal = admission->refusal;
  in.changed = admission->changed || in.added;
  in.clone = admission->clone;
  if (in.refusal) return in.changed ? save_node(database, node) : Result<>();

  if (!by_it) {
    ++token->used;
    if (const Result<> saved = save_token(database, *token); saved.has_error()) return saved;
    in.token = *token;
    node.token_id = in.token_id;
    (void)set_labels(node, &NodeRecord::token_labels, token->labels);
    if (token->approve == Approve::automatic) {
      node.state = State::approved;
      node.state_reason.clear();
    }
    in.changed = true;
  }
  if (!in.hostname.empty() && node.hostname != in.hostname) {
    node.hostname = in.hostname;
    in.changed = true;
  }
  in.changed |= set_labels(node, &NodeRecord::agent_labels, in.labels);
  if (node.state == State::approved) {
    Result<std::string> der = issue_to(node, *in.issuer, in.key, in.now, in.lifetime);
    if (der.has_error()) return std::move(der).error();
    in.certificate = std::move(*der);
    in.changed = true;
  }
  return in.changed ? save_node(database, node) : Result<>();
}

Result<std::shared_ptr<Joining>> read_join(Context& context, const io::HttpRequest& request) {
  v1::JoinRequest in;
  if (const Result<> read = decode(request, in); read.has_error()) return read.error();
  auto joining = std::make_shared<Joining>();
  Result<Speaker> speaker = speaker_of(request, in.boot_id(), in.start_id(), context.run);
  if (speaker.has_error()) return std::move(speaker).error();
  if (in.hostname().size() > 253) return invalid("hostname", "the host name is longer than 253 bytes");
  const Result<Labels> labels = labels_of(in.labels());
  if (labels.has_error()) return labels.error();
  const std::size_t dot = in.token().find('.');
  if (dot == std::string::npos || in.token().size() > 256)
    return bad_token("the join token is not of the form ID.SECRET");
  joining->token_id = in.token().substr(0, dot);
  joining->secret_sha256 = io::sha256(std::string_view(in.token()).substr(dot + 1));
  joining->now = context.now();
  // The cheap look first: a stranger without a token must cost neither signatures nor room for a nonce. What counts is
  // the look inside the transaction.
  const auto known = context.tokens.find(joining->token_id);
  const TokenRecord* token = known == context.tokens.end() ? nullptr : &known->second;
  if (std::optional<Error> refused = why_not(token, joining->secret_sha256)) return *std::move(refused);
  Result<std::string> key = proven_key(context, "join", in.nonce(), in.csr_der(), in.signature());
  if (key.has_error()) return std::move(key).error();
  joining->node_id = io::node_id_of(*key);
  const NodeRecord* node = context.nodes.find(joining->node_id);
  if (node == nullptr || node->token_id != joining->token_id) {
    if (std::optional<Error> refused = why_no_more(*token, joining->now)) return *std::move(refused);
  }
  if (const Result<> used = use_up(context, in.nonce()); used.has_error()) return used.error();
  joining->speaker = std::move(*speaker);
  joining->key = std::move(*key);
  joining->hostname = in.hostname();
  joining->labels = encode_labels(*labels);
  joining->lifetime = context.options.certificate_lifetime;
  joining->issuer = context.authorities.issuer();
  return joining;
}

void apply_join(Context& context, Joining& joining) {
  if (joining.clone) context.cloned(joining.node);
  if (joining.token) context.tokens.insert_or_assign(joining.token_id, *joining.token);
  if (joining.changed) context.committed(joining.node, joining.added ? Change::added : Change::modified);
}

// A new certificate for a node that is known and proved its key.
struct Reissue {
  std::string node_id, key, certificate;
  std::optional<Speaker> speaker;
  WallTime now{};
  std::chrono::milliseconds lifetime{};
  std::shared_ptr<const Issuer> issuer;
  NodeRecord node;
  std::optional<Error> refusal;
  bool changed = false, clone = false;
};

Result<> reissue_in(Database& database, Reissue& in) {
  Result<std::optional<NodeRecord>> known = find_node(database, in.node_id);
  if (known.has_error()) return std::move(known).error();
  if (!*known) return no_such_node(in.node_id).with_hint("it was deleted: join again with a token");
  in.node = std::move(**known);
  if (std::optional<Error> refusal = refusal_of(in.node)) return *std::move(refusal);
  if (in.speaker) {
    Result<Admission> admission = admit(database, in.node, *in.speaker);
    if (admission.has_error()) return std::move(admission).error();
    in.refusal = admission->refusal;
    in.clone = admission->clone;
    in.changed = admission->changed;
    if (in.refusal) return in.changed ? save_node(database, in.node) : Result<>();
  }
  Result<std::string> der = issue_to(in.node, *in.issuer, in.key, in.now, in.lifetime);
  if (der.has_error()) return std::move(der).error();
  in.certificate = std::move(*der);
  in.changed = true;
  return save_node(database, in.node);
}

Answer<v1::CertificateResponse> reissue(Context& context, std::shared_ptr<Reissue> in) {
  in->now = context.now();
  in->lifetime = context.options.certificate_lifetime;
  in->issuer = context.authorities.issuer();
  auto running = context.writer.run([in](Database& database) { return reissue_in(database, *in); },
                                    [&context, in] {
                                      if (in->clone) context.cloned(in->node);
                                      if (in->changed) context.committed(in->node, Change::modified);
                                    });
  const Result<> done = co_await std::move(running);
  if (done.has_error()) co_return done.error();
  if (in->refusal) co_return *in->refusal;
  v1::CertificateResponse out;
  out.set_certificate_der(in->certificate);
  for (const std::string& ca : in->issuer->trusted)
    out.add_ca_certificates_der(ca);
  codec::set_time(context.now(), *out.mutable_server_time());
  co_return out;
}

// The expired certificate as the proof of who the node was.
Result<> check_expired(const Context& context, const std::string& der, const std::string& key,
                       const std::string& node_id) {
  const auto wrong = [](Code code, std::string message) {
    Error error = fail(code, std::move(message)).with_hint("join again with a token");
    error.field = "expiredCertificateDer";
    return error;
  };
  const Result<io::CertificateInfo> info = io::parse_certificate(der);
  if (info.has_error()) return wrong(Code::invalid_argument, "the expired certificate cannot be read");
  if (info->is_ca || info->organizational_unit != "node" || info->common_name != node_id ||
      info->public_key_info != key || !context.authorities.issued(der)) {
    return wrong(Code::unauthenticated, "the expired certificate is not this registry's for this key");
  }
  if (info->not_after + context.options.rejoin_window < context.now()) {
    return wrong(Code::failed_precondition,
                 fmt::format("the certificate ended at {}, longer than {} ago", format_rfc3339(info->not_after),
                             format_duration(context.options.rejoin_window)));
  }
  return {};
}

}  // namespace

Answer<v1::NonceResponse> issue_nonce(Context& context, io::HttpRequest& /*request*/) {
  v1::NonceResponse out;
  out.set_nonce(context.nonces.issue(std::chrono::steady_clock::now()));
  codec::set_time(context.now(), *out.mutable_server_time());
  codec::set_time(context.now() + context.nonces.lifetime(), *out.mutable_expires());
  co_return out;
}

Answer<v1::JoinResponse> join(Context& context, io::HttpRequest& request) {
  const Result<std::shared_ptr<Joining>> read = read_join(context, request);
  if (read.has_error()) co_return read.error();
  const std::shared_ptr<Joining> in = *read;
  auto running = context.writer.run([in](Database& database) { return join_in(database, *in); },
                                    [&context, in] { apply_join(context, *in); });
  const Result<> done = co_await std::move(running);
  if (done.has_error()) co_return done.error();
  if (in->refusal) co_return *in->refusal;
  ++context.counters.joins;
  if (NodeRecord* node = context.nodes.find(in->node_id)) context.nodes.seen(*node, context.now(), {});
  v1::JoinResponse out;
  out.set_node_id(in->node_id);
  out.set_state(static_cast<v1::NodeState>(in->node.state));
  out.set_certificate_der(in->certificate);
  for (const std::string& ca : in->issuer->trusted)
    out.add_ca_certificates_der(ca);
  codec::set_time(context.now(), *out.mutable_server_time());
  if (in->node.state == State::pending) out.set_poll_seconds(kPollSeconds);
  co_return out;
}

Answer<v1::CertificateResponse> renew(Context& context, io::HttpRequest& request) {
  v1::RenewRequest in;
  if (const Result<> read = decode(request, in); read.has_error()) co_return read.error();
  Result<std::string> key = proven_key(context, "renew", in.nonce(), in.csr_der(), in.signature());
  if (key.has_error()) co_return std::move(key).error();
  auto job = std::make_shared<Reissue>();
  job->node_id = parameter(request, "id");
  if (io::node_id_of(*key) != job->node_id)
    co_return invalid("csrDer", "the request is for another key than the node's");
  if (const Result<> used = use_up(context, in.nonce()); used.has_error()) co_return used.error();
  job->key = std::move(*key);
  ++context.counters.renewals;
  co_return co_await reissue(context, std::move(job));
}

Answer<v1::CertificateResponse> rejoin(Context& context, io::HttpRequest& request) {
  v1::RejoinRequest in;
  if (const Result<> read = decode(request, in); read.has_error()) co_return read.error();
  Result<Speaker> speaker = speaker_of(request, in.boot_id(), in.start_id(), context.run);
  if (speaker.has_error()) co_return std::move(speaker).error();
  Result<std::string> key = proven_key(context, "rejoin", in.nonce(), in.csr_der(), in.signature());
  if (key.has_error()) co_return std::move(key).error();
  auto job = std::make_shared<Reissue>();
  job->node_id = io::node_id_of(*key);
  const Result<> checked = check_expired(context, in.expired_certificate_der(), *key, job->node_id);
  if (checked.has_error()) co_return checked.error();
  if (const Result<> used = use_up(context, in.nonce()); used.has_error()) co_return used.error();
  job->key = std::move(*key);
  job->speaker = std::move(*speaker);
  ++context.counters.rejoins;
  co_return co_await reissue(context, std::move(job));
}

}  // namespace omnitide::registry
