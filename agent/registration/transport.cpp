#include "agent/registration/transport.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>

#include "agent/base/file.hpp"
#include "agent/base/log.hpp"
#include "agent/base/text.hpp"
#include "agent/codec/time.hpp"
#include "agent/registration/join_token.hpp"
#include "omnitide/node/v1/registration.pb.h"

namespace omnitide::registration {

namespace asio = boost::asio;
namespace v1 = node::v1;

namespace {

constexpr std::string_view kProtobuf = "application/x-protobuf";
constexpr std::size_t kMaxToken = 4096;
constexpr std::chrono::hours kLongestRetryAfter{1};
// Of a desired state on the wire: its texts, and room for what frames them.
constexpr std::size_t kMostAnswer = kMostDesired + (1U << 20U);
constexpr std::chrono::minutes kLongestFetch{5};  // meanwhile there are no heartbeats

Failed failed(Error error) {
  return Failed{.error = std::move(error), .retry_after = {}, .known_generation = {}, .by_registry = false};
}

Failed failed(const io::HttpResponse& response) {
  Failed out = failed(io::error_from_response(response));
  out.by_registry = true;
  if (const auto seconds = parse_number<std::uint32_t>(response.header("retry-after"))) {
    out.retry_after = std::min<std::chrono::milliseconds>(std::chrono::seconds{*seconds}, kLongestRetryAfter);
  }
  out.known_generation = parse_number<std::uint64_t>(response.header("omnitide-generation"));
  return out;
}

template <class Message>
std::optional<Failed> read(const Result<io::HttpResponse>& response, Message& message) {
  if (response.has_error()) return failed(response.error());
  if (response->status != 200) return failed(*response);
  if (message.ParseFromString(response->body)) return std::nullopt;
  return failed(fail(Code::data_loss, "the registry's answer is not of the contract"));
}

Validity validity_of(const Identity& identity) { return identity.credentials()->validity; }

std::vector<std::string> strings(const google::protobuf::RepeatedPtrField<std::string>& in) {
  return {in.begin(), in.end()};
}

}  // namespace

Transport::Transport(asio::io_context& context, Options options, Identity& identity)
    : context_(context), options_(std::move(options)), identity_(identity) {}

bool Transport::has_token() const { return why_no_token().empty(); }

std::string Transport::why_no_token() const {
  if (options_.token_file.empty()) return "registration.token_file is not set";
  if (::access(options_.token_file.c_str(), R_OK) == 0) return {};
  return fail_errno(errno, options_.token_file).message;
}

void Transport::cancel() {
  if (client_) client_->cancel();
}

// A connection proves one thing for its whole life; another proof or another trust is another connection.
Result<> Transport::use(Trust trust, const std::string& pin, WallTime judged) {
  if (client_ && client_->connected() && trust_ == trust) return {};
  io::ClientTlsOptions tls;
  tls.judged_at = judged;
  if (trust == Trust::pinned) {
    tls.ca_pin = pin;
  } else {
    tls.trusted_cas = identity_.credentials()->cas;
  }
  if (trust == Trust::mutual) {
    tls.certificate = identity_.credentials()->certificate;
    tls.key = identity_.key();
  }
  Result<io::TlsContext> context = io::TlsContext::client(tls);
  if (context.has_error()) return std::move(context).error();
  client_ = std::make_unique<io::HttpClient>(
      context_, io::ClientOptions{
                    .endpoint = options_.endpoint, .tls = *context, .timeout = options_.timeout, .local_address = {}});
  trust_ = trust;
  return {};
}

asio::awaitable<Result<io::HttpResponse>> Transport::post(std::string method, std::string path, std::string body) {
  io::HttpRequest request;
  request.method = std::move(method);
  request.path = std::move(path);
  request.headers = {{"Content-Type", std::string(kProtobuf)}, {"Accept", std::string(kProtobuf)}};
  request.body = std::move(body);
  co_return co_await client_->send(std::move(request));
}

asio::awaitable<Result<std::string>> Transport::nonce() {
  const bool fresh = !client_->connected();
  const Result<io::HttpResponse> response = co_await post("POST", "/v1/nonce", {});
  if (fresh) certificate_time_ += client_->handshake_time();
  v1::NonceResponse answer;
  if (const auto problem = read(response, answer)) co_return problem->error;
  co_return answer.nonce();
}

Result<Transport::Proof> Transport::prove(const char* purpose, const std::string& nonce) {
  const auto before = std::chrono::steady_clock::now();
  const Result<std::string> csr = io::make_csr(identity_.key(), identity_.node_id());
  if (csr.has_error()) return csr.error();
  std::string text = fmt::format("omnitide.node.v1 {}", purpose);
  text.push_back('\0');
  text += nonce + io::sha256(*csr);
  const Result<std::string> signature = identity_.key().sign(text);
  if (signature.has_error()) return signature.error();
  certificate_time_ += std::chrono::steady_clock::now() - before;
  return Proof{*csr, *signature};
}

// A certificate that cannot reach the disk serves from memory until the agent ends.
Result<> Transport::keep(const std::string& certificate, std::vector<std::string> cas) {
  Result<> stored = identity_.store_credentials(certificate, std::move(cas));
  const bool in_use = identity_.credentials() && identity_.credentials()->certificate == certificate;
  if (stored.has_value() || !in_use) return stored;
  log::warning(log::Part::registration, "the certificate could not be kept on disk, going on with it in memory",
               {{"reason", stored.error().message}});
  return {};
}

asio::awaitable<Outcome> Transport::join(std::shared_ptr<const Statement> statement, WallTime judged) {
  const Result<std::string> text = read_file(options_.token_file, kMaxToken);
  if (text.has_error()) co_return failed(text.error());
  const Result<JoinToken> token = parse_join_token(*text);
  if (token.has_error()) co_return failed(Error(token.error()).within(options_.token_file));
  if (const Result<> ready = use(Trust::pinned, token->ca_pin, judged); ready.has_error())
    co_return failed(ready.error());
  const Result<std::string> challenge = co_await nonce();
  if (challenge.has_error()) co_return failed(challenge.error());
  const Result<Proof> proof = prove("join", *challenge);
  if (proof.has_error()) co_return failed(proof.error());
  v1::JoinRequest request;
  request.set_token(token->credential);
  request.set_nonce(*challenge);
  request.set_csr_der(proof->csr);
  request.set_signature(proof->signature);
  request.set_boot_id(statement->incarnation.boot_id);
  request.set_start_id(statement->incarnation.start_id);
  request.set_hostname(statement->hostname);
  request.mutable_labels()->insert(statement->labels.begin(), statement->labels.end());
  const Result<io::HttpResponse> response = co_await post("POST", "/v1/join", request.SerializeAsString());
  v1::JoinResponse answer;
  if (auto problem = read(response, answer)) co_return std::move(*problem);
  Joined out{.pending = answer.state() == v1::NODE_STATE_PENDING,
             .certificate = {},
             .server_time = codec::time_of(answer.server_time()),
             .poll = std::chrono::seconds{answer.poll_seconds()}};
  if (out.pending) co_return out;
  if (const Result<> kept = keep(answer.certificate_der(), strings(answer.ca_certificates_der())); kept.has_error()) {
    co_return failed(kept.error());
  }
  out.certificate = validity_of(identity_);
  client_->close();
  co_return out;
}

asio::awaitable<Outcome> Transport::rejoin(std::shared_ptr<const Statement> statement, WallTime judged) {
  if (const Result<> ready = use(Trust::known_ca, {}, judged); ready.has_error()) co_return failed(ready.error());
  const Result<std::string> challenge = co_await nonce();
  if (challenge.has_error()) co_return failed(challenge.error());
  const Result<Proof> proof = prove("rejoin", *challenge);
  if (proof.has_error()) co_return failed(proof.error());
  v1::RejoinRequest request;
  request.set_nonce(*challenge);
  request.set_csr_der(proof->csr);
  request.set_signature(proof->signature);
  request.set_expired_certificate_der(identity_.credentials()->certificate);
  request.set_boot_id(statement->incarnation.boot_id);
  request.set_start_id(statement->incarnation.start_id);
  const Result<io::HttpResponse> response = co_await post("POST", "/v1/rejoin", request.SerializeAsString());
  v1::CertificateResponse answer;
  if (auto problem = read(response, answer)) co_return std::move(*problem);
  if (const Result<> kept = keep(answer.certificate_der(), strings(answer.ca_certificates_der())); kept.has_error()) {
    co_return failed(kept.error());
  }
  client_->close();
  co_return Renewed{validity_of(identity_), codec::time_of(answer.server_time())};
}

asio::awaitable<Outcome> Transport::renew(WallTime judged) {
  if (const Result<> ready = use(Trust::mutual, {}, judged); ready.has_error()) co_return failed(ready.error());
  const Result<std::string> challenge = co_await nonce();
  if (challenge.has_error()) co_return failed(challenge.error());
  const Result<Proof> proof = prove("renew", *challenge);
  if (proof.has_error()) co_return failed(proof.error());
  v1::RenewRequest request;
  request.set_nonce(*challenge);
  request.set_csr_der(proof->csr);
  request.set_signature(proof->signature);
  const Result<io::HttpResponse> response =
      co_await post("POST", fmt::format("/v1/nodes/{}/renew", identity_.node_id()), request.SerializeAsString());
  v1::CertificateResponse answer;
  if (auto problem = read(response, answer)) co_return std::move(*problem);
  if (const Result<> kept = keep(answer.certificate_der(), strings(answer.ca_certificates_der())); kept.has_error()) {
    co_return failed(kept.error());
  }
  // The next request shows the new certificate.
  client_->close();
  co_return Renewed{validity_of(identity_), codec::time_of(answer.server_time())};
}

namespace {

Outcome acknowledged(const Result<io::HttpResponse>& response) {
  v1::NodeAck answer;
  if (auto problem = read(response, answer)) return std::move(*problem);
  return Acknowledged{.generation = answer.generation(),
                      .heartbeat_interval_seconds = answer.heartbeat_interval_seconds(),
                      .send_facts = answer.send_facts(),
                      .send_conditions = answer.send_conditions(),
                      .renew_now = answer.renew_now(),
                      .server_time = codec::time_of(answer.server_time()),
                      .desired_version = answer.desired_version(),
                      .labels_version = answer.labels_version(),
                      .labels = {answer.labels().begin(), answer.labels().end()},
                      .desired_sha256 = answer.desired_sha256()};
}

void fill(const Statement& statement, v1::DesiredStateReport& out) {
  out.set_held_version(statement.held->version);
  out.set_held_sha256(statement.held->sha256);
  out.set_applied_version(statement.applied.version);
  out.set_applied_sha256(statement.applied.sha256);
  out.set_faults(statement.applied.faults);
  out.set_first_fault(statement.applied.first_fault);
}

// The digest is of what came, not of what is said about it.
Outcome fetched(const std::string& body) {
  v1::DesiredState answer;
  if (!answer.ParseFromString(body))
    return failed(fail(Code::data_loss, "the registry's answer is not of the contract"));
  auto state = std::make_shared<DesiredState>();
  state->version = answer.version();
  state->sha256 = answer.sha256();
  std::size_t bytes = 0;
  for (v1::DesiredDocument& document : *answer.mutable_documents()) {
    bytes += document.name().size() + document.text().size();
    state->documents.push_back({std::move(*document.mutable_name()), std::move(*document.mutable_text())});
  }
  if (bytes > kMostDesired) {
    return failed(fail(Code::resource_exhausted, fmt::format("the desired state has {}, more than {}",
                                                             human_bytes(bytes), human_bytes(kMostDesired))));
  }
  if (content_sha256(state->documents) != state->sha256) {
    return failed(fail(Code::data_loss, "the desired state that came is not the one that its digest names"));
  }
  return Fetched{std::move(state)};
}

}  // namespace

asio::awaitable<Outcome> Transport::put(Step step, std::shared_ptr<const Statement> statement, WallTime judged) {
  if (const Result<> ready = use(Trust::mutual, {}, judged); ready.has_error()) co_return failed(ready.error());
  v1::PutNodeRequest request;
  request.set_boot_id(statement->incarnation.boot_id);
  request.set_start_id(statement->incarnation.start_id);
  request.set_generation(step.generation);
  request.set_facts_sha256(statement->facts_sha256);
  request.set_conditions_sha256(statement->conditions_sha256);
  if (step.with_facts) request.set_facts(statement->facts);
  if (step.with_conditions && !statement->conditions_sha256.empty()) request.set_conditions(statement->conditions);
  request.set_agent_version(statement->agent_version);
  request.set_hostname(statement->hostname);
  request.mutable_labels()->insert(statement->labels.begin(), statement->labels.end());
  const bool fresh = !client_->connected();
  const Result<io::HttpResponse> response =
      co_await post("PUT", fmt::format("/v1/nodes/{}", identity_.node_id()), request.SerializeAsString());
  if (fresh) certificate_time_ += client_->handshake_time();
  co_return acknowledged(response);
}

asio::awaitable<Outcome> Transport::heartbeat(Step step, std::shared_ptr<const Statement> statement, WallTime judged) {
  if (const Result<> ready = use(Trust::mutual, {}, judged); ready.has_error()) co_return failed(ready.error());
  v1::HeartbeatRequest request;
  request.set_boot_id(statement->incarnation.boot_id);
  request.set_start_id(statement->incarnation.start_id);
  request.set_generation(step.generation);
  request.set_facts_sha256(statement->facts_sha256);
  request.set_conditions_sha256(statement->conditions_sha256);
  fill(*statement, *request.mutable_desired());
  const Result<io::HttpResponse> response =
      co_await post("POST", fmt::format("/v1/nodes/{}/heartbeat", identity_.node_id()), request.SerializeAsString());
  co_return acknowledged(response);
}

asio::awaitable<Outcome> Transport::fetch(std::shared_ptr<const Statement> statement, WallTime judged) {
  if (const Result<> ready = use(Trust::mutual, {}, judged); ready.has_error()) co_return failed(ready.error());
  io::HttpRequest request;
  request.path = fmt::format("/v1/nodes/{}/desired-state", identity_.node_id());
  request.headers = {{"Accept", std::string(kProtobuf)}};
  if (!statement->held->sha256.empty()) {
    request.headers.emplace_back("If-None-Match", fmt::format("\"{}\"", hex_encode(statement->held->sha256)));
  }
  // As a stream: the time-out then counts from byte to byte, and a slow link may take its time for megabytes.
  std::string body;
  const auto give_up_at = std::chrono::steady_clock::now() + kLongestFetch;
  const auto take = [&body, give_up_at](std::string_view bytes) {
    body += bytes;
    return body.size() <= kMostAnswer && std::chrono::steady_clock::now() < give_up_at;
  };
  const Result<io::HttpResponse> response = co_await client_->stream(std::move(request), take);
  if (response.has_error()) co_return failed(response.error());
  if (response->status == 304) co_return Fetched{};
  if (response->status != 200) co_return failed(*response);
  if (body.size() > kMostAnswer) {
    co_return failed(fail(Code::resource_exhausted, "the desired state that the registry sends is too large"));
  }
  if (std::chrono::steady_clock::now() >= give_up_at) {
    co_return failed(fail(Code::deadline_exceeded, "the desired state did not come in time"));
  }
  co_return fetched(body);
}

asio::awaitable<Result<RebootAnswer>> Transport::lease_reboot(std::string boot_id, WallTime judged) {
  if (!identity_.credentials()) co_return fail(Code::unavailable, "the node has not joined a registry");
  if (Result<> ready = use(Trust::mutual, {}, judged); ready.has_error()) co_return std::move(ready).error();
  v1::RebootLeaseRequest request;
  request.set_boot_id(std::move(boot_id));
  const Result<io::HttpResponse> response =
      co_await post("POST", fmt::format("/v1/nodes/{}/reboot-lease", identity_.node_id()), request.SerializeAsString());
  if (response.has_error()) co_return response.error();
  // One that knows no such leases, or is in trouble itself, has not said no. All else that is no grant is a no.
  constexpr unsigned kNotFound = 404, kServerTrouble = 500;
  if (response->status == kNotFound || response->status >= kServerTrouble)
    co_return fail(Code::unavailable, fmt::format("the registry answers with {}", response->status));
  v1::RebootLease answer;
  const bool granted = !read(response, answer) && answer.granted();
  co_return granted ? RebootAnswer::granted : RebootAnswer::refused;
}

asio::awaitable<Outcome> Transport::perform(Step step, std::shared_ptr<const Statement> statement, WallTime judged) {
  if (step.verb == Verb::join) co_return co_await join(statement, judged);
  if (step.verb == Verb::rejoin) co_return co_await rejoin(statement, judged);
  if (step.verb == Verb::renew) co_return co_await renew(judged);
  if (step.verb == Verb::fetch) co_return co_await fetch(statement, judged);
  if (step.verb == Verb::put) co_return co_await put(step, statement, judged);
  co_return co_await heartbeat(step, statement, judged);
}

}  // namespace omnitide::registration
