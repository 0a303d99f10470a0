#include "discovery/sources/catalogue.hpp"
#include "tests/harness/catch.hpp"
#include "tests/harness/fixture.hpp"
#include "tests/harness/readings.hpp"

using namespace omnitide;
using namespace omnitide::discovery;
using namespace omnitide::test;
using model::UsbDevice;

TEST_CASE("USB devices tell ids, class, strings and speed; interfaces are none") {
  const Reading reading = read_source(usb_source(), fixture("server-numa"));
  CHECK(reading.problems.empty());
  REQUIRE(reading.facts.bus.usb.size() == 2);
  const UsbDevice& hub = item(reading.facts.bus.usb, &UsbDevice::path, "usb1");
  CHECK(hub.vendor_id == 0x1D6B);
  CHECK(hub.product_id == 2);
  CHECK(hub.device_class == 9);
  CHECK(hub.product == "xHCI Host Controller");
  CHECK(hub.serial == "0000:00:14.0");
  CHECK(hub.speed_megabits == 480U);
  CHECK(hub.vendor_name == "Linux Foundation");
  CHECK(hub.product_name == "2.0 root hub");
  const UsbDevice& keyboard = item(reading.facts.bus.usb, &UsbDevice::path, "1-1");
  CHECK(keyboard.product_name == "Virtual mouse/keyboard device");
  CHECK(keyboard.speed_megabits == 2U);  // low speed is 1.5
}

TEST_CASE("garbage of USB devices is a problem each, and never an escape sequence in the facts") {
  const Reading reading = read_source(usb_source(), fixture("hostile"));
  CHECK(reading.problems.size() == 3);
  for (const UsbDevice& each : reading.facts.bus.usb) {
    CHECK(each.path.find('\x07') == std::string::npos);
    CHECK(each.product.find('\x1b') == std::string::npos);
  }
}

TEST_CASE("a device that goes while it is read is no device and no problem") {
  TempTree tree("server-numa");
  tree.remove("sys/devices/pci0000:00/0000:00:14.0/usb1/1-1");
  const Reading reading = read_source(usb_source(), tree.root());
  CHECK(reading.facts.bus.usb.size() == 1);
  CHECK(reading.problems.empty());
}
