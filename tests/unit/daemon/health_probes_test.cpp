// Checks of the operator's against real files, sockets, servers and programs; how they run beside each other.
#include "agent/daemon/health_probes.hpp"

#include <sys/stat.h>
#include <unistd.h>

#include <boost/asio/ip/tcp.hpp>
#include <filesystem>
#include <fstream>
#include <map>

#include "agent/io/http_server.hpp"
#include "tests/harness/catch.hpp"
#include "tests/harness/fixture.hpp"
#include "tests/harness/http2_server.hpp"
#include "tests/harness/loop.hpp"

namespace omnitide::daemon {
namespace {

namespace asio = boost::asio;
using namespace std::chrono_literals;
using config::CheckKind;
using config::HealthCheckConfig;
using health::Finding;
using health::Verdict;

HealthCheckConfig check_of(CheckKind kind, std::string target) {
  HealthCheckConfig out;
  out.name = "a";
  out.condition = "AUnhealthy";
  out.kind = kind;
  out.target = std::move(target);
  out.timeout = 2s;
  return out;
}

HealthCheckConfig shell(const std::string& name, const std::string& script) {
  HealthCheckConfig out = check_of(CheckKind::command, "");
  out.name = name;
  out.command = {"/bin/sh", "-c", script};
  return out;
}

// One look, as its probe would take it.
Finding look(test::Loop& loop, const HealthCheckConfig& check) {
  config::HealthConfig config;
  config.checks = {check};
  const std::vector<Probe> probes = configured_probes(config);
  return loop.run(probes.at(0).look(std::make_shared<ProbeRun>(loop.context, loop.pool, check.timeout)));
}

struct Running {
  test::Loop loop;
  std::map<std::string, std::vector<Finding>> found;
  std::unique_ptr<HealthProbes> probes;
  explicit Running(std::vector<HealthCheckConfig> checks, std::size_t at_once = kCommandsAtOnce) {
    config::HealthConfig config;
    config.checks = std::move(checks);
    probes = std::make_unique<HealthProbes>(
        loop.context, configured_probes(config), std::vector<std::size_t>{0, at_once},
        HealthProbes::Told{
            .finding = [this](Finding finding, const Probe&) { found[finding.check].push_back(std::move(finding)); },
            .event = {}});
    for (asio::awaitable<void>& each : probes->work())
      asio::co_spawn(loop.context, std::move(each), [this](std::exception_ptr) { ++ended; });
  }
  ~Running() {
    probes->stop();
    (void)loop.until([this] { return ended == probes->size(); });
  }
  std::size_t ended = 0;
};

}  // namespace

TEST_CASE("a command is good with exit status 0, and its first line is what is said, cleaned and bounded") {
  test::Loop loop;
  Finding good = look(loop, shell("a", "printf '  all is well\\r\\nmore\\n'"));
  CHECK(good.verdict == Verdict::good);
  CHECK(good.message == "all is well");
  const Finding bad = look(loop, shell("a", "printf 'a\\033[31mb\\001'; exit 2"));
  CHECK(bad.verdict == Verdict::bad);
  CHECK(bad.reason == "CommandFailed");
  CHECK(bad.message == "a\\x1b[31mb\\x01");
  CHECK(bad.evidence == health::Evidence{{"command", "/bin/sh"}, {"exit status", "2"}});
  CHECK(look(loop, shell("a", "exit 4")).message == "exit status 4");
  CHECK(look(loop, shell("a", "head -c 100000 /dev/zero | tr '\\0' x")).message.size() < 300);
  HealthCheckConfig slow = shell("a", "echo began; sleep 1000");
  slow.timeout = 300ms;
  const Finding late = look(loop, slow);
  CHECK(late.verdict == Verdict::bad);
  CHECK(late.reason == "TimedOut");
  CHECK(late.message == "it took too long and was ended: began");
  HealthCheckConfig missing = shell("a", "");
  missing.command = {"/nonexistent/check"};
  const Finding none = look(loop, missing);
  CHECK(none.verdict == Verdict::unknown);
  CHECK(none.reason == "NotRun");
}

TEST_CASE("the operator's words stand instead of what was seen, which is evidence") {
  test::Loop loop;
  HealthCheckConfig check = shell("a", "echo disk 3 is gone; exit 1");
  check.reason = "RaidDegraded";
  check.message = "call the night shift";
  const Finding bad = look(loop, check);
  CHECK(bad.reason == "RaidDegraded");
  CHECK(bad.message == "call the night shift");
  CHECK(bad.evidence.back() == std::pair<std::string, std::string>{"seen", "disk 3 is gone"});
  check.command.back() = "echo fine";
  CHECK(look(loop, check).message == "fine");
}

TEST_CASE("a file is good while it is there and young enough") {
  test::Loop loop;
  test::TempTree tree;
  HealthCheckConfig check = check_of(CheckKind::file, tree.path() + "/stamp");
  CHECK(look(loop, check).reason == "FileMissing");
  tree.file("stamp", "");
  CHECK(look(loop, check).verdict == Verdict::good);
  check.max_age = 1h;
  CHECK(look(loop, check).verdict == Verdict::good);
  std::filesystem::last_write_time(check.target, std::filesystem::file_time_type::clock::now() - 2h);
  const Finding old = look(loop, check);
  CHECK(old.verdict == Verdict::bad);
  CHECK(old.reason == "FileTooOld");
  CHECK(old.message == check.target + " was last written 2h ago");
}

TEST_CASE("a TCP port is good while it takes connections") {
  test::Loop loop;
  asio::ip::tcp::acceptor acceptor(loop.context, {asio::ip::make_address("127.0.0.1"), 0});
  const HealthCheckConfig check =
      check_of(CheckKind::tcp, "localhost:" + std::to_string(acceptor.local_endpoint().port()));
  CHECK(look(loop, check).verdict == Verdict::good);
  acceptor.close();
  const Finding refused = look(loop, check);
  CHECK(refused.verdict == Verdict::bad);
  CHECK(refused.reason == "NotReached");
  CHECK(refused.message.find("refused") != std::string::npos);
  CHECK(look(loop, check_of(CheckKind::tcp, "no-such-host.invalid:1")).reason == "NotReached");
}

TEST_CASE("HTTP is good with the status that is expected, and with the text that must be there") {
  test::Loop loop;
  std::string query;
  const auto answer = [&query](io::HttpRequest& request) -> asio::awaitable<io::HttpResponse> {
    query = request.query_text;
    co_return io::HttpResponse{.status = request.path == "/bad" ? 503U : 200U,
                               .content_type = "text/plain",
                               .headers = {},
                               .body = std::string(100'000, '.') + "ready",
                               .shared_body = {},
                               .stream = {}};
  };
  io::HttpServer server(loop.context, {{"GET", "/healthz", answer}, {"GET", "/bad", answer}}, {});
  const auto port = server.listen_tcp("127.0.0.1:0");
  REQUIRE(port);
  const std::string base = "http://127.0.0.1:" + std::to_string(*port);
  HealthCheckConfig check = check_of(CheckKind::http, base + "/healthz?deep=1");
  CHECK(look(loop, check).verdict == Verdict::good);  // however long the answer is
  CHECK(query == "deep=1");
  check.body = "....";
  CHECK(look(loop, check).verdict == Verdict::good);
  check.body = "ready";  // behind the first 64 KiB
  CHECK(look(loop, check).reason == "WrongAnswer");
  check = check_of(CheckKind::http, base + "/bad");
  CHECK(look(loop, check).message == "the answer's status is 503");
  check.status = 503;
  CHECK(look(loop, check).verdict == Verdict::good);
  server.stop();
  CHECK(look(loop, check).reason == "NotReached");
}

namespace {

// A CA and what it vouches for.
struct Authority {
  io::PrivateKey key = *io::PrivateKey::generate();
  std::string certificate;

  Authority() { certificate = issue("test CA", key, {}, true); }
  [[nodiscard]] std::string issue(const std::string& name, const io::PrivateKey& of, std::vector<std::string> servers,
                                  bool is_ca = false) const {
    io::CertificateRequest request;
    request.common_name = name;
    request.public_key_info = of.public_key_info();
    request.not_before = wall_now() - 1h;
    request.not_after = wall_now() + 24h;
    request.is_ca = is_ca;
    request.server_names = std::move(servers);
    return *io::issue_certificate(request, is_ca ? std::string() : certificate, key);
  }
  [[nodiscard]] io::ServerTlsOptions server(std::vector<std::string> names) const {
    io::ServerTlsOptions out;
    out.key = *io::PrivateKey::generate();
    out.chain = {issue("server", out.key, std::move(names))};
    return out;
  }
};

}  // namespace

TEST_CASE("HTTPS is good only with a certificate that its CA file, or the system, vouches for") {
  test::Loop loop;
  test::TempTree tree;
  const Authority authority;
  const io::ServerTlsOptions options = authority.server({"127.0.0.1"});
  io::HttpServer server(loop.context,
                        {{"GET", "/",
                          [](io::HttpRequest&) -> asio::awaitable<io::HttpResponse> {
                            co_return io::HttpResponse{
                                .content_type = "", .headers = {}, .body = "ok", .shared_body = {}, .stream = {}};
                          }}},
                        {});
  const auto port = server.listen_tcp("127.0.0.1:0", *io::TlsContext::server(options));
  REQUIRE(port);
  HealthCheckConfig check = check_of(CheckKind::http, "https://127.0.0.1:" + std::to_string(*port));
  const Finding untrusted = look(loop, check);
  CHECK(untrusted.verdict == Verdict::bad);
  CHECK(untrusted.message.find("cannot trust") != std::string::npos);
  check.ca_file = tree.path() + "/ca.pem";
  CHECK(look(loop, check).reason == "NotRun");  // the file is not there
  tree.file("ca.pem", io::to_pem(authority.certificate));
  CHECK(look(loop, check).verdict == Verdict::good);
  check.target = "https://localhost:" + std::to_string(*port);  // a name that the certificate does not have
  CHECK(look(loop, check).verdict == Verdict::bad);
}

TEST_CASE("gRPC is good while the health service says that it, or the service, is serving") {
  test::Loop loop;
  test::TempTree tree;
  // Frames with a HealthCheckResponse: status 1 SERVING, 2 NOT_SERVING, 3 SERVICE_UNKNOWN.
  const auto answer = [](const test::Http2Asked& asked) {
    test::Http2Answer out{.headers = {{"content-type", "application/grpc"}}, .trailers = {{"grpc-status", "0"}}};
    if (asked.headers.at(":path") != "/grpc.health.v1.Health/Check") out.trailers[0].second = "12";
    out.body = std::string("\0\0\0\0\2\x08", 6);
    const std::string service = asked.body.size() > 7 ? asked.body.substr(7) : "";
    if (service == "none") {
      out.body.clear();
      out.trailers[0].second = "5";
    } else {
      out.body += service == "down" ? '\2' : service == "strange" ? '\3' : '\1';
    }
    return out;
  };
  for (const std::string& path : {std::string(), tree.path() + "/grpc.sock"}) {
    test::Http2Server server(answer, path);
    HealthCheckConfig check = check_of(CheckKind::grpc, server.address());
    CHECK(look(loop, check).verdict == Verdict::good);
    check.service = "up";
    CHECK(look(loop, check).verdict == Verdict::good);
    check.service = "down";
    CHECK(look(loop, check).reason == "NotServing");
    check.service = "strange";
    CHECK(look(loop, check).reason == "ServiceUnknown");
    check.service = "none";
    const Finding none = look(loop, check);
    CHECK(none.verdict == Verdict::bad);
    CHECK(none.reason == "ServiceUnknown");
    CHECK(none.evidence == health::Evidence{{"address", server.address()}, {"service", "none"}});
  }
  test::Http2Server other([](const test::Http2Asked&) {
    return test::Http2Answer{.headers = {{"grpc-status", "12"}}};
  });
  CHECK(look(loop, check_of(CheckKind::grpc, other.address())).reason == "NoHealthService");
  test::Http2Server silent([](const test::Http2Asked&) { return test::Http2Answer{.silent = true}; });
  HealthCheckConfig late = check_of(CheckKind::grpc, silent.address());
  late.timeout = 200ms;
  CHECK(look(loop, late).reason == "TimedOut");
  CHECK(look(loop, check_of(CheckKind::grpc, "unix:" + tree.path() + "/none")).reason == "NotReached");
}

TEST_CASE("gRPC over TLS is good only with a server that is believed, and with a client that is") {
  test::Loop loop;
  test::TempTree tree;
  const Authority authority, other;
  const auto serving = [](const test::Http2Asked& asked) {
    return test::Http2Answer{
        .headers = {{"content-type", "application/grpc"}, {"x-asked", asked.headers.at(":authority")}},
        .trailers = {{"grpc-status", asked.headers.at(":scheme") == "https" ? "0" : "13"}},
        .body = std::string("\0\0\0\0\2\x08\1", 7)};
  };
  io::ServerTlsOptions options = authority.server({"orders.example"});
  const io::TlsContext open = *io::TlsContext::server(options);
  test::Http2Server server(serving, {}, open.native());
  HealthCheckConfig check = check_of(CheckKind::grpc, server.address());
  CHECK(look(loop, check).verdict == Verdict::bad);  // in plain text
  check.tls = true;
  check.ca_file = tree.path() + "/ca.pem";
  CHECK(look(loop, check).reason == "NotRun");  // the file is not there
  tree.file("ca.pem", io::to_pem(authority.certificate)).file("other.pem", io::to_pem(other.certificate));
  const Finding nameless = look(loop, check);  // not for this address
  CHECK(nameless.verdict == Verdict::bad);
  CHECK(nameless.message.find("cannot trust https://127.0.0.1:") == 0);
  check.server_name = "orders.example";
  CHECK(look(loop, check).verdict == Verdict::good);
  check.ca_file = tree.path() + "/other.pem";
  CHECK(look(loop, check).message.find("cannot trust") == 0);
  check.ca_file = tree.path() + "/ca.pem";

  options.client_cas = {authority.certificate};
  options.client_auth = io::ClientAuth::required;
  const io::TlsContext closed = *io::TlsContext::server(options);
  test::Http2Server strict(serving, {}, closed.native());
  check.target = strict.address();
  CHECK(look(loop, check).verdict == Verdict::bad);
  const io::PrivateKey key = *io::PrivateKey::generate();
  tree.file("me.pem", io::to_pem(authority.issue("agent", key, {}))).file("me.key", key.to_pem());
  check.certificate = tree.path() + "/me.pem";
  check.key_file = tree.path() + "/me.key";
  CHECK(look(loop, check).verdict == Verdict::good);
  tree.file("me.key", io::PrivateKey::generate()->to_pem());
  const Finding wrong = look(loop, check);
  CHECK(wrong.reason == "NotRun");
  CHECK(wrong.message.find("cannot use the key") == 0);
}

TEST_CASE("a check that hangs keeps no other one from its time") {
  HealthCheckConfig hangs = shell("hangs", "sleep 1000"), quick = shell("quick", "true");
  hangs.interval = 1min;
  hangs.timeout = 30s;
  quick.interval = 100ms;
  Running running({hangs, quick});
  CHECK(running.loop.until([&] { return running.found["quick"].size() >= 3; }, 5s));
  CHECK(running.found["hangs"].empty());
}

TEST_CASE("commands beyond the bound wait for their turn") {
  test::TempTree tree;
  std::vector<HealthCheckConfig> checks;
  for (const char* name : {"a", "b", "c", "d"})
    checks.push_back(shell(name, "echo >>" + tree.path() + "/log +; sleep 0.3; echo >>" + tree.path() + "/log -"));
  Running running(checks, 2);
  REQUIRE(running.loop.until([&] { return running.found.size() == 4; }, 10s));
  std::ifstream log(tree.path() + "/log");
  int now = 0, most = 0;
  for (std::string line; std::getline(log, line);)
    most = std::max(most, now += line == "+" ? 1 : -1);
  CHECK(most == 2);
}

TEST_CASE("a check runs when it is asked for, and whoever asks waits for that run") {
  test::TempTree tree;
  HealthCheckConfig check = shell("a", "cat " + tree.path() + "/say");
  check.interval = 1h;
  tree.file("say", "one");
  Running running({check});
  REQUIRE(running.loop.until([&] { return running.found["a"].size() == 1; }));
  tree.file("say", "two");
  running.loop.run(running.probes->run("a", 10s));
  REQUIRE(running.found["a"].size() == 2);
  CHECK(running.found["a"][1].message == "two");
  running.loop.run(running.probes->run("", 10s));
  CHECK(running.found["a"].size() == 3);
}

TEST_CASE("stop ends what is under way at once") {
  HealthCheckConfig slow = shell("slow", "sleep 1000");
  slow.timeout = 1min;
  auto running = std::make_unique<Running>(std::vector{slow});
  running->loop.run_for(300ms);
  const auto before = std::chrono::steady_clock::now();
  running->probes->stop();
  CHECK(running->loop.until([&] { return running->ended == 1; }, 3s));
  CHECK(std::chrono::steady_clock::now() - before < 2s);
}

TEST_CASE("what cannot be run stands among the problems until it can") {
  test::TempTree tree;
  HealthCheckConfig check = shell("a", "");
  check.command = {tree.path() + "/check"};
  check.interval = 100ms;
  Running running({check});
  REQUIRE(running.loop.until([&] { return !running.probes->problems().empty(); }));
  CHECK(running.probes->problems()[0].find("a: cannot run") == 0);
  if (::getuid() != 0) return;
  tree.file("check", "#!/bin/sh\n");
  std::filesystem::permissions(check.command[0], std::filesystem::perms(0755));
  CHECK(running.loop.until([&] { return running.probes->problems().empty(); }));
}

}  // namespace omnitide::daemon
