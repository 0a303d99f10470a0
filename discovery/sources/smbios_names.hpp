// Words for the numbers of SMBIOS (DMTF DSP0134, version 3.7).
#pragma once

#include <string>

namespace omnitide::discovery {

// Section 7.18.2 "Memory Device - Type": "DDR4"; empty for "Other" and "Unknown", the number when there is no name.
[[nodiscard]] std::string smbios_memory_type(unsigned type);
// Section 7.18.1 "Memory Device - Form Factor": "DIMM"; likewise.
[[nodiscard]] std::string smbios_form_factor(unsigned form);

}  // namespace omnitide::discovery
