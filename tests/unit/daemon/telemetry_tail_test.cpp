// What `telemetry tail` is given, and rates.
#include "agent/daemon/telemetry_tail.hpp"

#include <stdlib.h>
#include <unistd.h>

#include <array>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>

#include "agent/daemon/telemetry_report.hpp"
#include "agent/telemetry/sparkplug_payload.hpp"
#include "omnitide/node/v1/telemetry.pb.h"
#include "omnitide/node/v1/telemetry_status.pb.h"
#include "tests/harness/catch.hpp"

namespace omnitide::daemon {
namespace {

namespace asio = boost::asio;
namespace v1 = node::v1;
using namespace std::chrono_literals;

// What one request gets.
v1::TelemetryMessageList ask(asio::io_context& context, TelemetryTail& tail, std::uint64_t after,
                             std::chrono::milliseconds patience = 0ms, const std::string& aliases = "/nonexistent") {
  v1::TelemetryMessageList out;
  asio::co_spawn(context, tail.messages(after, patience, aliases, out), asio::detached);
  context.restart();
  context.run();
  return out;
}

std::string data(std::uint64_t alias, double value, bool historical) {
  const telemetry::MetricValue held = value;
  telemetry::PayloadWriter writer(WallTime(5s));
  writer.add({.name = {},
              .alias = alias,
              .time = WallTime(4s),
              .type = {},
              .historical = historical,
              .value = &held,
              .unit = {}});
  return std::move(writer).finish(7);
}

}  // namespace

TEST_CASE("nothing is kept until somebody asks, and then it comes in order") {
  asio::io_context context;
  TelemetryTail tail(context);
  tail.sent("omnitide/v1/g/n/events", "early");
  CHECK(ask(context, tail, 0).items_size() == 0);
  v1::EventsReport report;
  report.add_items()->set_message("a sentence");
  tail.sent("omnitide/v1/g/n/events", report.SerializeAsString());
  tail.sent("omnitide/v1/g/n/status", "online");
  const v1::TelemetryMessageList first = ask(context, tail, 0, 0ms);
  // Who asks without a number hears what comes from now on; with the number of the last answer, what came since.
  CHECK(first.items_size() == 0);
  tail.sent("omnitide/v1/g/n/status", "third");
  const v1::TelemetryMessageList next = ask(context, tail, first.next());
  REQUIRE(next.items_size() == 1);
  CHECK(next.items(0).text() == "third");
  CHECK(next.items(0).number() == first.next() + 1);
  CHECK(next.next() == next.items(0).number());
}

TEST_CASE("values of Sparkplug have names, from the table of aliases") {
  std::array<char, 40> folder{"/tmp/omnitide-tail-XXXXXX"};
  REQUIRE(::mkdtemp(folder.data()) != nullptr);
  const std::string file = std::string(folder.data()) + "/aliases";
  auto table = telemetry::AliasTable::load(file);
  REQUIRE(table.has_value());
  const auto alias = table->alias(
      {.device = "", .name = "node_load1", .type = telemetry::DataType::double_, .value = 0.5, .unit = {}});
  REQUIRE(alias.has_value());
  REQUIRE(table->save().has_value());
  asio::io_context context;
  TelemetryTail tail(context);
  (void)ask(context, tail, 0);
  tail.sent("spBv1.0/g/NDATA/n", data(*alias, 0.25, true));
  tail.sent("spBv1.0/g/NDATA/n", data(*alias + 1000, 1, false));
  tail.sent("spBv1.0/g/NDATA/n", "\xff");
  const v1::TelemetryMessageList list = ask(context, tail, 1, 0ms, file);
  REQUIRE(list.items_size() == 2);
  CHECK(list.items(0).values(0).name() == "alias " + std::to_string(*alias + 1000));
  CHECK_FALSE(list.items(1).text().empty());
  const v1::TelemetryMessageList all = ask(context, tail, 0, 0ms, file);
  CHECK(all.items_size() == 0);
  ::unlink(file.c_str());
  ::rmdir(folder.data());
}

TEST_CASE("what is sent faster than it is asked for is bounded, and told") {
  asio::io_context context;
  TelemetryTail tail(context);
  (void)ask(context, tail, 0);
  tail.sent("a/status", "first");
  for (int i = 0; i < 3000; ++i)
    tail.sent("a/status", std::string(1000, 'x'));
  const v1::TelemetryMessageList list = ask(context, tail, 1);
  CHECK(list.lost() > 1000);
  CHECK(list.items_size() == 500);
  CHECK(list.items(0).number() == 1 + list.lost() + 1);
}

TEST_CASE("rates are of the last minute") {
  TelemetryRates rates;
  telemetry::PublisherStatus status;
  const SteadyTime begin{};
  for (int second = 0; second <= 300; second += 10) {
    status.bytes_out = static_cast<std::uint64_t>(second) * (second > 150 ? 1000 : 0);
    status.confirmed.at(0) = static_cast<std::uint64_t>(second) * 2;
    rates.note(begin + std::chrono::seconds(second), status);
  }
  CHECK(rates.rates().bytes == Approx(1000));
  CHECK(rates.rates().confirmed.at(0) == Approx(2));
  CHECK(rates.rates().confirmed.at(1) == 0);
  status.bytes_out = 0;  // another publisher
  rates.note(begin + std::chrono::seconds(310), status);
  CHECK(rates.rates().bytes == 0);
}

}  // namespace omnitide::daemon
