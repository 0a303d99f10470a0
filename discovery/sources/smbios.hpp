// SMBIOS structures, parsed from the bytes that the firmware left (DMTF DSP0134, System Management BIOS Reference
// Specification). Pure, and safe on any bytes: lengths, strings and counts are bounded, a structure that does not fit
// ends the table.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "agent/model/node_facts.hpp"

namespace omnitide::discovery {

struct SmbiosVersion {
  unsigned major = 0, minor = 0;
  auto operator<=>(const SmbiosVersion&) const = default;
};

// From the entry point structure, "_SM_" or "_SM3_" (section 5.2); nullopt when it is neither.
[[nodiscard]] std::optional<SmbiosVersion> parse_smbios_entry_point(std::string_view bytes);

struct SmbiosFacts {
  model::DmiFacts dmi;             // structure types 0, 1, 2 and 3, the first of each
  std::vector<model::Dimm> dimms;  // type 17; slots without a module are left out
  std::size_t structures = 0;
  bool truncated = false;  // the table ends inside a structure
};

// The version decides the byte order of the UUID, which is little-endian from 2.6 on (section 7.2.1).
[[nodiscard]] SmbiosFacts parse_smbios(std::string_view table, SmbiosVersion version = {3, 0});

// "Rack Mount Chassis" for 23 (section 7.4.1); the number when the specification has no name for it.
[[nodiscard]] std::string smbios_chassis_type(unsigned type);

// What firmware writes when nobody filled a field in, such as "To Be Filled By O.E.M.", becomes empty; what is
// not UTF-8 or would move a cursor is escaped.
[[nodiscard]] std::string without_filler(std::string_view text);

}  // namespace omnitide::discovery
