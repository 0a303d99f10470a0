// What nodes say of their desired states, and what operators see of it.
#include "tests/harness/catch.hpp"
#include "tests/harness/policies.hpp"

using namespace omnitide;
using namespace omnitide::test;

TEST_CASE("the roll-out shows who holds, applies and fails what, and keeps it over a restart") {
  ControlPlane plane;
  const std::string token = plane.token();
  std::vector<Device> devices;
  for (int i = 0; i < 4; ++i)
    devices.emplace_back(plane).join(token);
  put(plane, "web", policy("web", 80));
  const auto old = fetch(devices[0]).as<v1::DesiredState>();
  for (Device& device : devices)
    CHECK(report(device, applied(old)).desired_sha256() == old.sha256());
  put(plane, "web", policy("web", 81));
  const auto next = fetch(devices[0]).as<v1::DesiredState>();
  report(devices[0], applied(next));
  report(devices[1], applied(next, 2));
  v1::DesiredStateReport held = applied(old);
  held.set_held_version(next.version());
  held.set_held_sha256(next.sha256());
  report(devices[2], held);
  const auto check = [&] {
    const auto list = roll_out(plane);
    REQUIRE(list.items_size() == 2);
    const v1::DesiredStateVersion& now = list.items(0);
    CHECK(now.version() == next.version());
    CHECK(now.nodes() == 4);
    CHECK(now.holding() == 3);
    CHECK(now.applied() == 1);
    CHECK(now.faulty() == 1);
    REQUIRE(now.faults_size() == 1);
    CHECK(now.faults(0).node_id() == devices[1].id);
    CHECK(now.faults(0).first_fault() == "web: no room");
    REQUIRE(now.documents_size() == 1);
    CHECK(now.documents(0).name() == "web");
    CHECK(list.items(1).version() == old.version());
    CHECK(list.items(1).nodes() == 0);
    CHECK(list.items(1).outdated() == 2);
  };
  check();
  plane.restart();
  check();
  const auto shown = plane.admin().call("GET", "/v1/nodes/" + devices[2].id).as<v1::Node>();
  CHECK(shown.desired_version() == next.version());
  CHECK(shown.desired_report().applied_version() == old.version());
  CHECK(shown.desired_report().held_sha256() == next.sha256());
  // A node that goes takes its report with it.
  CHECK(plane.admin().call("DELETE", "/v1/nodes/" + devices[1].id).status() == 200);
  CHECK(roll_out(plane).items(0).faulty() == 0);
}

TEST_CASE("kept versions of before are listed when asked for, with what was in them") {
  ControlPlane plane;
  Device device(plane);
  device.join(plane.token());
  for (int port = 1; port <= 3; ++port) {
    put(plane, "web", policy("web", port));
    (void)device.heartbeat();
  }
  CHECK(roll_out(plane).items_size() == 1);
  const auto all = roll_out(plane, true);
  REQUIRE(all.items_size() == 3);
  CHECK(all.items(0).version() == 3);
  CHECK(all.items(0).nodes() == 1);
  CHECK(all.items(2).version() == 1);
  CHECK(all.items(2).nodes() == 0);
}

TEST_CASE("a report beyond its bounds is cut, never a reason to refuse a heartbeat") {
  ControlPlane plane;
  Device device(plane);
  device.join(plane.token());
  v1::DesiredStateReport said;
  said.set_held_sha256("short");
  said.set_applied_sha256(std::string(1000, 'x'));
  said.set_faults(UINT32_MAX);
  std::string fault;
  for (int i = 0; i < 400; ++i)
    fault += "\xc3\xa4";  // two bytes each: a cut must not leave a half
  said.set_first_fault(fault);
  report(device, said);
  const auto kept = plane.admin().call("GET", "/v1/nodes/" + device.id).as<v1::Node>().desired_report();
  CHECK(kept.held_sha256().empty());
  CHECK(kept.applied_sha256().empty());
  CHECK(kept.faults() == UINT32_MAX);
  CHECK(kept.first_fault().size() <= 512);
  CHECK(kept.first_fault().size() > 400);
}
