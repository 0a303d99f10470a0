// The HTTP/2 client and gRPC against a server over real sockets: many at once, limits, ends of all kinds.
#include <fmt/format.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>

#include "agent/base/clock.hpp"
#include "agent/io/grpc.hpp"
#include "agent/io/http2_client.hpp"
#include "agent/io/http_server.hpp"
#include "tests/harness/catch.hpp"
#include "tests/harness/fixture.hpp"
#include "tests/harness/http2_server.hpp"
#include "tests/harness/loop.hpp"

namespace omnitide::io {
namespace {

namespace asio = boost::asio;
using namespace std::chrono_literals;
using test::Http2Answer;
using test::Http2Asked;
using test::Http2Server;

Http2Options to(const Http2Server& server) {
  Http2Options out{.endpoint = server.address(), .tls = {}};
  if (!out.endpoint.starts_with("unix:")) out.endpoint = "http://" + out.endpoint;
  return out;
}

Http2Request get(std::string path, std::chrono::milliseconds timeout = 5s) {
  Http2Request out;
  out.path = std::move(path);
  out.timeout = timeout;
  return out;
}

// Its body, or the error's words.
std::string body_of(const Result<Http2Response>& answer) {
  return answer.has_value() ? answer->body : answer.error().text();
}

// Answers with the path and the body that came.
Http2Answer echo(const Http2Asked& asked) {
  return {.headers = {{"content-type", "text/plain"}}, .body = asked.headers.at(":path") + " " + asked.body};
}

std::string framed(const std::string& message) {
  return std::string(4, '\0') + static_cast<char>(message.size()) + message;
}

}  // namespace

TEST_CASE("a request goes over TCP and over a unix socket, and keeps its connection") {
  test::Loop loop;
  test::TempTree tree;
  for (const std::string& path : {std::string(), tree.path() + "/h2.sock"}) {
    Http2Server server(echo, path);
    Http2Client client(loop.context, to(server));
    CHECK_FALSE(client.connected());
    for (int i = 0; i < 3; ++i) {
      Http2Request request = get(fmt::format("/a?b={}", i));
      request.method = "POST";
      request.body = std::string(200'000, 'x');  // more than a window
      const Result<Http2Response> answer = loop.run(client.send(request));
      REQUIRE(answer);
      CHECK(answer->status == 200);
      CHECK(answer->header("content-type") == "text/plain");
      CHECK(answer->body == request.path + " " + request.body);
    }
    CHECK(client.connected());
    CHECK(server.connections() == 1);
  }
}

TEST_CASE("many requests share one connection, and a late one holds up no other") {
  test::Loop loop;
  Http2Server server([](const Http2Asked& asked) {
    Http2Answer answer = echo(asked);
    if (asked.headers.at(":path") == "/late") answer.after = 1s;
    return answer;
  });
  Http2Client client(loop.context, to(server));
  std::vector<std::string> done;
  for (int i = 0; i < 50; ++i) {
    std::string path = i == 0 ? "/late" : fmt::format("/{}", i);
    asio::co_spawn(
        loop.context,
        [&client, &done, path]() -> asio::awaitable<void> {
          const Result<Http2Response> answer = co_await client.send(get(path));
          if (answer.has_value() && answer->body == path + " ") done.push_back(path);
        },
        asio::detached);
  }
  REQUIRE(loop.until([&] { return done.size() == 49; }, 900ms));
  CHECK(std::ranges::find(done, "/late") == done.end());
  CHECK(loop.until([&] { return done.size() == 50; }, 2s));
  CHECK(server.connections() == 1);
  CHECK(server.most_at_once() >= 10);
}

TEST_CASE("what does not come in time is given up, and the connection serves on") {
  test::Loop loop;
  Http2Server server([](const Http2Asked& asked) {
    return asked.headers.at(":path") == "/never" ? Http2Answer{.silent = true} : echo(asked);
  });
  Http2Client client(loop.context, to(server));
  const auto before = std::chrono::steady_clock::now();
  CHECK(loop.run(client.send(get("/never", 200ms))).error().code == Code::deadline_exceeded);
  CHECK(std::chrono::steady_clock::now() - before < 2s);
  CHECK(loop.run(client.send(get("/b"))).has_value());
  CHECK(server.connections() == 1);
}

TEST_CASE("an answer is bounded, unless it is taken as it comes") {
  test::Loop loop;
  Http2Server server([](const Http2Asked& asked) {
    if (asked.headers.at(":path") == "/headers")
      return Http2Answer{.headers = test::Http2Fields(20, {"x-long", std::string(900, 'h')})};
    return Http2Answer{.body = std::string(1'000'000, 'y')};
  });
  Http2Options options = to(server);
  options.body_limit = 100'000;
  options.header_limit = 10'000;
  Http2Client client(loop.context, std::move(options));
  CHECK(loop.run(client.send(get("/"))).error().code == Code::resource_exhausted);
  CHECK(loop.run(client.send(get("/headers"))).error().code == Code::resource_exhausted);
  std::size_t taken = 0;
  Http2Request whole = get("/");
  whole.on_bytes = [&taken](std::string_view bytes) {
    taken += bytes.size();
    return true;
  };
  const Result<Http2Response> answer = loop.run(client.send(whole));
  REQUIRE(answer);
  CHECK(taken == 1'000'000);
  CHECK(answer->body.empty());
  taken = 0;
  Http2Request part = get("/");
  part.on_bytes = [&taken](std::string_view bytes) { return (taken += bytes.size()) < 50'000; };
  CHECK(loop.run(client.send(part)).has_value());
  CHECK(taken < 100'000);
  CHECK(server.connections() == 1);
}

TEST_CASE("what is no 200 is an answer with a body, also where a body was to be taken as it comes") {
  test::Loop loop;
  Http2Server server([](const Http2Asked&) { return Http2Answer{.status = 410, .body = "gone"}; });
  Http2Client client(loop.context, to(server));
  Http2Request request = get("/");
  request.on_bytes = [](std::string_view) -> bool { throw std::logic_error("not for this"); };
  const Result<Http2Response> answer = loop.run(client.send(request));
  REQUIRE(answer);
  CHECK(answer->status == 410);
  CHECK(answer->body == "gone");
}

TEST_CASE("a connection that is dead without a word is found by a ping, and one that lives is kept") {
  test::Loop loop;
  // A server that was there once: its SETTINGS, and nothing more.
  Http2Server dead(echo, {}, nullptr, std::string("\0\0\0\4\0\0\0\0\0", 9));
  Http2Options options = to(dead);
  options.ping_after = 50ms;
  options.ping_timeout = 100ms;
  Http2Client client(loop.context, options);
  const Result<Http2Response> none = loop.run(client.send(get("/", 60s)));
  REQUIRE(none.has_error());
  CHECK(none.error().code == Code::unavailable);
  CHECK(none.error().message.find("does not answer a ping") != std::string::npos);
  CHECK_FALSE(client.connected());

  Http2Server alive([](const Http2Asked& asked) {
    Http2Answer answer = echo(asked);
    answer.after = 1s;
    return answer;
  });
  options.endpoint = to(alive).endpoint;
  options.ping_timeout = 500ms;
  Http2Client patient(loop.context, options);
  CHECK(body_of(loop.run(patient.send(get("/late", 60s)))) == "/late ");
  CHECK(alive.connections() == 1);
}

TEST_CASE("addresses are looked up for each connection") {
  test::Loop loop;
  Http2Server server([](const Http2Asked& asked) {
    Http2Answer answer = echo(asked);
    answer.last = true;
    return answer;
  });
  int asked = 0;
  Http2Options options{.endpoint = "http://api.invalid" + server.address().substr(9), .tls = {}};
  options.lookup = [&asked]() -> asio::awaitable<Result<std::vector<std::string>>> {
    if (++asked == 3) co_return fail(Code::unavailable, "no such name");
    co_return std::vector<std::string>{"127.0.0.1"};
  };
  Http2Client client(loop.context, options);
  CHECK(body_of(loop.run(client.send(get("/a")))) == "/a ");
  CHECK(body_of(loop.run(client.send(get("/b")))) == "/b ");
  CHECK(body_of(loop.run(client.send(get("/c")))).find("no such name") != std::string::npos);
  CHECK(asked == 3);
}

TEST_CASE("a server that lets go is connected to anew, and one that refuses is asked once more") {
  test::Loop loop;
  std::size_t asked_for = 0;
  Http2Server server([&asked_for](const Http2Asked& asked) {
    ++asked_for;
    Http2Answer answer = echo(asked);
    answer.last = asked.headers.at(":path") == "/last";
    if (asked.headers.at(":path") == "/refused") answer.reset = 7;  // REFUSED_STREAM
    if (asked.headers.at(":path") == "/reset") answer.reset = 2;    // INTERNAL_ERROR
    return answer;
  });
  Http2Client client(loop.context, to(server));
  CHECK(body_of(loop.run(client.send(get("/last")))) == "/last ");
  CHECK(body_of(loop.run(client.send(get("/next")))) == "/next ");
  CHECK(server.connections() == 2);
  asked_for = 0;
  CHECK(loop.run(client.send(get("/refused"))).error().code == Code::unavailable);
  CHECK(asked_for == 2);
  CHECK(loop.run(client.send(get("/reset"))).error().code == Code::unavailable);
  CHECK(asked_for == 3);
}

TEST_CASE("whoever waits is told when the client ends, the server goes, or speaks something else") {
  test::Loop loop;
  auto server = std::make_unique<Http2Server>([](const Http2Asked&) { return Http2Answer{.silent = true}; });
  Http2Client client(loop.context, to(*server));
  std::vector<Code> ends;
  const auto ask = [&] {
    asio::co_spawn(
        loop.context,
        [&]() -> asio::awaitable<void> {
          const Result<Http2Response> answer = co_await client.send(get("/", 30s));
          ends.push_back(answer.has_error() ? answer.error().code : Code::internal);
        },
        asio::detached);
    loop.run_for(200ms);
  };
  ask();
  client.close();
  REQUIRE(loop.until([&] { return ends.size() == 1; }, 2s));
  CHECK(ends[0] == Code::aborted);
  ask();  // connects anew
  CHECK(server->connections() == 2);
  server.reset();
  REQUIRE(loop.until([&] { return ends.size() == 2; }, 2s));
  CHECK(ends[1] == Code::unavailable);
  CHECK(loop.run(client.send(get("/"))).error().code == Code::unavailable);  // refused

  Http2Server other(echo, {}, nullptr, "HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n");
  Http2Client confused(loop.context, to(other));
  CHECK(loop.run(confused.send(get("/"))).error().code == Code::data_loss);
}

TEST_CASE("over TLS both agree on h2, with a certificate that is trusted") {
  test::Loop loop;
  const PrivateKey ca_key = *PrivateKey::generate(), key = *PrivateKey::generate();
  CertificateRequest request;
  request.common_name = "test CA";
  request.public_key_info = ca_key.public_key_info();
  request.not_before = wall_now() - 1h;
  request.not_after = wall_now() + 24h;
  request.is_ca = true;
  const std::string ca = *issue_certificate(request, {}, ca_key);
  request.is_ca = false;
  request.public_key_info = key.public_key_info();
  request.server_names = {"localhost"};
  ServerTlsOptions options;
  options.chain = {*issue_certificate(request, ca, ca_key)};
  options.key = key;
  const TlsContext tls = *TlsContext::server(options);
  test::TempTree tree;
  tree.file("ca.pem", to_pem(ca));
  Http2Server server(echo, {}, tls.native());
  Http2Options good{.endpoint = "https://localhost" + server.address().substr(9),
                    .tls = *TlsContext::client_of_cas(tree.path() + "/ca.pem"),
                    .addresses = {"127.0.0.1"}};
  Http2Client client(loop.context, good);
  CHECK(body_of(loop.run(client.send(get("/tls")))) == "/tls ");
  good.tls = *TlsContext::client_of_cas("");
  Http2Client doubtful(loop.context, good);
  CHECK(loop.run(doubtful.send(get("/"))).error().text().find("cannot trust") == 0);

  good.tls = *TlsContext::client_from_pem(to_pem(ca), {}, {});
  good.endpoint = "https://elsewhere.invalid" + server.address().substr(9);
  good.server_name = "localhost";
  Http2Client elsewhere(loop.context, good);
  CHECK(body_of(loop.run(elsewhere.send(get("/name")))) == "/name ");
  good.server_name.clear();
  good.endpoint = "https://localhost" + server.address().substr(9);

  HttpServer plain(loop.context, {}, {});  // TLS, and no h2
  good.tls = *TlsContext::client_of_cas(tree.path() + "/ca.pem");
  good.endpoint = fmt::format("https://localhost:{}", *plain.listen_tcp("127.0.0.1:0", *TlsContext::server(options)));
  Http2Client old(loop.context, good);
  const Result<Http2Response> refused = loop.run(old.send(get("/")));
  CHECK(refused.error().code == Code::unimplemented);
  CHECK(refused.error().text().find("does not speak h2") != std::string::npos);
}

TEST_CASE("a gRPC call gives the message, or the status with the server's words") {
  test::Loop loop;
  Http2Asked seen;
  Http2Server server([&seen](const Http2Asked& asked) {
    seen = asked;
    const std::string path = asked.headers.at(":path");
    Http2Answer answer{.headers = {{"content-type", "application/grpc"}}, .trailers = {{"grpc-status", "0"}}};
    if (path == "/s/Good") answer.body = framed("pong");
    if (path == "/s/Cut") answer.body = framed("pong").substr(0, 7);
    if (path == "/s/Denied") answer.trailers = {{"grpc-status", "7"}, {"grpc-message", "not%20you%0a"}};
    if (path == "/s/None") return Http2Answer{.headers = {{"grpc-status", "12"}}};  // trailers alone
    if (path == "/s/Proxy") return Http2Answer{.status = 503};
    return answer;
  });
  Http2Client client(loop.context, to(server));
  const auto call = [&](const std::string& path) { return loop.run(grpc_call(client, path, "ping", 5s)); };
  CHECK(*call("/s/Good") == "pong");
  CHECK(seen.body == framed("ping"));
  CHECK(seen.headers.at("te") == "trailers");
  CHECK(seen.headers.at("grpc-timeout") == "5000m");
  CHECK(call("/s/Cut").error().code == Code::data_loss);
  CHECK(call("/s/Denied").error().code == Code::permission_denied);
  CHECK(call("/s/Denied").error().message == "not you\\x0a");
  CHECK(call("/s/None").error().code == Code::unimplemented);
  CHECK(call("/s/Proxy").error().code == Code::unavailable);
  CHECK(grpc_message(std::string("\1\0\0\0\0", 5)).error().code == Code::unimplemented);
}

}  // namespace omnitide::io
