// Telemetry's state for reading.
#include "agent/cli/telemetry_commands.hpp"
#include "omnitide/node/v1/telemetry_status.pb.h"
#include "tests/harness/catch.hpp"

namespace omnitide::cli {
namespace {

namespace v1 = node::v1;

constexpr WallTime kNow{std::chrono::milliseconds(1'767'268'800'000)};

void set(google::protobuf::Timestamp& time, std::chrono::seconds ago) {
  time.set_seconds(std::chrono::duration_cast<std::chrono::seconds>(kNow.time_since_epoch() - ago).count());
}

v1::TelemetryStatus offline() {
  v1::TelemetryStatus out;
  out.set_group("plant");
  out.set_node("press-7");
  out.set_client_id("omnitide-press-7");
  out.set_link("waiting");
  out.set_broker("broker.example:8883");
  out.set_problem("no answer\x1b[2J");
  set(*out.mutable_since(), std::chrono::minutes(3));
  set(*out.mutable_next_attempt(), std::chrono::seconds(-7));
  out.mutable_sparkplug()->set_phase("disconnected");
  out.mutable_sparkplug()->set_bd_seq(4);
  out.set_interval_seconds(10);
  v1::TelemetrySpool& spool = *out.mutable_spool();
  spool.set_folder("/var/lib/omnitide/telemetry/spool");
  spool.set_disk_bytes(1U << 20U);
  spool.set_limit_bytes(64U << 20U);
  v1::TelemetryStream& events = *spool.add_streams();
  events.set_name("events");
  events.set_backlog(12);
  events.set_first(5);
  events.set_next(17);
  set(*events.mutable_oldest(), std::chrono::hours(26));
  v1::TelemetryDrop& drop = *events.add_drops();
  drop.set_cause("size");
  drop.set_records(3);
  spool.add_streams()->set_name("flows");
  return out;
}

}  // namespace

TEST_CASE("telemetry's status says why it is not connected, what waits and what was dropped") {
  const std::string text = telemetry_text(offline(), kNow, Console{});
  CAPTURE(text);
  CHECK(text.find("Broker     waiting for broker.example:8883 since 3m") != std::string::npos);
  CHECK(text.find("no answer\\x1b[2J; next attempt in 7s") != std::string::npos);
  CHECK(text.find("Sparkplug  disconnected, bdSeq 4") != std::string::npos);
  CHECK(text.find("Names      group plant, node press-7, client omnitide-press-7") != std::string::npos);
  CHECK(text.find("Backlog    12 records") != std::string::npos);
  CHECK(text.find("the oldest 1d2h old; 1 MiB of 64 MiB on disk") != std::string::npos);
  CHECK(text.find("3 size") != std::string::npos);
}

TEST_CASE("the spool's table has a row a stream") {
  const std::string text = spool_text(offline().spool(), kNow, Console{});
  CAPTURE(text);
  CHECK(text.find("/var/lib/omnitide/telemetry/spool: 1 MiB in 0 segments, 64 MiB allowed") != std::string::npos);
  CHECK(text.find("2025-12-31T10:00:00.000Z (1d2h ago)") != std::string::npos);
  CHECK(text.find("flows") != std::string::npos);
}

}  // namespace omnitide::cli
