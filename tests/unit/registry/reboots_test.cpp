// Leases of restarts: so many nodes of the fleet at once, each for a while.
#include "agent/registry/schema.hpp"
#include "tests/harness/catch.hpp"
#include "tests/harness/registry.hpp"

using namespace omnitide;
using namespace omnitide::test;
using namespace std::chrono_literals;

namespace {

Reply ask(Device& device, const std::string& boot) {
  v1::RebootLeaseRequest request;
  request.set_boot_id(boot);
  return device.connection().call("POST", "/v1/nodes/" + device.id + "/reboot-lease", &request);
}
v1::RebootLease lease(Device& device, const std::string& boot = "boot-1") {
  return ask(device, boot).as<v1::RebootLease>();
}

}  // namespace

TEST_CASE("no more nodes than there are slots restart at once, and a slot is free again after a while") {
  ControlPlane plane([](registry::Options& options) {
    options.reboots_at_once = 2;
    options.reboot_lease = 10min;
  });
  Device a(plane), b(plane), c(plane);
  for (Device* each : {&a, &b, &c})
    each->join(plane.token());
  CHECK(lease(a).granted());
  plane.clock.advance(5min);
  CHECK(lease(b).granted());
  const v1::RebootLease refused = lease(c);
  CHECK_FALSE(refused.granted());
  CHECK_FALSE(refused.has_expires());
  CHECK((refused.slots() == 2 && refused.taken() == 2));
  CHECK(plane.metric("reboot_leases_total") == 2);
  CHECK(plane.metric("reboot_leases_refused_total") == 1);
  plane.clock.advance(5min + 1s);  // a's is over, b's is not
  CHECK(lease(c).granted());
  CHECK_FALSE(lease(a).granted());
}

TEST_CASE(
    "the same boot has one lease, however often it asks; it ends when it was to end, over restarts of the registry "
    "too") {
  ControlPlane plane([](registry::Options& options) { options.reboot_lease = 10min; });
  Device a(plane), b(plane);
  a.join(plane.token());
  b.join(plane.token());
  const v1::RebootLease first = lease(a);
  REQUIRE(first.granted());
  plane.clock.advance(4min);
  CHECK(lease(a).expires().seconds() == first.expires().seconds());
  plane.restart();
  a.reconnect();
  b.reconnect();
  CHECK(lease(a).expires().seconds() == first.expires().seconds());
  CHECK_FALSE(lease(b).granted());
  // The node came back and has to restart again: it takes its own slot anew.
  const v1::RebootLease second = lease(a, "boot-2");
  CHECK(second.granted());
  CHECK(second.expires().seconds() > first.expires().seconds());
  plane.clock.advance(11min);
  CHECK(lease(b).granted());
}

TEST_CASE("without slots none is given") {
  ControlPlane plane([](registry::Options& options) { options.reboots_at_once = 0; });
  Device device(plane);
  device.join(plane.token());
  CHECK_FALSE(lease(device).granted());
}

TEST_CASE("a lease is for the node of the certificate, with a boot, and not for one in quarantine") {
  ControlPlane plane;
  Device device(plane), other(plane);
  device.join(plane.token());
  other.join(plane.token());
  CHECK(ask(device, "").status() == 400);
  CHECK(ask(device, "").error().field == "bootId");
  CHECK(ask(device, std::string(65, 'x')).status() == 400);
  v1::RebootLeaseRequest request;
  request.set_boot_id("boot");
  CHECK(other.connection().call("POST", "/v1/nodes/" + device.id + "/reboot-lease", &request).status() == 403);
  CHECK(plane.admin().call("POST", "/v1/nodes/" + device.id + "/reboot-lease", &request).status() == 401);
  v1::StateChangeRequest quarantine;
  REQUIRE(plane.admin().call("POST", "/v1/nodes/" + device.id + ":quarantine", &quarantine).status() == 200);
  CHECK(ask(device, "boot").status() == 403);
}

TEST_CASE("a database of the form before leases is brought up") {
  ControlPlane plane;
  Device device(plane);
  device.join(plane.token());
  plane.stop();
  {
    auto database =
        must(registry::Database::open(plane.folder.path + "/registry.db", registry::Database::Mode::read_write));
    must(database.execute("DROP TABLE reboot_leases; PRAGMA user_version = 2"));
  }
  plane.start();
  device.reconnect();
  CHECK(lease(device).granted());
}
