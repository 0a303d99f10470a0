#include "discovery/sources/smbios_names.hpp"

#include <algorithm>
#include <array>
#include <span>
#include <string_view>

#include "agent/base/text.hpp"
#include "discovery/sources/smbios.hpp"

namespace omnitide::discovery {

namespace {

// Index 0 is not used; 1 and 2 are "Other" and "Unknown".
constexpr std::array<std::string_view, 37> kMemoryTypes{
    "",      "",      "",       "DRAM",   "EDRAM",        "VRAM",     "SRAM",     "RAM",
    "ROM",   "Flash", "EEPROM", "FEPROM", "EPROM",        "CDRAM",    "3DRAM",    "SDRAM",
    "SGRAM", "RDRAM", "DDR",    "DDR2",   "DDR2 FB-DIMM", "Reserved", "Reserved", "Reserved",
    "DDR3",  "FBD2",  "DDR4",   "LPDDR",  "LPDDR2",       "LPDDR3",   "LPDDR4",   "Logical non-volatile device",
    "HBM",   "HBM2",  "DDR5",   "LPDDR5", "HBM3"};

constexpr std::array<std::string_view, 18> kFormFactors{"",        "",       "",
                                                        "SIMM",    "SIP",    "Chip",
                                                        "DIP",     "ZIP",    "Proprietary Card",
                                                        "DIMM",    "TSOP",   "Row of chips",
                                                        "RIMM",    "SODIMM", "SRIMM",
                                                        "FB-DIMM", "Die",    "CAMM"};

constexpr std::array<std::string_view, 37> kChassisTypes{"",
                                                         "",
                                                         "",
                                                         "Desktop",
                                                         "Low Profile Desktop",
                                                         "Pizza Box",
                                                         "Mini Tower",
                                                         "Tower",
                                                         "Portable",
                                                         "Laptop",
                                                         "Notebook",
                                                         "Hand Held",
                                                         "Docking Station",
                                                         "All in One",
                                                         "Sub Notebook",
                                                         "Space-saving",
                                                         "Lunch Box",
                                                         "Main Server Chassis",
                                                         "Expansion Chassis",
                                                         "SubChassis",
                                                         "Bus Expansion Chassis",
                                                         "Peripheral Chassis",
                                                         "RAID Chassis",
                                                         "Rack Mount Chassis",
                                                         "Sealed-case PC",
                                                         "Multi-system chassis",
                                                         "Compact PCI",
                                                         "Advanced TCA",
                                                         "Blade",
                                                         "Blade Enclosure",
                                                         "Tablet",
                                                         "Convertible",
                                                         "Detachable",
                                                         "IoT Gateway",
                                                         "Embedded PC",
                                                         "Mini PC",
                                                         "Stick PC"};

// In lower case.
constexpr std::array<std::string_view, 18> kFillers{"not specified",
                                                    "not available",
                                                    "to be filled by o.e.m.",
                                                    "to be filled by oem",
                                                    "default string",
                                                    "system manufacturer",
                                                    "system product name",
                                                    "system version",
                                                    "system serial number",
                                                    "none",
                                                    "n/a",
                                                    "unknown",
                                                    "undefined",
                                                    "o.e.m.",
                                                    "no dimm",
                                                    "invalid",
                                                    "empty",
                                                    "not provided"};

std::string name_of(std::span<const std::string_view> names, unsigned number) {
  return number < names.size() ? std::string(names[number]) : std::to_string(number);
}

}  // namespace

std::string smbios_memory_type(unsigned type) { return name_of(kMemoryTypes, type); }
std::string smbios_form_factor(unsigned form) { return name_of(kFormFactors, form); }
std::string smbios_chassis_type(unsigned type) { return name_of(kChassisTypes, type); }

std::string without_filler(std::string_view text) {
  text = trim(text);
  const std::string lower = to_lower(text);
  if (std::find(kFillers.begin(), kFillers.end(), lower) != kFillers.end()) return {};
  return printable(text);
}

}  // namespace omnitide::discovery
