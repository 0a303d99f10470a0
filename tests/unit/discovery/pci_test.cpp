#include <fmt/format.h>

#include "discovery/sources/catalogue.hpp"
#include "discovery/sources/idsdb.hpp"
#include "discovery/sources/sysfs.hpp"
#include "tests/harness/catch.hpp"
#include "tests/harness/fixture.hpp"
#include "tests/harness/readings.hpp"

using namespace omnitide;
using namespace omnitide::discovery;
using namespace omnitide::test;
using model::Accelerator;
using model::PciDevice;

TEST_CASE("a PCI function tells class, ids, driver, NUMA node and its names") {
  const Reading reading = read_source(pci_source(), fixture("server-numa"));
  CHECK(reading.problems.empty());
  const PciDevice& nic = item(reading.facts.bus.pci, &PciDevice::address, "0000:3b:00.0");
  CHECK(nic.class_code == 0x020000);
  CHECK(nic.vendor_id == 0x8086);
  CHECK(nic.device_id == 0x1572);
  CHECK(nic.subvendor_id == 0x8086);
  CHECK(nic.subdevice_id == 0x0007);
  CHECK(nic.revision == 2);
  CHECK(nic.driver == "i40e");
  CHECK(nic.numa_node == 0);
  CHECK(nic.class_name == "Ethernet controller");
  CHECK(nic.vendor_name == "Intel Corporation");
  CHECK(nic.device_name == "Ethernet Controller X710 for 10GbE SFP+");
  CHECK(item(reading.facts.bus.pci, &PciDevice::address, "0000:00:00.0").driver.empty());
}

TEST_CASE("without the id database a function has its numbers alone") {
  const Reading reading = read_source(pci_source(), fixture("vm-virtio"));
  CHECK(reading.problems.empty());
  const PciDevice& nic = item(reading.facts.bus.pci, &PciDevice::address, "0000:00:01.0");
  CHECK(nic.vendor_id == 0x1AF4);
  CHECK(nic.vendor_name.empty());
  CHECK_FALSE(nic.numa_node);
}

TEST_CASE("garbage of PCI functions is a problem each, and never an escape sequence in the facts") {
  const Reading reading = read_source(pci_source(), fixture("hostile"));
  CHECK(reading.problems.size() == 4);
  for (const PciDevice& each : reading.facts.bus.pci)
    CHECK(each.driver.find('\x1b') == std::string::npos);
}

TEST_CASE("names come from the vendor's own section, and a broken database gives none") {
  IdNames ids;
  ids.want(0x8086, 0x1572);
  ids.want(0x10DE, 0x1572);
  ids.want_class(0x020000);
  ids.want_class(0x02FF00);
  ids.scan("10de  NVIDIA\n8086  Intel\n\t1572  X710\n\t\t8086 0007  Sub\nC 02  Network\n\t00  Ethernet\n\t1572  No\n");
  CHECK(ids.vendor(0x8086) == "Intel");
  CHECK(ids.device(0x8086, 0x1572) == "X710");
  CHECK(ids.device(0x10DE, 0x1572).empty());
  CHECK(ids.class_name(0x020000) == "Ethernet");
  CHECK(ids.class_name(0x02FF00) == "Network");
  CHECK(ids.vendor(0x1234).empty());
  IdNames broken;
  broken.want(0x8086, 0x1572);
  broken.scan("8086\n8086 \n\t1572  Orphan\n\t\nC\nC \n\t");
  CHECK(broken.vendor(0x8086).empty());
  CHECK(broken.device(0x8086, 0x1572).empty());
}

TEST_CASE("the database is read in pieces without losing a line, and one without line ends is a problem") {
  std::string text;
  for (unsigned i = 0; i < 30000; ++i)
    text += fmt::format("{:04x}  Vendor {}\n", i, i);
  TempTree tree;
  tree.file("usr/share/hwdata/pci.ids", text);
  const Root root = tree.root();
  Reader reader(root);
  IdNames ids;
  for (unsigned i = 0; i < 30000; ++i)
    ids.want(i, 0);
  ids.load(reader, "pci.ids");
  std::size_t wrong = 0;
  for (unsigned i = 0; i < 30000; ++i)
    if (ids.vendor(i) != fmt::format("Vendor {}", i)) ++wrong;
  CHECK(wrong == 0);
  CHECK(reader.problem_count() == 0);
  tree.huge("usr/share/misc/pci.ids", 1ULL << 40U);
  ids.load(reader, "pci.ids");
  CHECK(reader.problem_count() == 1);
}

namespace {

// Vendors 1000h to 17ffh with 40 devices each, some with lines below these, then classes, then another table.
std::string database(bool sorted) {
  std::string out = "# comment\n\n";
  for (unsigned i = 0; i < 0x800; ++i) {
    const unsigned vendor = sorted ? 0x1000 + i : 0x17ff - i;
    out += fmt::format("{:04x}  Vendor {:x}\n", vendor, vendor);
    for (unsigned device = 0; device < 40; ++device)
      out += fmt::format("\t{:04x}  Device {:x}:{:x}\n\t\t1000 {:04x}  No device\n", device, vendor, device, device);
  }
  for (unsigned code = 0; code < 0x14; ++code)
    out += fmt::format("# class\nC {:02x}  Class {:x}\n\t00  Subclass {:x}\n", code, code, code);
  return out + "HID 21  Other\n\t00  No subclass\n";
}

}  // namespace

TEST_CASE("a name is found wherever it stands, in a sorted database and in another") {
  for (const bool sorted : {true, false}) {
    TempTree tree;
    tree.file("usr/share/misc/pci.ids", database(sorted));
    const Root root = tree.root();
    Reader reader(root);
    IdNames ids;
    for (const unsigned vendor : {0x1000U, 0x1001U, 0x13a7U, 0x17feU, 0x17ffU})
      ids.want(vendor, vendor % 40);
    ids.want(0x1000, 39);
    ids.want(0x17ff, 39);
    ids.want(0x0999, 1);
    ids.want(0x1000, 40);
    ids.want_class(0x000000);
    ids.want_class(0x130000);
    ids.want_class(0x210000);
    ids.load(reader, "pci.ids");
    for (const unsigned vendor : {0x1000U, 0x1001U, 0x13a7U, 0x17feU, 0x17ffU}) {
      CHECK(ids.vendor(vendor) == fmt::format("Vendor {:x}", vendor));
      CHECK(ids.device(vendor, vendor % 40) == fmt::format("Device {:x}:{:x}", vendor, vendor % 40));
    }
    CHECK(ids.device(0x1000, 39) == "Device 1000:27");
    CHECK(ids.device(0x17ff, 39) == "Device 17ff:27");
    CHECK(ids.device(0x1000, 40).empty());
    CHECK(ids.vendor(0x0999).empty());
    CHECK(ids.class_name(0x000000) == "Subclass 0");
    CHECK(ids.class_name(0x130000) == "Subclass 13");
    CHECK(ids.class_name(0x210000).empty());
    CHECK(reader.problem_count() == 0);
  }
}

TEST_CASE("GPUs are found by PCI class with their product's name, and on a chip by their node") {
  const Reading server = read_source(accelerator_source(), fixture("server-numa"));
  REQUIRE(server.facts.bus.accelerators.size() == 2);
  const Accelerator& gpu = item(server.facts.bus.accelerators, &Accelerator::bus_address, "0000:d8:00.0");
  CHECK(gpu.kind == "gpu");
  CHECK(gpu.name == "GA100 [A100 PCIe 80GB]");
  CHECK(gpu.vendor == "NVIDIA Corporation");
  CHECK(gpu.driver == "nvidia");
  const Reading board = read_source(accelerator_source(), fixture("sbc-arm64"));
  REQUIRE(board.facts.bus.accelerators.size() == 1);
  CHECK(board.facts.bus.accelerators[0].name == "card0");
  CHECK(board.facts.bus.accelerators[0].driver == "v3d");
  CHECK(board.facts.bus.accelerators[0].bus_address == "fec00000.v3d");
  const Reading guest = read_source(accelerator_source(), fixture("vm-virtio"));
  REQUIRE(guest.facts.bus.accelerators.size() == 1);
  CHECK(guest.facts.bus.accelerators[0].driver == "virtio_gpu");
  CHECK(guest.facts.bus.accelerators[0].vendor == "1af4");
}

TEST_CASE("a GPU's own memory is a fact where the driver states it") {
  TempTree tree("server-numa");
  tree.file("sys/devices/pci0000:00/0000:00:1c.5/0000:02:00.0/mem_info_vram_total", "17163091968\n");
  const Reading reading = read_source(accelerator_source(), tree.root());
  CHECK(item(reading.facts.bus.accelerators, &Accelerator::bus_address, "0000:02:00.0").memory_bytes == 17163091968ULL);
}

TEST_CASE("PCI addresses and links of classes are told from what only looks like them") {
  CHECK(is_pci_address("0000:00:02.0"));
  CHECK(is_pci_address("10000:e1:00.1"));
  for (const char* no : {"", ":", "0000:00:02", "0000:00:02.00", "000:00:02.0", "0000:0g:02.0", "virtio2", "1-1:1.0"})
    CHECK_FALSE(is_pci_address(no));
  CHECK(device_path("../../devices/a/b") == "/sys/devices/a/b");
  CHECK(device_path("../../../etc/passwd").empty());
  CHECK(device_path("../devices/a/../../../etc").empty());
  CHECK(bus_address("/sys/devices/pci0000:00/0000:00:03.0/virtio2") == "0000:00:03.0");
  CHECK(bus_address("/sys/devices/virtual/net").empty());
}

TEST_CASE("this machine's PCI functions are found with their classes") {
  const Reading reading = read_source(pci_source(), *Root::open("/"));
  CHECK(reading.problems.empty());
  CHECK(reading.facts.bus.pci.size() == Root::open("/")->names("/sys/bus/pci/devices").size());
  for (const PciDevice& each : reading.facts.bus.pci)
    CHECK(each.vendor_id != 0);
}
