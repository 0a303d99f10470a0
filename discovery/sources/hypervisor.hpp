// Which hypervisor this machine runs under, as far as it shows.
#pragma once

#include <string>
#include <string_view>

#include "discovery/sources/reader.hpp"

namespace omnitide::discovery {

// systemd-detect-virt's words: "kvm", "qemu", "vmware", "microsoft", "xen", "oracle", "amazon", "google", ...;
// "unknown" when there is one that does not say its name; empty on bare metal. Asks, in this order:
// /sys/hypervisor/type, CPUID leaf 0x40000000 (x86, the machine's own root only), the device tree, DMI. `flagged`:
// /proc/cpuinfo has the flag "hypervisor"; on x86 without it, DMI is not believed, since bare-metal instances of clouds
// carry the same names.
[[nodiscard]] std::string detect_hypervisor(Reader& reader, bool x86, bool flagged);

// From the vendor signature of CPUID leaf 0x40000000 (12 bytes); empty when it is not known.
[[nodiscard]] std::string_view hypervisor_by_signature(std::string_view signature);

// Whether the CPU that runs this code says that it is virtual (CPUID leaf 1, ECX bit 31); false elsewhere than on x86.
[[nodiscard]] bool cpuid_says_virtual();

}  // namespace omnitide::discovery
