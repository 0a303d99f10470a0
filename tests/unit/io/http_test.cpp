// Server and client against each other over real sockets on loopback.
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <thread>

#include "agent/io/http_client.hpp"
#include "agent/io/http_server.hpp"
#include "tests/harness/catch.hpp"
#include "tests/harness/network_namespace.hpp"

using namespace omnitide;
using namespace omnitide::io;
namespace asio = boost::asio;
using namespace std::chrono_literals;

namespace {

std::vector<Route> routes() {
  return {
      {"POST", "/v1/echo/{name}",
       [](HttpRequest& request) -> asio::awaitable<HttpResponse> {
         co_return HttpResponse{.content_type = "text/plain",
                                .headers = {},
                                .body = request.params.at("name") + ":" + request.body,
                                .shared_body = {},
                                .stream = {}};
       },
       1024},
      {"GET", "/v1/throw",
       [](HttpRequest&) -> asio::awaitable<HttpResponse> {
         throw std::runtime_error("boom");
         co_return HttpResponse{};
       }},
      {"GET", "/v1/items:watch",
       [](HttpRequest&) -> asio::awaitable<HttpResponse> {
         HttpResponse out;
         out.stream = [](BodyStream& body) -> asio::awaitable<Result<>> {
           for (const char* line : {"one\n", "two\n", "three\n"}) {
             if (Result<> wrote = co_await body.write(line); wrote.has_error()) co_return wrote;
           }
           co_return Result<>{};
         };
         co_return out;
       }},
      {"PUT", "/v1/guarded", [](HttpRequest&) -> asio::awaitable<HttpResponse> { co_return HttpResponse{}; }, 1U << 30U,
       [](const HttpRequest&) -> std::optional<HttpResponse> {
         return error_response(fail(Code::permission_denied, "not you"));
       }},
  };
}

// A server on its own thread; the test talks to it by blocking clients.
class Served {
 public:
  explicit Served(ServerLimits limits = {}, const std::string& listen = "127.0.0.1:0")
      : server_(context_, routes(), limits) {
    port_ = *server_.listen_tcp(listen);
    thread_ = std::thread([this] { context_.run(); });
  }
  ~Served() {
    asio::post(context_, [this] { server_.stop(); });
    thread_.join();
  }
  [[nodiscard]] std::string url(const std::string& host = "127.0.0.1") const {
    return "http://" + host + ":" + std::to_string(port_);
  }
  [[nodiscard]] std::uint16_t port() const { return port_; }
  // Sends bytes as they are and returns all that comes back until the server closes or two seconds pass.
  [[nodiscard]] std::string raw(const std::string& bytes, bool then_end = false) const {
    asio::io_context context;
    asio::ip::tcp::socket socket(context);
    socket.connect({asio::ip::make_address("127.0.0.1"), port_});
    timeval patience{.tv_sec = 2, .tv_usec = 0};
    ::setsockopt(socket.native_handle(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    boost::system::error_code error;
    asio::write(socket, asio::buffer(bytes), error);
    if (then_end) socket.shutdown(asio::socket_base::shutdown_send, error);
    std::string out(1U << 16U, '\0');
    std::size_t have = 0;
    while (true) {
      const ssize_t got = ::recv(socket.native_handle(), out.data() + have, out.size() - have, 0);
      if (got <= 0) break;
      have += static_cast<std::size_t>(got);
    }
    out.resize(have);
    return out;
  }

 private:
  asio::io_context context_{1};
  HttpServer server_;
  std::uint16_t port_ = 0;
  std::thread thread_;
};

Result<HttpResponse> ask(const Served& served, std::string method, std::string path, std::string body = {}) {
  HttpRequest request;
  request.method = std::move(method);
  request.path = std::move(path);
  request.body = std::move(body);
  return send_blocking({.endpoint = served.url(), .tls = {}, .local_address = {}}, std::move(request));
}

}  // namespace

TEST_CASE("a request reaches its handler with its parameters and its body") {
  const Served served;
  const auto answer = ask(served, "POST", "/v1/echo/a%20b", "hello");
  REQUIRE(answer.has_value());
  CHECK(answer->status == 200);
  CHECK(answer->body == "a b:hello");
}

TEST_CASE("an unknown path is 404, a known one with another method 405 with Allow") {
  const Served served;
  CHECK(ask(served, "GET", "/nothing")->status == 404);
  const auto wrong = ask(served, "DELETE", "/v1/throw");
  CHECK(wrong->status == 405);
  CHECK(wrong->header("allow") == "GET");
}

TEST_CASE("a handler that throws costs its own request only") {
  const Served served;
  CHECK(ask(served, "GET", "/v1/throw")->status == 500);
  CHECK(ask(served, "POST", "/v1/echo/x", "1")->status == 200);
}

TEST_CASE("a body over the route's limit is refused before it is read") {
  const Served served;
  const auto answer = ask(served, "POST", "/v1/echo/x", std::string(5000, 'x'));
  REQUIRE(answer.has_value());
  CHECK(answer->status == 413);
  const std::string chunked =
      served.raw("POST /v1/echo/x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1000\r\n" +
                 std::string(0x1000, 'y') + "\r\n0\r\n\r\n");
  CHECK(chunked.find("413") != std::string::npos);
}

TEST_CASE("a guard answers before the body is read") {
  const Served served;
  const std::string answer = served.raw("PUT /v1/guarded HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000000\r\n\r\n");
  CHECK(answer.starts_with("HTTP/1.1 403"));
}

TEST_CASE("what is not HTTP gets a 400 or a closed connection") {
  const Served served;
  CHECK(served.raw("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03 nonsense\r\n\r\n").starts_with("HTTP/1.1 400"));
  CHECK(served.raw("GET http://evil/ HTTP/1.1\r\nHost: a\r\n\r\n").starts_with("HTTP/1.1 400"));
  CHECK(served.raw("GET /%zz?%zz HTTP/1.1\r\nHost: a\r\n\r\n").starts_with("HTTP/1.1 400"));
  CHECK(served.raw("GET / HTTP/1.1\r\nX: " + std::string(40000, 'a') + "\r\n\r\n").starts_with("HTTP/1.1 431"));
  CHECK(ask(served, "POST", "/v1/echo/x", "1")->status == 200);
}

TEST_CASE("half a head or half a body is no request") {
  const Served served;
  CHECK(served.raw("POST /v1/echo/x HTTP/1.1\r\nHost: a\r\nExpect: 100-", true).empty());
  CHECK(served.raw("POST /v1/echo/x HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nhalf", true).empty());
}

TEST_CASE("framing without an end is refused: a chunk's extension, a trailer") {
  const Served served;
  const std::string head = "POST /v1/echo/x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
  CHECK(served.raw(head + "1;" + std::string(200000, 'a')).find("431") != std::string::npos);
  CHECK(served.raw(head + "0\r\nX: " + std::string(200000, 'a')).find("431") != std::string::npos);
}

TEST_CASE("a half request does not keep a server from stopping") {
  asio::io_context context(1);
  auto server = std::make_unique<HttpServer>(context, routes(), ServerLimits{});
  const std::uint16_t port = *server->listen_tcp("127.0.0.1:0");
  asio::ip::tcp::socket holder(context);
  holder.connect({asio::ip::make_address("127.0.0.1"), port});
  asio::write(holder, asio::buffer(std::string("GET /v1/thr")));
  context.run_for(200ms);
  server->stop();
  const auto before = std::chrono::steady_clock::now();
  context.run_for(8s);
  CHECK(context.stopped());  // nothing is left to wait for
  CHECK(std::chrono::steady_clock::now() - before < 6s);
}

TEST_CASE("two Host headers are refused") {
  const Served served;
  CHECK(served.raw("GET /v1/throw HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n").starts_with("HTTP/1.1 400"));
}

TEST_CASE("a slow client is cut off and others are served meanwhile") {
  ServerLimits limits;
  limits.header_timeout = 600ms;
  const Served served(limits);
  const auto before = std::chrono::steady_clock::now();
  CHECK(served.raw("GET /v1/thr").empty());
  CHECK(std::chrono::steady_clock::now() - before < 1900ms);  // its own patience is 2 s
  CHECK(ask(served, "POST", "/v1/echo/x", "1")->status == 200);
}

TEST_CASE("pipelined requests are answered in order on one connection") {
  const Served served;
  const std::string one = "POST /v1/echo/a HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\n1";
  const std::string two = "POST /v1/echo/b HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nConnection: close\r\n\r\n2";
  const std::string answers = served.raw(one + two);
  const auto first = answers.find("a:1");
  const auto second = answers.find("b:2");
  REQUIRE(first != std::string::npos);
  REQUIRE(second != std::string::npos);
  CHECK(first < second);
}

TEST_CASE("a server that takes a request and closes without an answer is an error") {
  asio::io_context context;
  asio::ip::tcp::acceptor acceptor(context, {asio::ip::make_address("127.0.0.1"), 0});
  std::thread server([&acceptor] {
    asio::ip::tcp::socket socket = acceptor.accept();
    std::array<char, 4096> request{};
    boost::system::error_code ignored;
    (void)socket.read_some(asio::buffer(request), ignored);
  });
  const std::string url = "http://127.0.0.1:" + std::to_string(acceptor.local_endpoint().port());
  const auto answer = send_blocking({.endpoint = url, .tls = {}, .local_address = {}}, HttpRequest{});
  server.join();
  REQUIRE(answer.has_error());
  CHECK(answer.error().code == Code::unavailable);
}

TEST_CASE("a full server lets go of idle connections for those that wait") {
  ServerLimits limits;
  limits.connections = 1;
  const Served served(limits);
  asio::io_context context;
  asio::ip::tcp::socket holder(context);
  const auto url = parse_url(served.url());
  holder.connect({asio::ip::make_address("127.0.0.1"), static_cast<std::uint16_t>(std::stoi(url->port))});
  std::this_thread::sleep_for(50ms);  // the accept
  CHECK(ask(served, "GET", "/v1/throw")->status == 500);
}

TEST_CASE("a full server with requests under way refuses more, and those under way live") {
  ServerLimits limits;
  limits.connections = 1;
  const Served served(limits);
  asio::io_context context;
  asio::ip::tcp::socket holder(context);
  const auto url = parse_url(served.url());
  holder.connect({asio::ip::make_address("127.0.0.1"), static_cast<std::uint16_t>(std::stoi(url->port))});
  asio::write(holder, asio::buffer(std::string("POST /v1/echo/x HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\n")));
  std::this_thread::sleep_for(50ms);  // the head has been read
  CHECK(ask(served, "GET", "/v1/throw").has_error());
  asio::write(holder, asio::buffer(std::string("1")));
  std::string answer(64, '\0');
  answer.resize(holder.read_some(asio::buffer(answer)));
  CHECK(answer.starts_with("HTTP/1.1 200"));
}

namespace {

constexpr std::uint32_t kLoopback = 1;  // its index in every namespace

// A connection from one address to another that is accepted before this returns.
asio::ip::tcp::socket hold(asio::io_context& context, const std::string& from, const std::string& to,
                           std::uint16_t port) {
  const asio::ip::tcp::endpoint local(asio::ip::make_address(from), 0), remote(asio::ip::make_address(to), port);
  asio::ip::tcp::socket socket(context, local);
  socket.connect(remote);
  std::this_thread::sleep_for(50ms);  // the accept
  return socket;
}

bool served_from(const Served& served, const std::string& from, const std::string& to) {
  HttpRequest request;
  request.path = "/v1/throw";
  return send_blocking({.endpoint = served.url(to), .tls = {}, .local_address = from}, std::move(request)).has_value();
}

ServerLimits one_each() {
  ServerLimits limits;
  limits.connections_per_address = 1;
  return limits;
}

}  // namespace

TEST_CASE("a cap of connections counts each IPv4 address, also on a socket for both families") {
  for (const char* listen : {"127.0.0.1:0", "[::]:0"}) {
    const Served served(one_each(), listen);
    asio::io_context context;
    const auto holder = hold(context, "127.0.0.1", "127.0.0.1", served.port());
    CHECK_FALSE(served_from(served, "127.0.0.1", "127.0.0.1"));
    CHECK(served_from(served, "127.0.0.2", "127.0.0.1"));
  }
}

TEST_CASE("a cap of connections counts an IPv6 /64 as one") {
  test::in_network_namespace([] {
    test::set_up(kLoopback);
    for (const char* address : {"fd00::1", "fd00::2", "fd00:0:0:1::1"})
      test::add_address(kLoopback, address, 128);
    const Served served(one_each(), "[::1]:0");
    asio::io_context context;
    const auto holder = hold(context, "fd00::1", "::1", served.port());
    CHECK_FALSE(served_from(served, "fd00::2", "[::1]"));
    CHECK(served_from(served, "fd00:0:0:1::1", "[::1]"));
  });
}

TEST_CASE("a streamed answer arrives piece by piece and can be left early") {
  const Served served;
  const auto answer = ask(served, "GET", "/v1/items:watch");
  REQUIRE(answer.has_value());
  CHECK(answer->body == "one\ntwo\nthree\n");
}

TEST_CASE("a client gives up at its time-out, and does not call a server that is silent one that it cannot trust") {
  // A listener that accepts and never answers.
  asio::io_context context;
  asio::ip::tcp::acceptor silent(context, {asio::ip::make_address("127.0.0.1"), 0});
  const std::string address = "://127.0.0.1:" + std::to_string(silent.local_endpoint().port());
  const auto ask = [&address](const std::string& scheme) {
    HttpRequest request;
    request.path = "/";
    return send_blocking({.endpoint = scheme + address,
                          .tls = scheme == "https" ? *TlsContext::client_of_cas("") : TlsContext(),
                          .timeout = 200ms,
                          .local_address = {}},
                         std::move(request));
  };
  const auto answer = ask("http"), secure = ask("https");
  REQUIRE(answer.has_error());
  CHECK(answer.error().code == Code::deadline_exceeded);
  REQUIRE(secure.has_error());
  CHECK(secure.error().code == Code::deadline_exceeded);
  CHECK(secure.error().message == "https" + address + " takes connections, and does not answer");
}
