// A real registry with devices and operators that speak to it over TLS, on one loop that the test pumps. Used by unit
// and integration tests and by benchmarks of the registry.
#pragma once

#include <google/protobuf/message_lite.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <chrono>
#include <csignal>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "agent/base/file.hpp"
#include "agent/base/random.hpp"
#include "agent/base/text.hpp"
#include "agent/io/crypto.hpp"
#include "agent/io/http_client.hpp"
#include "agent/registry/registry.hpp"
#include "omnitide/node/v1/registration.pb.h"
#include "omnitide/node/v1/registry.pb.h"

namespace omnitide::test {

namespace v1 = omnitide::node::v1;

template <class T>
T must(Result<T> result) {
  if (result.has_error()) throw std::runtime_error(result.error().text());
  if constexpr (!std::is_void_v<T>) return std::move(*result);
}

// Runs a coroutine to its end on the loop.
template <class T>
T pump(boost::asio::io_context& loop, boost::asio::awaitable<T> work) {
  std::optional<T> out;
  std::exception_ptr thrown;
  boost::asio::co_spawn(loop, std::move(work), [&](std::exception_ptr problem, T value) {
    thrown = problem;
    out.emplace(std::move(value));
  });
  loop.restart();
  while (!out && loop.run_one() != 0) {
  }
  if (thrown) std::rethrow_exception(thrown);
  if (!out) throw std::runtime_error("the loop ended before the work did");
  return std::move(*out);
}

struct Folder {
  Folder() {
    std::string name = (std::filesystem::temp_directory_path() / "omnitide-registry-XXXXXX").string();
    if (::mkdtemp(name.data()) == nullptr) throw std::runtime_error("cannot make a temporary folder");
    path = name;
  }
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;
  ~Folder() {
    std::error_code ignored;
    std::filesystem::remove_all(path, ignored);
  }
  std::string path;
};

// An answer: status, headers, and the body as a message or an error.
struct Reply {
  io::HttpResponse http;
  [[nodiscard]] unsigned status() const { return http.status; }
  [[nodiscard]] Error error() const { return io::error_from_response(http); }
  template <class T>
  [[nodiscard]] T as() const {
    T out;
    if (http.status != 200) throw std::runtime_error(std::to_string(http.status) + ": " + http.body);
    if (!out.ParseFromString(http.body)) throw std::runtime_error("not a " + out.GetTypeName());
    return out;
  }
};

class Caller {
 public:
  Caller(boost::asio::io_context& loop, io::ClientOptions options) : loop_(&loop), client_(loop, std::move(options)) {}

  [[nodiscard]] static io::HttpRequest request(const std::string& method, const std::string& path,
                                               const google::protobuf::MessageLite* body = nullptr) {
    io::HttpRequest out;
    out.method = method;
    const std::size_t mark = path.find('?');
    out.path = path.substr(0, mark);
    if (mark != std::string::npos) {
      for (const std::string_view pair : split(std::string_view(path).substr(mark + 1), '&')) {
        const std::size_t equals = pair.find('=');
        out.query.emplace(pair.substr(0, equals), pair.substr(equals + 1));
      }
    }
    out.headers = {{"accept", "application/x-protobuf"}};
    if (body != nullptr) {
      out.headers.emplace_back("content-type", "application/x-protobuf");
      body->SerializeToString(&out.body);
    }
    return out;
  }
  Result<Reply> try_send(io::HttpRequest message) {
    Result<io::HttpResponse> got = pump(*loop_, client_.send(std::move(message)));
    if (got.has_error()) return std::move(got).error();
    return Reply{std::move(*got)};
  }
  Reply send(io::HttpRequest message) { return must(try_send(std::move(message))); }
  Reply call(const std::string& method, const std::string& path, const google::protobuf::MessageLite* body = nullptr) {
    return send(request(method, path, body));
  }
  io::HttpClient& client() { return client_; }

 private:
  boost::asio::io_context* loop_;
  io::HttpClient client_;
};

// Time that a test moves.
struct TestClock {
  std::shared_ptr<std::chrono::milliseconds> offset = std::make_shared<std::chrono::milliseconds>(0);
  void advance(std::chrono::milliseconds by) const { *offset += by; }
  [[nodiscard]] WallTime now() const { return wall_now() + *offset; }
};

// A registry somewhere and the ways to speak to it.
class Plane {
 public:
  Plane() { std::signal(SIGPIPE, SIG_IGN); }  // as the programs do: OpenSSL writes without MSG_NOSIGNAL
  Plane(const Plane&) = delete;
  Plane& operator=(const Plane&) = delete;
  virtual ~Plane() = default;
  [[nodiscard]] virtual std::string url() const = 0;

  [[nodiscard]] std::vector<std::string> trusted() const {
    if (!trusted_now.empty()) return trusted_now;
    return must(io::certificates_from_pem(must(read_file(folder.path + "/ca.crt"))));
  }
  [[nodiscard]] io::ClientOptions client_options(const io::ClientTlsOptions& tls) const {
    io::ClientOptions out;
    out.endpoint = url();
    out.tls = must(io::TlsContext::client(tls));
    return out;
  }
  // What a client with a certificate, or none, proves and trusts.
  [[nodiscard]] io::ClientTlsOptions tls_options(const std::string& certificate_der = {},
                                                 const io::PrivateKey& key = {}) const {
    io::ClientTlsOptions tls;
    tls.trusted_cas = trusted();
    tls.certificate = certificate_der;
    tls.key = key;
    tls.judged_at = clock.now();
    return tls;
  }
  [[nodiscard]] Caller caller(const std::string& certificate_der = {}, const io::PrivateKey& key = {}) {
    return caller_by(tls_options(certificate_der, key));
  }
  [[nodiscard]] Caller caller_by(const io::ClientTlsOptions& tls) { return Caller(loop, client_options(tls)); }
  [[nodiscard]] Caller admin() {
    const std::string stem = folder.path + "/operator/operator";
    const auto certificates = must(io::certificates_from_pem(must(read_file(stem + ".crt"))));
    return caller(certificates.front(), must(io::PrivateKey::from_pem(must(read_file(stem + ".key")))));
  }
  // A value of /metrics; `name` without "omnitide_registry_".
  std::uint64_t metric(const std::string& name) {
    const std::string text = admin().call("GET", "/metrics").http.body, wanted = "\nomnitide_registry_" + name + " ";
    const std::size_t at = text.find(wanted);
    if (at == std::string::npos) throw std::runtime_error("there is no metric " + name);
    const std::size_t begin = at + wanted.size();
    return parse_number<std::uint64_t>(text.substr(begin, text.find('\n', begin) - begin)).value();
  }
  // "ID.SECRET" of a new token.
  std::string token(const v1::CreateTokenRequest& request) {
    const v1::Token made = admin().call("POST", "/v1/tokens", &request).as<v1::Token>();
    const std::vector<std::string_view> parts = split(made.secret(), '.');
    return std::string(parts.at(1)) + "." + std::string(parts.at(2));
  }
  std::string token(std::uint32_t uses = 100) {
    v1::CreateTokenRequest request;
    request.set_uses(uses);
    return token(request);
  }

  Folder folder;
  TestClock clock;
  boost::asio::io_context loop{1};
  std::vector<std::string> trusted_now;  // after a roll-over; empty: ca.crt
};

// A registry in this process, on the test's loop. `prepare` runs before the folder is filled.
class ControlPlane : public Plane {
 public:
  explicit ControlPlane(const std::function<void(registry::Options&)>& adjust = {},
                        const std::function<void(const std::string&)>& prepare = {}) {
    if (prepare) prepare(folder.path);
    must(registry::init({.dir = folder.path, .operator_name = "admin", .operator_days = 365, .clock = wall_now}));
    options.dir = folder.path;
    options.listen = "127.0.0.1:0";
    options.stranger_rate = 0;
    options.clock = [clock = clock] { return clock.now(); };
    if (adjust) adjust(options);
    start();
  }
  ~ControlPlane() override { stop(); }
  [[nodiscard]] std::string url() const override { return running->url(); }

  void start() {
    running = must(registry::Registry::open(loop, options));
    (void)must(running->listen());
  }
  void stop() {
    if (running) running->stop();
    running.reset();
    loop.restart();
    while (loop.poll_one() != 0) {
    }
  }
  void restart() {
    stop();
    start();
  }

  registry::Options options;
  std::unique_ptr<registry::Registry> running;
};

class Device {
 public:
  explicit Device(Plane& plane) : plane_(plane), key(must(io::PrivateKey::generate())) {
    id = io::node_id_of(key.public_key_info());
  }
  // A clone: the same key and certificate on another machine.
  Device copy() const { return *this; }

  [[nodiscard]] std::string nonce() { return stranger().call("POST", "/v1/nonce").as<v1::NonceResponse>().nonce(); }
  [[nodiscard]] std::string sign(const std::string& purpose, const std::string& nonce, const std::string& csr) const {
    std::string text = "omnitide.node.v1 " + purpose;
    text.push_back('\0');
    return must(key.sign(text + nonce + io::sha256(csr)));
  }
  template <class T>
  void prove(T& request, const std::string& purpose) {
    prove_by(request, purpose, nonce());
  }
  template <class T>
  void prove_by(T& request, const std::string& purpose, const std::string& server_nonce) const {
    request.set_nonce(server_nonce);
    request.set_csr_der(must(io::make_csr(key, id)));
    request.set_signature(sign(purpose, server_nonce, request.csr_der()));
  }
  [[nodiscard]] v1::JoinRequest join_request(const std::string& token) { return join_request_by(token, nonce()); }
  [[nodiscard]] v1::JoinRequest join_request_by(const std::string& token, const std::string& server_nonce) const {
    v1::JoinRequest out;
    out.set_token(token);
    prove_by(out, "join", server_nonce);
    out.set_boot_id(boot);
    out.set_start_id(start);
    out.set_hostname("device");
    return out;
  }
  Reply try_join(const std::string& token) {
    const v1::JoinRequest request = join_request(token);
    Reply reply = stranger().call("POST", "/v1/join", &request);
    if (reply.status() == 200) {
      const auto answer = reply.as<v1::JoinResponse>();
      if (!answer.certificate_der().empty()) certificate = answer.certificate_der();
    }
    return reply;
  }
  v1::JoinResponse join(const std::string& token) { return try_join(token).as<v1::JoinResponse>(); }
  Reply renew() {
    v1::RenewRequest request;
    prove(request, "renew");
    Reply reply = connection().call("POST", "/v1/nodes/" + id + "/renew", &request);
    if (reply.status() == 200) certificate = reply.as<v1::CertificateResponse>().certificate_der();
    return reply;
  }
  Reply rejoin() {
    v1::RejoinRequest request;
    prove(request, "rejoin");
    request.set_expired_certificate_der(certificate);
    request.set_boot_id(boot);
    request.set_start_id(start);
    Reply reply = stranger().call("POST", "/v1/rejoin", &request);
    if (reply.status() == 200) certificate = reply.as<v1::CertificateResponse>().certificate_der();
    return reply;
  }
  [[nodiscard]] v1::PutNodeRequest put_request(const std::string& facts_bytes) const {
    v1::PutNodeRequest out;
    out.set_boot_id(boot);
    out.set_start_id(start);
    out.set_generation(generation);
    out.set_facts_sha256(io::sha256(facts_bytes));
    out.set_facts(facts_bytes);
    out.set_hostname("device");
    out.set_agent_version("1.0");
    return out;
  }
  Reply put(const v1::PutNodeRequest& request) { return connection().call("PUT", "/v1/nodes/" + id, &request); }
  Reply heartbeat(const std::string& facts_bytes = {}) {
    v1::HeartbeatRequest request;
    request.set_boot_id(boot);
    request.set_start_id(start);
    request.set_generation(generation);
    if (!facts_bytes.empty()) request.set_facts_sha256(io::sha256(facts_bytes));
    return connection().call("POST", "/v1/nodes/" + id + "/heartbeat", &request);
  }
  // Kept until reconnect().
  Caller& connection() {
    if (!connection_) connection_ = std::make_shared<Caller>(plane_.caller(certificate, key));
    return *connection_;
  }
  void reconnect() { connection_.reset(); }

 private:
  Caller stranger() { return plane_.caller(); }
  Plane& plane_;
  std::shared_ptr<Caller> connection_;

 public:
  io::PrivateKey key;
  std::string id, certificate;
  std::string boot = "boot-" + hex_encode(random_bytes(6)), start = "start-" + hex_encode(random_bytes(6));
  std::uint64_t generation = 1;
};

}  // namespace omnitide::test
