// The writer of conditions against a server over a real socket that answers by a script.
#include "agent/daemon/node_conditions_writer.hpp"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/json.hpp>
#include <mutex>

#include "tests/harness/catch.hpp"
#include "tests/harness/http2_server.hpp"
#include "tests/harness/loop.hpp"

namespace omnitide::daemon {
namespace {

namespace asio = boost::asio;
using kubernetes::NodeCondition;
using namespace std::chrono_literals;
using test::Http2Answer;
using test::Http2Asked;

constexpr NodeConditionsWriter::Times kQuick{
    .first = 1ms, .pause = 1ms, .heartbeat = 1h, .abandoned = 15min, .retry = 1ms, .longest_retry = 5ms};

Http2Answer json(std::string body, unsigned status = 200) {
  return {.status = status, .headers = {{"content-type", "application/json"}}, .body = std::move(body)};
}
Http2Answer conflict(const std::string& type) {
  return json(R"({"kind":"Status","code":409,"reason":"Conflict","message":"Apply failed","details":{"causes":[
    {"reason":"FieldManagerConflict","message":"conflict with \"npd\"","field":".status.conditions[type=\")" +
                  type + R"(\"].status"}]}})",
              409);
}

// A writer of what `conditions` has, its server, and the types of each body that came.
class Written {
 public:
  using Script = std::function<Http2Answer(const Http2Asked&, std::size_t turn)>;
  explicit Written(Script script, NodeConditionsWriter::Times times = kQuick)
      : server_([this, script = std::move(script)](const Http2Asked& asked) {
          const std::lock_guard lock(mutex_);
          asked_.push_back(asked);
          return script(asked, asked_.size() - 1);
        }),
        client_(loop.context, loop.pool, access()),
        writer(
            loop.context, client_, "node-1", [this](const auto& /*written*/) { return conditions; }, [] {}, times) {
    asio::co_spawn(
        loop.context,
        [this]() -> asio::awaitable<void> {
          co_await writer.run();
          done_ = true;
        },
        asio::detached);
  }
  ~Written() {
    writer.stop();
    client_.close();
    (void)loop.until([this] { return done_; });
  }
  Written(const Written&) = delete;
  Written& operator=(const Written&) = delete;

  [[nodiscard]] std::vector<Http2Asked> asked() {
    const std::lock_guard lock(mutex_);
    return asked_;
  }
  bool until_asked(std::size_t times) {
    return loop.until([this, times] { return asked().size() >= times; });
  }
  bool until_written(std::size_t times) {
    return loop.until([this, times] { return writer.counts().writes >= times; });
  }
  static std::vector<std::string> types(const Http2Asked& asked) {
    std::vector<std::string> out;
    const boost::json::value body = boost::json::parse(asked.body);
    if (const auto* list = body.at("status").as_object().if_contains("conditions"))
      for (const boost::json::value& each : list->as_array())
        out.emplace_back(each.at("type").as_string());
    return out;
  }

  test::Loop loop;
  std::vector<NodeCondition> conditions{{"A", "True", "R", "m", {}}, {"B", "False", "R", "m", {}}};

 private:
  [[nodiscard]] kubernetes::Access access() const {
    kubernetes::Access out;
    out.server = "http://" + server_.address();
    return out;
  }
  std::mutex mutex_;
  std::vector<Http2Asked> asked_;
  test::Http2Server server_;
  kubernetes::Client client_;
  bool done_ = false;

 public:
  NodeConditionsWriter writer;
};

using Types = std::vector<std::string>;

}  // namespace

TEST_CASE("conditions are applied to the Node's status without force, and again when they change") {
  Written node([](const Http2Asked&, std::size_t) { return json("{}"); });
  REQUIRE(node.until_written(1));
  const Http2Asked first = node.asked().at(0);
  CHECK(first.headers.at(":method") == "PATCH");
  CHECK(first.headers.at(":path") == "/api/v1/nodes/node-1/status?fieldManager=omnitide-agent-conditions");
  CHECK(Written::types(first) == Types{"A", "B"});
  node.conditions.pop_back();
  node.writer.changed();
  REQUIRE(node.until_written(2));
  CHECK(Written::types(node.asked().at(1)) == Types{"A"});
  node.loop.run_for(20ms);
  CHECK(node.asked().size() == 2);
}

TEST_CASE("a heartbeat comes by itself") {
  NodeConditionsWriter::Times times = kQuick;
  times.heartbeat = 10ms;
  Written node([](const Http2Asked&, std::size_t) { return json("{}"); }, times);
  CHECK(node.until_written(3));
}

TEST_CASE("a server that does not take it is asked until it does, and gets the latest then") {
  Written node([](const Http2Asked&, std::size_t turn) { return turn < 3 ? json("{}", 503) : json("{}"); });
  REQUIRE(node.until_asked(2));
  CHECK_FALSE(node.writer.problem().empty());
  node.conditions = {{"C", "True", "R", "m", {}}};
  node.writer.changed();
  REQUIRE(node.until_written(1));
  CHECK(Written::types(node.asked().back()) == Types{"C"});
  CHECK(node.writer.problem().empty());
}

TEST_CASE("a type that another one keeps is left to it") {
  Written node([](const Http2Asked& asked, std::size_t) {
    if (asked.headers.at(":method") == "GET")
      return json(R"({"status":{"conditions":[{"type":"A","lastHeartbeatTime":"2999-01-01T00:00:00Z"}]}})");
    return asked.body.find("\"A\"") != std::string::npos ? conflict("A") : json("{}");
  });
  REQUIRE(node.until_written(1));
  CHECK(node.writer.foreign() == Types{"A"});
  CHECK(node.writer.written() == Types{"B"});
  for (const Http2Asked& each : node.asked())
    CHECK(each.headers.at(":path").find("force") == std::string::npos);
  const std::size_t before = node.asked().size();
  node.writer.changed();
  REQUIRE(node.until_written(2));
  CHECK(node.asked().size() == before + 1);  // it is not asked about with each change
}

TEST_CASE("a type that nobody has kept for a quarter of an hour is taken over") {
  Written node([](const Http2Asked& asked, std::size_t) {
    if (asked.headers.at(":method") == "GET")
      return json(R"({"status":{"conditions":[{"type":"A","lastHeartbeatTime":"2020-01-01T00:00:00Z"}]}})");
    const bool force = asked.headers.at(":path").find("force=true") != std::string::npos;
    return !force && asked.body.find("\"A\"") != std::string::npos ? conflict("A") : json("{}");
  });
  REQUIRE(node.until_written(1));
  CHECK(node.writer.foreign().empty());
  CHECK(Written::types(node.asked().back()) == Types{"A", "B"});
}

TEST_CASE("a type that the cluster's admission policy does not know is written with the agent's prefix") {
  Written node([](const Http2Asked& asked, std::size_t) {
    return asked.body.find("\"B\"") == std::string::npos
               ? json("{}")
               : json(
                     R"({"kind":"Status","code":422,"message":"denied request: the agent may not write the condition B"})",
                     422);
  });
  REQUIRE(node.until_written(1));
  CHECK(node.writer.written() == Types{"A", "OmnitideB"});
  CHECK(node.writer.problem().empty());
}

TEST_CASE("when the node is left all are taken away, and nothing is written any more until it is not left after all") {
  Written node([](const Http2Asked&, std::size_t turn) { return turn == 1 ? json("{}", 503) : json("{}"); });
  REQUIRE(node.until_written(1));
  node.writer.leave(true);
  CHECK_FALSE(node.writer.left());
  REQUIRE(node.loop.until([&node] { return node.writer.left(); }));
  CHECK(Written::types(node.asked().back()).empty());
  const std::size_t asked = node.asked().size();
  node.writer.changed();
  node.loop.run_for(20ms);
  CHECK(node.asked().size() == asked);
  node.writer.leave(false);
  REQUIRE(node.until_asked(asked + 1));
  CHECK(Written::types(node.asked().back()) == Types{"A", "B"});
}

}  // namespace omnitide::daemon
