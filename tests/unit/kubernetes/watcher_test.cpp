// Client and watcher against a server over real sockets that answers by a script.
#include "agent/kubernetes/watcher.hpp"

#include <mutex>

#include "agent/io/http_server.hpp"
#include "tests/harness/catch.hpp"
#include "tests/harness/fixture.hpp"
#include "tests/harness/followed.hpp"
#include "tests/harness/http2_server.hpp"
#include "tests/harness/kubernetes_wire.hpp"
#include "tests/harness/loop.hpp"

namespace omnitide::kubernetes {
namespace {

namespace asio = boost::asio;
using namespace std::chrono_literals;
using test::Http2Answer;
using test::Http2Asked;
using test::Http2Server;

constexpr Reflector::Limits kQuick{.first_wait = 1ms, .longest_wait = 5ms};

Http2Answer protobuf(std::string body) {
  return {.headers = {{"content-type", std::string(kProtobufType)}}, .body = std::move(body)};
}

// Answers by a script, and notes what it was asked.
class Api {
 public:
  using Script = std::function<Http2Answer(const Http2Asked&, std::size_t turn)>;
  explicit Api(Script script)
      : server_([this, script = std::move(script)](const Http2Asked& asked) {
          const std::lock_guard lock(mutex_);
          asked_.push_back(asked);
          return script(asked, asked_.size() - 1);
        }) {}
  [[nodiscard]] Access access() const {
    Access out;
    out.server = "http://" + server_.address();
    return out;
  }
  [[nodiscard]] std::vector<Http2Asked> asked() {
    const std::lock_guard lock(mutex_);
    return asked_;
  }
  [[nodiscard]] std::size_t connections() const { return server_.connections(); }

 private:
  std::mutex mutex_;
  std::vector<Http2Asked> asked_;
  Http2Server server_;  // the last member: its thread uses the others
};

// One watcher of pods on a client of its own.
struct FollowedPods {
  FollowedPods(test::Loop& loop, Access access)
      : client(loop.context, loop.pool, std::move(access)), pods(loop, client, {.resource = kPods, .limits = kQuick}) {}
  Client client;
  test::FollowedKind<Pod> pods;
  std::vector<std::string>& told = pods.told;
  test::KubernetesStore<Pod>& store = pods.store;
  Watcher& watcher = pods.watcher;
};

using Words = std::vector<std::string>;

}  // namespace

TEST_CASE("a stream gives the first state and the changes, and what a later state lacks is gone") {
  test::Loop loop;
  Api api([](const Http2Asked&, std::size_t turn) {
    if (turn == 0)
      return protobuf(test::pod_event("ADDED", "a", "1") + test::pod_event("ADDED", "b", "2") +
                      test::bookmark_event("5", true) + test::pod_event("MODIFIED", "a", "6") +
                      test::pod_event("DELETED", "b", "7") + test::pod_event("ADDED", "c", "8"));
    if (turn == 1) return protobuf(test::framed_event("ERROR", test::status_message(410, "Expired")));
    if (turn == 2) return protobuf(test::pod_event("ADDED", "d", "20") + test::bookmark_event("21", true));
    return Http2Answer{.silent = true};
  });
  FollowedPods one(loop, api.access());
  REQUIRE(loop.until([&] { return api.asked().size() == 4; }));
  CHECK(one.told[0] == "+a");
  CHECK(Words(one.told.begin() + 1, one.told.begin() + 7) == Words{"+b", "whole", "~a", "-b", "+c", "+d"});
  CHECK(one.told.size() == 10);  // then a and c are gone, in any order
  CHECK(one.told.back() == "whole");
  CHECK(one.store.size() == 1);
  CHECK(one.store.find({"default", "d"}) != nullptr);
  CHECK(one.watcher.followed().expired == 1);
  const std::vector<Http2Asked> asked = api.asked();
  CHECK(asked[1].headers.at(":path").find("resourceVersion=8") != std::string::npos);
  CHECK(asked[2].headers.at(":path").find("sendInitialEvents=true") != std::string::npos);
  CHECK(asked[3].headers.at(":path").find("resourceVersion=21") != std::string::npos);
  CHECK(asked[0].headers.at("accept") == kProtobufType);
  CHECK(api.connections() == 1);
}

TEST_CASE("a server without WatchList gives the state in pages") {
  for (const bool in_stream : {false, true}) {
    test::Loop loop;
    Api api([in_stream](const Http2Asked& asked, std::size_t turn) {
      const std::string& path = asked.headers.at(":path");
      if (turn == 0 && in_stream) return protobuf(test::framed_event("ERROR", test::status_message(400, "BadRequest")));
      if (turn == 0) return Http2Answer{.status = 422, .body = test::status_message(422, "Invalid")};
      if (path.find("continue=more") != std::string::npos)
        return protobuf(test::listed({test::pod_message("default", "c", "3")}, "40"));
      if (path.find("watch=1") != std::string::npos) return Http2Answer{.silent = true};
      return protobuf(test::listed(
          {test::pod_message("default", "a", "1"), "\xff\xff", test::pod_message("default", "b", "2")}, "40", "more"));
    });
    FollowedPods one(loop, api.access());
    REQUIRE(loop.until([&] { return api.asked().size() == 4; }));
    CHECK(one.told == Words{"+a", "+b", "+c", "whole"});
    CHECK(one.watcher.followed().unreadable == 1);  // counted, and the rest goes on
    CHECK(one.watcher.followed().lists_only);
    CHECK(one.watcher.resource_version() == "40");
  }
}

TEST_CASE("what was received stays while the server fails, and the state that broke off takes nothing away") {
  test::Loop loop;
  Api api([](const Http2Asked&, std::size_t turn) {
    if (turn == 0) return protobuf(test::pod_event("ADDED", "a", "1") + test::bookmark_event("5", true));
    if (turn == 1) return Http2Answer{.status = 410, .body = test::status_message(410, "Expired")};
    if (turn == 2) return protobuf(test::pod_event("ADDED", "b", "2"));  // and no end
    if (turn == 3) return Http2Answer{.status = 503};
    if (turn == 4) return Http2Answer{.reset = 2};
    return Http2Answer{.silent = true};
  });
  FollowedPods one(loop, api.access());
  REQUIRE(loop.until([&] { return api.asked().size() == 6; }));
  CHECK(one.store.size() == 2);
  CHECK(one.watcher.followed().problem.has_value());
}

TEST_CASE("a watch that is let in has no problem any more, however long it is silent") {
  test::Loop loop;
  Api api([](const Http2Asked&, std::size_t turn) {
    if (turn == 0) return protobuf(test::pod_event("ADDED", "a", "1") + test::bookmark_event("5", true));
    if (turn < 3) return Http2Answer{.status = 503};
    return Http2Answer{.headers = {{"content-type", std::string(kProtobufType)}}, .open = true};
  });
  FollowedPods one(loop, api.access());
  REQUIRE(loop.until([&] { return !one.told.empty() && one.told.back() == "whole"; }));
  const std::optional<SteadyTime> heard = one.watcher.followed().heard;
  REQUIRE(loop.until([&] { return api.asked().size() == 4 && !one.watcher.followed().problem; }));
  CHECK(one.watcher.followed().heard == heard);
  CHECK(one.client.traffic().requests == 4);
  CHECK(one.client.traffic().failures == 2);
  CHECK(one.client.traffic().received > 0);
}

TEST_CASE("a server that is back is asked at once by everybody who waited for it, but who was told when to come") {
  test::Loop loop;
  bool back = false;
  Api api([&back](const Http2Asked& asked, std::size_t) {
    const std::string& path = asked.headers.at(":path");
    if (path.find("/pods") == std::string::npos)
      return back ? Http2Answer{.status = 200, .body = "{}"} : Http2Answer{.reset = 2};
    if (path.find("fieldSelector=told") != std::string::npos)
      return Http2Answer{.status = 429, .headers = {{"retry-after", "3600"}}};
    return back ? Http2Answer{.headers = {{"content-type", std::string(kProtobufType)}}, .open = true}
                : Http2Answer{.reset = 2};
  });
  constexpr Reflector::Limits kSlow{.first_wait = 3600s, .longest_wait = 3600s};
  Client client(loop.context, loop.pool, api.access());
  const auto asked = [&api] { return api.asked().size(); };
  test::FollowedKind<Pod> pods(loop, client, {.resource = kPods, .limits = kSlow});
  test::FollowedKind<Pod> told(loop, client, {.resource = kPods, .scope = {.fields = "told"}, .limits = kSlow});
  REQUIRE(loop.until([&] { return asked() == 2; }));
  CHECK(loop.run(client.get(kNodes, {"", "n"})).has_error());
  CHECK(asked() == 3);
  back = true;
  CHECK(loop.run(client.get(kNodes, {"", "n"})).has_value());
  REQUIRE(loop.until([&] { return asked() == 5 && !pods.watcher.followed().problem; }));
  CHECK(told.watcher.followed().problem.has_value());
  int returns = 0;
  std::shared_ptr<void> kept = client.on_return([&returns] { ++returns; });
  CHECK(loop.run(client.get(kNodes, {"", "n"})).has_value());
  CHECK(returns == 0);  // it was there all the time
  back = false;
  CHECK(loop.run(client.get(kNodes, {"", "n"})).has_error());
  back = true;
  CHECK(loop.run(client.get(kNodes, {"", "n"})).has_value());
  CHECK(returns == 1);
  kept.reset();
  back = false;
  CHECK(loop.run(client.get(kNodes, {"", "n"})).has_error());
  back = true;
  CHECK(loop.run(client.get(kNodes, {"", "n"})).has_value());
  CHECK(returns == 1);
}

TEST_CASE("a refused token is read anew at once, and only once for each request") {
  test::Loop loop;
  test::TempTree tree;
  tree.file("token", "old");
  Api api([&tree](const Http2Asked& asked, std::size_t) {
    const std::string token = asked.headers.at("authorization");
    if (token == "Bearer old") tree.file("token", "new");
    return Http2Answer{.status = token == "Bearer new" ? 200U : 401U, .body = token};
  });
  Access access = api.access();
  access.token.file = tree.path() + "/token";
  Client client(loop.context, loop.pool, access);
  CHECK(loop.run(client.get(kNodes, {"", "n"}))->text == "Bearer new");
  CHECK(api.asked().size() == 2);
  CHECK(api.asked()[0].headers.at(":path") == "/api/v1/nodes/n");
  tree.file("token", "bad");
  CHECK(loop.run(client.get(kNodes, {"", "n"}))->text == "Bearer new");  // a minute long
}

TEST_CASE("who is told to come later comes later, and no more than three times") {
  test::Loop loop;
  Api api([](const Http2Asked&, std::size_t turn) {
    if (turn == 0 || turn > 1) return Http2Answer{.status = 429, .headers = {{"retry-after", "0"}}};
    return Http2Answer{.status = 200, .body = "{}"};
  });
  Client client(loop.context, loop.pool, api.access());
  CHECK(loop.run(client.apply(kLeases, {"s", "l"}, "{}", "me")).has_value());
  const std::vector<Http2Asked> asked = api.asked();
  REQUIRE(asked.size() == 2);
  CHECK(asked[1].headers.at(":method") == "PATCH");
  CHECK(asked[1].headers.at("content-type") == kApplyType);
  CHECK(asked[1].headers.at(":path") ==
        "/apis/coordination.k8s.io/v1/namespaces/s/leases/l?fieldManager=me&force=true");
  CHECK(loop.run(client.remove(kLeases, {"s", "l"})).error().code == Code::resource_exhausted);
  CHECK(api.asked().size() == 6);
}

TEST_CASE("an error has the server's words, bounded and printable") {
  test::Loop loop;
  Api api([](const Http2Asked& asked, std::size_t) {
    const std::string& path = asked.headers.at(":path");
    if (path.ends_with("/json"))
      return Http2Answer{.status = 409,
                         .body = R"({"kind":"Status","code":409,"reason":"Conflict","message":"two\u001b"})"};
    if (path.ends_with("/proto")) return Http2Answer{.status = 403, .body = test::status_message(403, "Forbidden")};
    return Http2Answer{.status = 502, .body = "<html>" + std::string(5000, 'x')};
  });
  Client client(loop.context, loop.pool, api.access());
  const auto error = [&](const std::string& name) { return loop.run(client.get(kPods, {"s", name})).error(); };
  CHECK(error("json").message == "the API server answered 409: two\\x1b");
  CHECK(error("proto").code == Code::permission_denied);
  CHECK(error("proto").message == "the API server answered 403: said: Forbidden");
  CHECK(error("html").code == Code::unavailable);
  CHECK(error("html").message.size() < 300);
}

TEST_CASE("a server of HTTP/1.1 alone is asked over connections of that") {
  test::Loop loop;
  const io::PrivateKey ca_key = *io::PrivateKey::generate(), key = *io::PrivateKey::generate();
  io::CertificateRequest request;
  request.common_name = "test CA";
  request.public_key_info = ca_key.public_key_info();
  request.not_before = wall_now() - 1h;
  request.not_after = wall_now() + 24h;
  request.is_ca = true;
  const std::string ca = *io::issue_certificate(request, {}, ca_key);
  request.is_ca = false;
  request.public_key_info = key.public_key_info();
  request.server_names = {"api.example"};
  io::ServerTlsOptions options;
  options.chain = {*io::issue_certificate(request, ca, ca_key)};
  options.key = key;
  int asked = 0;
  io::HttpServer server(loop.context,
                        {{"GET", "/prefix/api/v1/pods",
                          [&asked](io::HttpRequest&) -> asio::awaitable<io::HttpResponse> {
                            io::HttpResponse out;
                            out.content_type = kProtobufType;
                            if (++asked == 1)
                              out.body = test::pod_event("ADDED", "a", "1") + test::bookmark_event("5", true);
                            else
                              out.body = test::pod_event("DELETED", "a", "6");
                            co_return out;
                          }}},
                        {});
  const std::uint16_t port = *server.listen_tcp("127.0.0.1:0", *io::TlsContext::server(options));
  Access access;
  access.server = "https://127.0.0.1:" + std::to_string(port) + "/prefix/";
  access.server_name = "api.example";
  access.cas.text = io::to_pem(ca);
  FollowedPods one(loop, access);
  REQUIRE(loop.until([&] { return one.told.size() >= 3; }));
  CHECK(Words(one.told.begin(), one.told.begin() + 3) == Words{"+a", "whole", "-a"});
  CHECK(one.client.http1());
  // Its own requests share a connection, and take none of a watch.
  for (int i = 0; i < 3; ++i)
    CHECK(loop.run(one.client.get(kNodes, {"", "n"})).error().code == Code::not_found);
  one.watcher.stop();
  server.stop();
}

}  // namespace omnitide::kubernetes
