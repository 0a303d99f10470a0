// DMI facts and memory modules: /sys/firmware/dmi/tables (root only), and /sys/class/dmi/id for the others
// (Documentation/ABI/testing/sysfs-firmware-dmi-tables).
#include <fmt/format.h>

#include <utility>

#include "discovery/sources/catalogue.hpp"
#include "discovery/sources/reader.hpp"
#include "discovery/sources/smbios.hpp"

namespace omnitide::discovery {

namespace {

constexpr std::size_t kMaxSmbiosTable = 1U << 20U;  // real ones have some ten KiB

struct Reading {
  model::DmiFacts dmi;
  std::vector<model::Dimm> dimms;
};

// True when there was a table, whole or not.
bool read_table(Reader& reader, Reading& reading) {
  const std::optional<std::string> table = reader.file("/sys/firmware/dmi/tables/DMI", kMaxSmbiosTable);
  if (!table) return false;
  const std::optional<std::string> entry = reader.file("/sys/firmware/dmi/tables/smbios_entry_point", 256);
  const std::optional<SmbiosVersion> version = parse_smbios_entry_point(entry.value_or(""));
  SmbiosFacts facts = parse_smbios(*table, version.value_or(SmbiosVersion{3, 0}));
  if (facts.truncated) reader.problem(fmt::format("the SMBIOS table ends inside structure {}", facts.structures + 1));
  reading.dmi = std::move(facts.dmi);
  reading.dimms = std::move(facts.dimms);
  return facts.structures > 0;
}

// The kernel's own copy of the strings; serial numbers and the UUID are for root there too, and left out here then.
void read_id(Reader& reader, model::DmiFacts& dmi) {
  const std::vector<std::string> names = reader.names("/sys/class/dmi/id");
  for (const std::string& name : names) {
    std::string* field = nullptr;
    if (name == "sys_vendor") field = &dmi.system_vendor;
    if (name == "product_name") field = &dmi.product_name;
    if (name == "product_version") field = &dmi.product_version;
    if (name == "product_serial") field = &dmi.product_serial;
    if (name == "product_uuid") field = &dmi.product_uuid;
    if (name == "product_family") field = &dmi.product_family;
    if (name == "board_vendor") field = &dmi.board_vendor;
    if (name == "board_name") field = &dmi.board_name;
    if (name == "bios_vendor") field = &dmi.bios_vendor;
    if (name == "bios_version") field = &dmi.bios_version;
    if (name == "bios_date") field = &dmi.bios_date;
    if (field != nullptr) *field = without_filler(reader.attribute("/sys/class/dmi/id/" + name).substr(0, 256));
    if (name == "chassis_type") {
      const std::optional<unsigned> type = reader.number<unsigned>("/sys/class/dmi/id/chassis_type");
      if (type) dmi.chassis_type = smbios_chassis_type(*type);
    }
  }
}

Result<Report> read_smbios(const Root& root) {
  Reader reader(root);
  Report report;
  Reading reading;
  if (!read_table(reader, reading)) read_id(reader, reading.dmi);
  report.patch = [reading = std::move(reading)](model::NodeFacts& node) {
    node.system.dmi = reading.dmi;
    node.memory.dimms = reading.dimms;
  };
  report.problems = std::move(reader).take_problems();
  return report;
}

}  // namespace

Source smbios_source() {
  return {.name = "smbios",
          .deadline = std::chrono::milliseconds{1000},
          .subsystems = {"dmi"},
          .on_rtnetlink = false,
          .on_mounts = false,
          .read = read_smbios};
}

}  // namespace omnitide::discovery
