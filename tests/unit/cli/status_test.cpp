#include "agent/cli/status_text.hpp"
#include "omnitide/node/v1/local.pb.h"
#include "tests/harness/catch.hpp"

namespace omnitide::cli {

TEST_CASE("the status shows each part, on or off and why, and every URL") {
  node::v1::Status status;
  status.set_hostname("press-7");
  status.set_node_id("n-abc");
  status.set_version("0.1.0");
  status.set_ready(true);
  status.set_ready_after_seconds(0.0424);
  status.set_certificate_seconds(0.012);
  status.set_resident_bytes(9U << 20U);
  status.mutable_started()->set_seconds(1000);
  auto* part = status.add_parts();
  part->set_name("http");
  part->set_state(node::v1::PART_STATE_ON);
  part->add_urls("http://127.0.0.1:9797/metrics");
  part->add_urls("http://127.0.0.1:9797/healthz");
  part = status.add_parts();
  part->set_name("registration");
  part->set_state(node::v1::PART_STATE_OFF);
  part->set_reason("registration.endpoint is not set");
  auto* registration = status.mutable_registration();
  registration->set_state("waiting");
  registration->set_endpoint("https://r:7443");
  registration->set_reason("evil\x1b[2J");
  registration->set_generation(3);
  registration->set_acknowledged_generation(2);
  auto* source = status.add_sources();
  source->set_name("nvme");
  source->set_error("EIO");
  auto* event = status.add_events();
  event->mutable_time()->set_seconds(1060);
  event->set_part("agent");
  event->set_level("info");
  event->set_message("ready");
  const WallTime now{std::chrono::seconds{1000 + 3700}};
  CHECK(status_text(status, nullptr, now, Console{}) ==
        "press-7  n-abc  ready, up 1h1m, 9 MiB resident, version 0.1.0\n"
        "Ready 42 ms after its start, of which 12 ms for keys and certificates\n"
        "\n"
        "PART          STATE  DETAIL\n"
        "http          on     http://127.0.0.1:9797/metrics\n"
        "                     http://127.0.0.1:9797/healthz\n"
        "registration  off    registration.endpoint is not set\n"
        "\n"
        "Registration: waiting at https://r:7443 (evil\\x1b[2J), generation 3 waits to be acknowledged (have 2)\n"
        "Source nvme is incomplete: EIO\n"
        "\n"
        "Last events (UTC)\n"
        "  00:17:40  info  agent  ready\n");
}

TEST_CASE("the status says why the agent is not ready") {
  node::v1::Status status;
  status.set_hostname("press-7");
  status.set_version("0.1.0");
  status.set_not_ready_because("http failed: \x1b[2J");
  const std::string text = status_text(status, nullptr, WallTime{}, Console{});
  CHECK(text.starts_with("press-7  not ready, up 0s, 0 B resident, version 0.1.0\nNot ready: http failed: \\x1b[2J\n"));
}

}  // namespace omnitide::cli
