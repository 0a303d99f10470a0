// TLS of the MQTT connection with Debian's mosquitto: who is trusted, and what is said of whom is not.
#include <boost/asio/steady_timer.hpp>
#include <fstream>

#include "agent/io/crypto.hpp"
#include "tests/harness/catch.hpp"
#include "tests/harness/fixture.hpp"
#include "tests/harness/mosquitto.hpp"
#include "tests/harness/mqtt_peer.hpp"
#include "tests/harness/tcp.hpp"

using namespace omnitide;
using namespace omnitide::io;
using namespace omnitide::test;
using namespace std::chrono_literals;

namespace {

// A CA and what it signs, as PEM files in the tree.
class Files {
 public:
  explicit Files(TempTree& tree, std::string prefix) : tree_(tree), prefix_(std::move(prefix)) {
    certificate_ = issue("the CA", key_, {}, wall_now() - 1h, wall_now() + 24h, true);
    tree_.file(prefix_ + "-ca.pem", to_pem(certificate_));
  }
  void server(const std::string& name, std::vector<std::string> hosts, WallTime from = wall_now() - 1h,
              WallTime until = wall_now() + 24h) {
    const PrivateKey key = *PrivateKey::generate();
    tree_.file(prefix_ + "-" + name + ".pem", to_pem(issue(name, key, std::move(hosts), from, until, false)));
    tree_.file(prefix_ + "-" + name + ".key", key.to_pem());
  }
  [[nodiscard]] std::string path(const std::string& name) const { return tree_.path() + "/" + prefix_ + "-" + name; }

 private:
  std::string issue(const std::string& name, const PrivateKey& key, std::vector<std::string> hosts, WallTime from,
                    WallTime until, bool ca) {
    CertificateRequest request;
    request.common_name = name;
    request.public_key_info = key.public_key_info();
    request.not_before = from;
    request.not_after = until;
    request.server_names = std::move(hosts);
    request.is_ca = ca;
    return *issue_certificate(request, certificate_, key_);
  }
  TempTree& tree_;
  std::string prefix_;
  PrivateKey key_ = *PrivateKey::generate();
  std::string certificate_;
};

// Debian's mosquitto knows a least version only: a greatest one is set in the way of OpenSSL.
class OpensslLimit {
 public:
  OpensslLimit(TempTree& tree, const std::string& version) {
    tree.file("openssl.cnf", "openssl_conf = a\n[a]\nssl_conf = b\n[b]\nsystem_default = c\n[c]\nMinProtocol = " +
                                 version + "\nMaxProtocol = " + version + "\nCipherString = DEFAULT@SECLEVEL=2\n");
    ::setenv("OPENSSL_CONF", (tree.path() + "/openssl.cnf").c_str(), 1);
  }
  ~OpensslLimit() { ::unsetenv("OPENSSL_CONF"); }
  OpensslLimit(const OpensslLimit&) = delete;
  OpensslLimit& operator=(const OpensslLimit&) = delete;
};

// With a broker of one version of TLS only.
std::unique_ptr<Mosquitto> broker_of(TempTree& tree, const std::string& version, const std::string& lines) {
  (void)PrivateKey::generate();  // so that this process has read its own configuration before
  const OpensslLimit limit(tree, version);
  return std::make_unique<Mosquitto>(tree.path(), lines);
}

std::string listener(const Files& files, const std::string& name, const std::string& more = {}) {
  return "allow_anonymous true\ncertfile " + files.path(name + ".pem") + "\nkeyfile " + files.path(name + ".key") +
         "\n" + more;
}

MqttOptions tls_options(std::uint16_t port, const Files& files) {
  MqttOptions out = options_for(port);
  out.tls.enabled = true;
  out.tls.ca_file = files.path("ca.pem");
  return out;
}

Error refusal(Loop& loop, const MqttOptions& options) {
  Connected peer(loop, options);
  const Result<> answer = peer.connect();
  REQUIRE(answer.has_error());
  return answer.error();
}

// Some messages there and back.
void exchange(Loop& loop, const MqttOptions& options) {
  Connected peer(loop, options);
  REQUIRE(peer.connect());
  REQUIRE(loop.run(peer.connection->subscribe({"t"}, 1)));
  for (int i = 0; i < 20; ++i)
    REQUIRE(peer.connection->publish("t", std::string(1'000, 'x'), 1, false));
  REQUIRE(loop.until([&peer] { return peer.messages.size() == 20; }));
  loop.run(peer.connection->disconnect(0, 2s));
}

}  // namespace

TEST_CASE("TLS 1.2 and 1.3, by address and by name") {
  TempTree tree;
  Files files(tree, "ours");
  files.server("broker", {"127.0.0.1", "localhost"});
  for (const std::string version : {"TLSv1.2", "TLSv1.3"}) {
    const auto broker = broker_of(tree, version, listener(files, "broker"));
    Loop loop;
    MqttOptions options = tls_options(broker->port(), files);
    exchange(loop, options);
    options.host = "localhost";
    exchange(loop, options);
    options.tls.allow_tls12 = false;
    if (version == "TLSv1.3") {
      exchange(loop, options);
    } else {
      const Error error = refusal(loop, options);
      INFO(error.text());
      CHECK(error.message.find("TLS") != std::string::npos);
    }
  }
}

TEST_CASE("a certificate that is not to be trusted is refused, and the cause is named") {
  TempTree tree;
  Files ours(tree, "ours"), other(tree, "other");
  ours.server("good", {"127.0.0.1", "localhost"});
  ours.server("expired", {"127.0.0.1"}, wall_now() - 48h, wall_now() - 24h);
  ours.server("early", {"127.0.0.1"}, wall_now() + 24h, wall_now() + 48h);
  ours.server("elsewhere", {"broker.example"});
  struct Case {
    const char* name;
    const char* words;
    bool other_ca, by_name;
  };
  const auto [name, words, other_ca, by_name] = GENERATE(
      Case{"good", "of an unknown CA", true, false}, Case{"expired", "has expired", false, false},
      Case{"early", "is not valid yet", false, false}, Case{"elsewhere", "is for another address", false, false},
      Case{"elsewhere", "is for another host", false, true});
  const Mosquitto broker(tree.path(), listener(ours, name));
  Loop loop;
  MqttOptions options = tls_options(broker.port(), other_ca ? other : ours);
  if (by_name) options.host = "localhost";
  const Error error = refusal(loop, options);
  INFO(error.text());
  CHECK(error.code == Code::unauthenticated);
  CHECK(error.message.find(words) != std::string::npos);
  CHECK(!error.hint.empty());
}

TEST_CASE("a client certificate opens the door, none is told to be wanted, and a strange one to be unknown") {
  TempTree tree;
  Files files(tree, "ours"), other(tree, "other");
  files.server("broker", {"127.0.0.1"});
  files.server("node", {});
  other.server("node", {});
  for (const std::string version : {"TLSv1.2", "TLSv1.3"}) {
    const auto broker = broker_of(
        tree, version, listener(files, "broker", "require_certificate true\ncafile " + files.path("ca.pem") + "\n"));
    Loop loop;
    MqttOptions options = tls_options(broker->port(), files);
    options.tls.certificate_file = files.path("node.pem");
    options.tls.key_file = files.path("node.key");
    exchange(loop, options);
    options.tls.certificate_file = other.path("node.pem");
    options.tls.key_file = other.path("node.key");
    Error error = refusal(loop, options);
    INFO(error.text());
    // In TLS 1.3 the broker's word may be lost: it comes after our last one, and the broker resets the connection.
    CHECK((error.message.find("it does not know the CA of our certificate") != std::string::npos ||
           error.hint.find("client certificate") != std::string::npos));
    options.tls.certificate_file = options.tls.key_file = "";
    error = refusal(loop, options);
    INFO(error.text());
    CHECK(error.text().find("client certificate") != std::string::npos);
    options.tls.certificate_file = files.path("node.pem");
    options.tls.key_file = other.path("node.key");
    CHECK(refusal(loop, options).code == Code::failed_precondition);
    options.tls.certificate_file = files.path("missing.pem");
    CHECK(refusal(loop, options).message.find("missing.pem") != std::string::npos);
  }
}

TEST_CASE("a pre-shared key serves instead of certificates, in TLS 1.2 and 1.3") {
  TempTree tree;
  tree.file("psk", "node:00112233445566778899aabbccddeeff\n");
  for (const std::string version : {"TLSv1.2", "TLSv1.3"}) {
    const auto broker =
        broker_of(tree, version, "allow_anonymous true\npsk_hint omnitide\npsk_file " + tree.path() + "/psk\n");
    Loop loop;
    MqttOptions options = options_for(broker->port());
    options.tls.enabled = true;
    options.tls.psk_identity = "node";
    options.tls.psk_hex = "00112233445566778899aabbccddeeff";
    exchange(loop, options);
    options.tls.psk_hex = "ff112233445566778899aabbccddeeff";
    Error error = refusal(loop, options);
    INFO(error.text());
    CHECK(error.message.find("TLS") != std::string::npos);
    options.tls.psk_hex = "no hex";
    CHECK(refusal(loop, options).code == Code::invalid_argument);
  }
}

TEST_CASE("TLS with a plain broker, and with one that never says a word, ends without a busy loop") {
  TempTree tree;
  Files files(tree, "ours");
  Loop loop;
  const Mosquitto plain(tree.path());
  MqttOptions options = tls_options(plain.port(), files);
  const Error error = refusal(loop, options);
  INFO(error.text());
  CHECK(error.code == Code::unavailable);

  const UniqueFd silent(bound_socket(SOCK_STREAM, "127.0.0.1", 0, 4));
  sockaddr_in address{};
  socklen_t size = sizeof address;
  ::getsockname(silent.get(), reinterpret_cast<sockaddr*>(&address), &size);
  options.port = ntohs(address.sin_port);
  options.connect_timeout = 1s;
  Connected peer(loop, options);
  std::optional<Result<>> answer;
  boost::asio::co_spawn(loop.context, peer.connection->connect(),
                        [&answer](std::exception_ptr, Result<> result) { answer = std::move(result); });
  std::size_t turns = 0;
  const auto deadline = std::chrono::steady_clock::now() + 5s;
  while (!answer && std::chrono::steady_clock::now() < deadline) {
    loop.context.restart();
    turns += loop.context.run_one_for(100ms);
  }
  REQUIRE(answer);
  REQUIRE(answer->has_error());
  CHECK(answer->error().message.find("the TLS handshake did not end in time") != std::string::npos);
  CHECK(turns < 40);
}

TEST_CASE("a reset within the handshake ends it at once") {
  TempTree tree;
  Files files(tree, "ours");
  const UniqueFd door(bound_socket(SOCK_STREAM, "127.0.0.1", 0, 4));
  sockaddr_in address{};
  socklen_t size = sizeof address;
  ::getsockname(door.get(), reinterpret_cast<sockaddr*>(&address), &size);
  std::thread rude([&door] {
    const int fd = ::accept4(door.get(), nullptr, nullptr, SOCK_CLOEXEC);
    char byte = 0;
    (void)!::read(fd, &byte, 1);
    test::reset(fd);
  });
  Loop loop;
  const auto before = std::chrono::steady_clock::now();
  const Error error = refusal(loop, tls_options(ntohs(address.sin_port), files));
  rude.join();
  INFO(error.text());
  CHECK(error.code == Code::unavailable);
  CHECK(std::chrono::steady_clock::now() - before < 2s);
}

TEST_CASE("the first message of TLS names the host that is configured, not the address it was found at") {
  TempTree tree;
  Files files(tree, "ours");
  for (const std::string host : {"localhost", "127.0.0.1"}) {
    const UniqueFd door(bound_socket(SOCK_STREAM, "127.0.0.1", 0, 4));
    sockaddr_in address{};
    socklen_t size = sizeof address;
    ::getsockname(door.get(), reinterpret_cast<sockaddr*>(&address), &size);
    std::string hello(4'096, '\0');
    std::thread listener_thread([&door, &hello] {
      const UniqueFd fd(::accept4(door.get(), nullptr, nullptr, SOCK_CLOEXEC));
      const ssize_t got = ::read(fd.get(), hello.data(), hello.size());
      hello.resize(static_cast<std::size_t>(std::max<ssize_t>(got, 0)));
    });
    Loop loop;
    MqttOptions options = tls_options(ntohs(address.sin_port), files);
    options.host = host;
    (void)refusal(loop, options);
    listener_thread.join();
    REQUIRE(!hello.empty());
    CHECK((hello.find("localhost") != std::string::npos) == (host == "localhost"));
    CHECK(hello.find("127.0.0.1") == std::string::npos);
  }
}
