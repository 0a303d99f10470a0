// Trust over real TLS on loopback: pins, CAs, time, truncation.
#include <openssl/ssl.h>
#include <sys/socket.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <thread>

#include "agent/io/http_client.hpp"
#include "agent/io/http_server.hpp"
#include "agent/io/stream.hpp"
#include "tests/harness/catch.hpp"

using namespace omnitide;
using namespace omnitide::io;
namespace asio = boost::asio;
using namespace std::chrono_literals;

namespace {

struct Authority {
  PrivateKey key = *PrivateKey::generate();
  WallTime from, until;
  std::string certificate;
  explicit Authority(WallTime start = wall_now() - 1h, WallTime end = wall_now() + 24h) : from(start), until(end) {
    CertificateRequest request;
    request.common_name = "test CA";
    request.public_key_info = key.public_key_info();
    request.not_before = from;
    request.not_after = until;
    request.is_ca = true;
    certificate = *issue_certificate(request, {}, key);
  }
  [[nodiscard]] std::string issue(const PrivateKey& subject, std::string name, bool server, WallTime start,
                                  WallTime end) const {
    CertificateRequest request;
    request.common_name = std::move(name);
    request.organizational_unit = server ? "" : "node";
    request.public_key_info = subject.public_key_info();
    request.not_before = start;
    request.not_after = end;
    if (server) request.server_names = {"127.0.0.1", "localhost"};
    return *issue_certificate(request, certificate, key);
  }
};

// Answers every GET /whoami with the common name of the client's certificate.
class Served {
 public:
  explicit Served(const Authority& authority, WallTime from = wall_now() - 1h, WallTime until = wall_now() + 24h)
      : server_(context_,
                {{"GET", "/whoami",
                  [](HttpRequest& request) -> asio::awaitable<HttpResponse> {
                    HttpResponse out;
                    out.body = request.peer->certificate ? request.peer->certificate->common_name : "nobody";
                    co_return out;
                  }}},
                {}) {
    ServerTlsOptions options;
    options.key = *PrivateKey::generate();
    options.chain = {authority.issue(options.key, "server", true, from, until), authority.certificate};
    options.client_cas = {authority.certificate};
    options.client_auth = ClientAuth::optional;
    port_ = *server_.listen_tcp("127.0.0.1:0", *TlsContext::server(options));
    thread_ = std::thread([this] { context_.run(); });
  }
  ~Served() {
    asio::post(context_, [this] { server_.stop(); });
    thread_.join();
  }
  [[nodiscard]] Result<HttpResponse> ask(const ClientTlsOptions& tls) const { return ask(*TlsContext::client(tls)); }
  [[nodiscard]] Result<HttpResponse> ask(TlsContext tls) const {
    HttpRequest request;
    request.path = "/whoami";
    ClientOptions options;
    options.endpoint = "https://127.0.0.1:" + std::to_string(port_);
    options.tls = std::move(tls);
    options.timeout = 5s;
    return send_blocking(std::move(options), std::move(request));
  }

 private:
  asio::io_context context_{1};
  HttpServer server_;
  std::uint16_t port_ = 0;
  std::thread thread_;
};

ClientTlsOptions trusting(const Authority& authority, WallTime judged = wall_now()) {
  ClientTlsOptions out;
  out.trusted_cas = {authority.certificate};
  out.judged_at = judged;
  return out;
}

ClientTlsOptions pinning(const Authority& authority) {
  ClientTlsOptions out;
  out.ca_pin = sha256(authority.key.public_key_info());
  return out;
}

}  // namespace

TEST_CASE("a server of the trusted CA is believed, one of another CA is not") {
  const Authority ours, other;
  const Served served(ours);
  CHECK(served.ask(trusting(ours))->body == "nobody");
  const auto refused = served.ask(trusting(other));
  REQUIRE(refused.has_error());
  CHECK(refused.error().code == Code::unauthenticated);
}

TEST_CASE("PEM texts give CAs, a chain and its key; what does not fit together is refused") {
  const Authority ours, other;
  const Served served(ours);
  const PrivateKey key = *PrivateKey::generate();
  const std::string chain = to_pem(ours.issue(key, "node-7", false, wall_now() - 1h, wall_now() + 1h));
  const std::string cas = to_pem(other.certificate) + to_pem(ours.certificate);
  CHECK(served.ask(*TlsContext::client_from_pem(cas, {}, {}))->body == "nobody");
  CHECK(served.ask(*TlsContext::client_from_pem(cas, chain + cas, key.to_pem()))->body == "node-7");
  // Both in one file, as a kubelet keeps them.
  const std::string both = key.to_pem() + chain;
  CHECK(served.ask(*TlsContext::client_from_pem(cas, both, both))->body == "node-7");
  CHECK(served.ask(*TlsContext::client_from_pem(to_pem(other.certificate), {}, {})).error().code ==
        Code::unauthenticated);
  CHECK(served.ask(*TlsContext::client_from_pem({}, {}, {})).error().code == Code::unauthenticated);
  CHECK(TlsContext::client_from_pem(cas, chain, PrivateKey::generate()->to_pem()).has_error());
  CHECK(TlsContext::client_from_pem(cas, chain, "no key").has_error());
  CHECK(TlsContext::client_from_pem("no CA", {}, {}).has_error());
  CHECK(TlsContext::client_from_pem(cas, "no chain", key.to_pem()).has_error());
}

TEST_CASE("a pin is kept at any clock, and a wrong pin ends the handshake before a byte is sent") {
  const Authority ours(wall_now() - 48h, wall_now() - 24h), other;  // even an expired CA: the pin says whom to trust
  const Served served(ours, wall_now() - 48h, wall_now() - 24h);
  CHECK(served.ask(pinning(ours)).has_value());
  const auto refused = served.ask(pinning(other));
  REQUIRE(refused.has_error());
  CHECK(refused.error().code == Code::unauthenticated);
}

TEST_CASE("a leaf whose key is pinned is no CA") {
  const Authority ours;
  const Served served(ours);
  ClientTlsOptions tls;
  tls.ca_pin = sha256(PrivateKey::generate()->public_key_info());
  CHECK(served.ask(tls).has_error());
}

TEST_CASE("expiry is judged at the time given; not-yet-valid is not, since the time is a lower bound") {
  const Authority ours(wall_now() - 1h, wall_now() + 100h);
  const Served served(ours, wall_now() - 1h, wall_now() + 1h);
  CHECK(served.ask(trusting(ours, wall_now())).has_value());
  CHECK(served.ask(trusting(ours, WallTime{})).has_value());  // 1970
  const auto late = served.ask(trusting(ours, wall_now() + 2h));
  REQUIRE(late.has_error());
  CHECK(late.error().message.find("expired") != std::string::npos);
}

TEST_CASE("a client's certificate names it; a foreign one ends the handshake; an expired one is shown as such") {
  const Authority ours, other;
  const Served served(ours);
  const PrivateKey key = *PrivateKey::generate();
  ClientTlsOptions tls = trusting(ours);
  tls.key = key;
  tls.certificate = ours.issue(key, "n-abc", false, wall_now() - 1h, wall_now() + 1h);
  CHECK(served.ask(tls)->body == "n-abc");
  tls.certificate = ours.issue(key, "n-old", false, wall_now() - 2h, wall_now() - 1h);
  CHECK(served.ask(tls)->body == "n-old");
  tls.certificate = other.issue(key, "n-abc", false, wall_now() - 1h, wall_now() + 1h);
  CHECK(served.ask(tls).has_error());
  tls.certificate = ours.issue(*PrivateKey::generate(), "n-abc", false, wall_now() - 1h, wall_now() + 1h);
  CHECK(TlsContext::client(tls).has_error());  // the key is another's
}

TEST_CASE("a TLS stream that is cut without close_notify is data loss, not the end of an answer") {
  const Authority ours;
  ServerTlsOptions options;
  options.key = *PrivateKey::generate();
  options.chain = {ours.issue(options.key, "server", true, wall_now() - 1h, wall_now() + 1h), ours.certificate};
  const TlsContext server_tls = *TlsContext::server(options);
  asio::io_context context(1);
  asio::ip::tcp::acceptor acceptor(context, {asio::ip::make_address("127.0.0.1"), 0});
  // An answer without a length ends with the connection: only close_notify tells the end from a cut.
  asio::co_spawn(
      context,
      [&]() -> asio::awaitable<void> {
        asio::ip::tcp::socket socket = co_await acceptor.async_accept(asio::use_awaitable);
        Stream stream(StreamSocket(std::move(socket)));
        const Result<> shaken = co_await stream.accept_tls(server_tls);
        REQUIRE(shaken.has_value());
        const Result<> wrote = co_await stream.write_all("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nhalf");
        REQUIRE(wrote.has_value());
        ::shutdown(stream.socket().native_handle(), SHUT_WR);
        stream.abort(fail(Code::aborted, "cut"));
      },
      asio::detached);
  ClientOptions client_options;
  client_options.endpoint = "https://127.0.0.1:" + std::to_string(acceptor.local_endpoint().port());
  client_options.tls = *TlsContext::client(trusting(ours));
  client_options.timeout = 5s;
  HttpClient client(context, std::move(client_options));
  Result<HttpResponse> answer = HttpResponse{};
  asio::co_spawn(
      context,
      [&]() -> asio::awaitable<void> {
        HttpRequest request;
        request.path = "/";
        answer = co_await client.send(std::move(request));
      },
      asio::detached);
  context.run();
  REQUIRE(answer.has_error());
  CHECK(answer.error().code == Code::data_loss);
}

TEST_CASE("CSRs: only P-256 signed by its own key passes") {
  const PrivateKey key = *PrivateKey::generate();
  std::string csr = *make_csr(key, "n-x");
  CHECK(*csr_public_key(csr) == key.public_key_info());
  csr[csr.size() - 10] = static_cast<char>(csr[csr.size() - 10] ^ 1);
  CHECK(csr_public_key(csr).has_error());
  CHECK(csr_public_key("").has_error());
  CHECK(csr_public_key(std::string(10000, '\x30')).has_error());
}

TEST_CASE("signatures verify for their key, purpose and bytes only") {
  const PrivateKey key = *PrivateKey::generate();
  const std::string signature = *key.sign("hello");
  CHECK(verify_signature(key.public_key_info(), "hello", signature));
  CHECK_FALSE(verify_signature(key.public_key_info(), "hellO", signature));
  CHECK_FALSE(verify_signature(PrivateKey::generate()->public_key_info(), "hello", signature));
  CHECK_FALSE(verify_signature("junk", "hello", signature));
  CHECK_FALSE(verify_signature(key.public_key_info(), "hello", ""));
}
