#include "discovery/sources/smbios.hpp"

#include <cstdint>
#include <initializer_list>
#include <string>

#include "discovery/sources/catalogue.hpp"
#include "tests/harness/catch.hpp"
#include "tests/harness/fixture.hpp"
#include "tests/harness/reading.hpp"

using namespace omnitide;
using namespace omnitide::discovery;
using omnitide::test::fixture;
using omnitide::test::Outcome;
using omnitide::test::read_source;
using omnitide::test::TempTree;

namespace {

std::string little(std::uint64_t value, unsigned width) {
  std::string out;
  for (unsigned i = 0; i < width; ++i) {
    out.push_back(static_cast<char>((value >> (8 * i)) & 0xffU));
  }
  return out;
}

std::string structure(unsigned type, const std::string& body, std::initializer_list<std::string> strings = {}) {
  std::string out = little(type, 1) + little(4 + body.size(), 1) + little(0x1000, 2) + body;
  for (const std::string& text : strings) {
    out += text + '\0';
  }
  return out + (strings.size() == 0 ? std::string(2, '\0') : std::string(1, '\0'));
}

// A memory device as version 3.3 lays it out, 92 bytes; earlier versions end sooner.
std::string memory_device(unsigned size, std::uint32_t extended_size, unsigned speed, std::uint32_t extended_speed,
                          std::size_t length = 0x5c) {
  std::string body(0x5c, '\0');
  body.replace(0x0c, 2, little(size, 2));
  body[0x0e] = 9;
  body[0x10] = 1;
  body[0x12] = 0x1a;
  body.replace(0x15, 2, little(speed, 2));
  body.replace(0x1c, 4, little(extended_size, 4));
  body.replace(0x20, 2, little(speed, 2));
  body.replace(0x54, 4, little(extended_speed, 4));
  body.replace(0x58, 4, little(extended_speed, 4));
  return structure(17, body.substr(4, length - 4), {"DIMM 0"});
}

model::Dimm only_dimm(const std::string& table) {
  const SmbiosFacts facts = parse_smbios(table);
  REQUIRE(facts.dimms.size() == 1);
  return facts.dimms[0];
}

}  // namespace

TEST_CASE("a module's size is in MiB, KiB or the extended field") {
  CHECK(only_dimm(memory_device(4096, 0, 0, 0)).size_bytes == 4ULL << 30U);
  CHECK(only_dimm(memory_device(0x8000 | 512, 0, 0, 0)).size_bytes == 512U << 10U);
  CHECK(only_dimm(memory_device(0x7fff, 131072, 0, 0)).size_bytes == 128ULL << 30U);
  CHECK(only_dimm(memory_device(0xffff, 0, 0, 0)).size_bytes == 0);  // a module of unknown size
  CHECK(parse_smbios(memory_device(0, 0, 0, 0)).dimms.empty());      // a slot without a module
}

TEST_CASE("a module's speed is in the field or the extended one") {
  CHECK(only_dimm(memory_device(4096, 0, 3200, 9999)).speed_megatransfers == 3200);
  const model::Dimm fast = only_dimm(memory_device(4096, 0, 0xffff, 0x80000000U | 70000));
  CHECK(fast.speed_megatransfers == 70000);
  CHECK(fast.configured_megatransfers == 70000);
}

TEST_CASE("structures of older versions are shorter, and what they lack is unknown") {
  const model::Dimm old = only_dimm(memory_device(4096, 0, 667, 0, 0x1b));  // version 2.3 has no part for 0x1c and on
  CHECK(old.speed_megatransfers == 667);
  CHECK(old.configured_megatransfers == 0);
  CHECK(old.locator == "DIMM 0");
  CHECK(old.type == "DDR4");
  CHECK(only_dimm(memory_device(0x7fff, 8, 0, 0, 0x1b)).size_bytes == 0);
}

TEST_CASE("the UUID's byte order is that of the version") {
  std::string body("\x01\x02\0\0", 4);
  for (int i = 0; i < 16; ++i) {
    body.push_back(static_cast<char>(0x11 * i));
  }
  const std::string table = structure(1, body, {"Vendor", "Product"});
  CHECK(parse_smbios(table, {2, 6}).dmi.product_uuid == "33221100-5544-7766-8899-aabbccddeeff");
  CHECK(parse_smbios(table, {2, 5}).dmi.product_uuid == "00112233-4455-6677-8899-aabbccddeeff");
  CHECK(parse_smbios(table).dmi.product_name == "Product");
  CHECK(
      parse_smbios(structure(1, std::string("\1\1\1\1", 4) + std::string(16, '\xff'), {"V"})).dmi.product_uuid.empty());
}

TEST_CASE("the entry point states the version, and foreign bytes state none") {
  CHECK(parse_smbios_entry_point("_SM3_" + std::string("\0\x18\3\5", 4) + std::string(15, '\0')) ==
        SmbiosVersion{3, 5});
  CHECK(parse_smbios_entry_point("_SM_" + std::string("\0\x1f\2\x08", 4) + std::string(23, '\0')) ==
        SmbiosVersion{2, 8});
  CHECK_FALSE(parse_smbios_entry_point("_SM3_").has_value());
  CHECK_FALSE(parse_smbios_entry_point("").has_value());
}

TEST_CASE("a table cut anywhere gives what came before the cut") {
  const std::string table = fixture("server-numa").read("/sys/firmware/dmi/tables/DMI").value();
  const SmbiosFacts whole = parse_smbios(table);
  CHECK_FALSE(whole.truncated);
  std::size_t dimms = 0;
  for (std::size_t length = 0; length < table.size(); ++length) {
    const SmbiosFacts part = parse_smbios(table.substr(0, length));
    CHECK(part.structures <= whole.structures);
    CHECK(part.dimms.size() >= dimms);
    dimms = part.dimms.size();
  }
  CHECK(dimms == whole.dimms.size());
  CHECK(parse_smbios(table.substr(0, 100)).truncated);
}

TEST_CASE("lengths, string numbers and counts that lie do no harm") {
  CHECK(parse_smbios(std::string("\x11\x03\0\0\0", 5)).truncated);    // shorter than a header
  CHECK(parse_smbios(std::string("\x11\xff\0\0\0\0", 6)).truncated);  // longer than the table
  CHECK(parse_smbios(structure(0, std::string("\xff\x02\0\0\0", 5), {"A"})).dmi.bios_vendor.empty());
  std::string many;
  for (int i = 0; i < 5000; ++i) {
    many += memory_device(1024, 0, 0, 0);
  }
  CHECK(parse_smbios(many).dimms.size() == 1024);
  const std::string loud =
      only_dimm(structure(17, memory_device(1024, 0, 0, 0).substr(4, 0x58), {"\x1b[2J\xff"})).locator;
  CHECK(loud == "\\x1b[2J\\xff");
}

TEST_CASE("what firmware writes into empty fields is no fact") {
  CHECK(without_filler("  To Be Filled By O.E.M. ").empty());
  CHECK(without_filler("NO DIMM").empty());
  CHECK(without_filler("Unknown Soldier Inc.") == "Unknown Soldier Inc.");
  CHECK(smbios_chassis_type(23) == "Rack Mount Chassis");
  CHECK(smbios_chassis_type(99) == "99");
  CHECK(smbios_chassis_type(2).empty());
}

TEST_CASE("a server's modules and DMI strings come from its table") {
  const Outcome read = read_source(smbios_source(), fixture("server-numa"));
  CHECK(read.problems.empty());
  REQUIRE(read.facts.memory.dimms.size() == 4);
  CHECK(read.facts.memory.dimms[0] == model::Dimm{"P1-DIMMA1", "P1_Node0_Channel0_Dimm0", "DDR5", "DIMM", "Samsung",
                                                  "M321R4GA3BB6-CQKET", "80CE011110", 32ULL << 30U, 4800, 4400});
  const model::DmiFacts& dmi = read.facts.system.dmi;
  CHECK(dmi.system_vendor == "Example Systems");
  CHECK(dmi.product_name == "NX-2200");
  CHECK(dmi.product_version.empty());
  CHECK(dmi.product_serial == "S123456789");
  CHECK(dmi.product_family == "NX");
  CHECK(dmi.board_name == "NXB-22");
  CHECK(dmi.bios_version == "1.4a");
  CHECK(dmi.bios_date == "08/15/2024");
  CHECK(dmi.chassis_type == "Rack Mount Chassis");
}

TEST_CASE("without the table, DMI strings come from the kernel's copies") {
  const Outcome read = read_source(smbios_source(), fixture("vm-virtio"));
  CHECK(read.problems.empty());
  const model::DmiFacts& dmi = read.facts.system.dmi;
  CHECK(dmi.system_vendor == "QEMU");
  CHECK(dmi.product_serial.empty());  // "Not Specified"
  CHECK(dmi.product_uuid == "5d1f9d4e-8d3e-4f40-9c7d-90d3f0f4a111");
  CHECK(dmi.bios_vendor == "EDK II");
}

TEST_CASE("a table that is too long or cut is a problem, and the kernel's copies serve") {
  TempTree tree("vm-virtio");
  tree.huge("sys/firmware/dmi/tables/DMI", 1ULL << 40U);
  const Outcome read = read_source(smbios_source(), tree.root());
  CHECK(read.complains_about("tables/DMI"));
  CHECK(read.facts.system.dmi.system_vendor == "QEMU");
}
