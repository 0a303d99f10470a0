#include "discovery/sources/hypervisor.hpp"

#include <array>
#include <cstring>
#include <utility>

#if defined(__x86_64__) || defined(__i386__)
#include <cpuid.h>
#endif

namespace omnitide::discovery {

namespace {

using Pair = std::pair<std::string_view, std::string_view>;

constexpr std::array<Pair, 12> kSignatures{{
    {"KVMKVMKVM", "kvm"},
    {"Linux KVM Hv", "kvm"},  // KVM that poses as Hyper-V
    {"TCGTCGTCGTCG", "qemu"},
    {"VMwareVMware", "vmware"},
    {"Microsoft Hv", "microsoft"},
    {"XenVMMXenVMM", "xen"},
    {"VBoxVBoxVBox", "oracle"},
    {"bhyve bhyve ", "bhyve"},
    {" lrpepyh  vr", "parallels"},
    {"ACRNACRNACRN", "acrn"},
    {"QNXQVMBSQG", "qnx"},
    {"SRESRESRESRE", "sre"},
}};

// Beginnings of DMI's product name, system vendor, board vendor or BIOS vendor.
constexpr std::array<Pair, 17> kDmi{{
    {"KVM", "kvm"},
    {"OpenStack", "kvm"},
    {"KubeVirt", "kvm"},
    {"Amazon EC2", "amazon"},
    {"QEMU", "qemu"},
    {"VMware", "vmware"},
    {"VMW", "vmware"},
    {"innotek GmbH", "oracle"},
    {"VirtualBox", "oracle"},
    {"Oracle Corporation", "oracle"},
    {"Xen", "xen"},
    {"Bochs", "bochs"},
    {"Parallels", "parallels"},
    {"BHYVE", "bhyve"},
    {"Hyper-V", "microsoft"},
    {"Apple Virtualization", "apple"},
    {"Google Compute Engine", "google"},
}};

std::string cpuid_signature() {
#if defined(__x86_64__) || defined(__i386__)
  unsigned eax = 0;
  std::array<unsigned, 3> text{};
  __cpuid(0x40000000U, eax, text[0], text[1], text[2]);
  std::array<char, sizeof text> bytes{};
  std::memcpy(bytes.data(), text.data(), sizeof text);
  return {bytes.data(), bytes.size()};
#else
  return {};
#endif
}

std::string_view by_device_tree(Reader& reader) {
  // Properties are lists of strings, each ended by NUL.
  const std::string compatible = reader.attribute("/sys/firmware/devicetree/base/hypervisor/compatible");
  if (compatible.starts_with("linux,kvm")) return "kvm";
  if (compatible.starts_with("xen")) return "xen";
  if (compatible.find("vmware") != std::string::npos) return "vmware";
  if (!compatible.empty()) return "unknown";
  const std::string machine = reader.attribute("/sys/firmware/devicetree/base/compatible");
  return machine.starts_with("linux,dummy-virt") ? "qemu" : "";
}

std::string_view by_dmi(Reader& reader) {
  for (const std::string_view name : {"product_name", "sys_vendor", "board_vendor", "bios_vendor"}) {
    const std::string value = reader.attribute("/sys/class/dmi/id/" + std::string(name));
    for (const auto& [beginning, word] : kDmi) {
      if (value.starts_with(beginning)) return word;
    }
    // Hyper-V names a product that other machines of Microsoft do not have.
    if (value.starts_with("Virtual Machine")) return "microsoft";
  }
  return "";
}

}  // namespace

std::string_view hypervisor_by_signature(std::string_view signature) {
  for (const auto& [beginning, word] : kSignatures) {
    if (signature.starts_with(beginning)) return word;
  }
  return "";
}

bool cpuid_says_virtual() {
#if defined(__x86_64__) || defined(__i386__)
  unsigned eax = 0;
  unsigned ebx = 0;
  unsigned ecx = 0;
  unsigned edx = 0;
  return __get_cpuid(1, &eax, &ebx, &ecx, &edx) != 0 && ((ecx >> 31U) & 1U) != 0;
#else
  return false;
#endif
}

std::string detect_hypervisor(Reader& reader, bool x86, bool flagged) {
  std::string type = reader.attribute("/sys/hypervisor/type");
  if (!type.empty()) return type;
  if (x86 && !flagged) return {};
  if (x86 && reader.root().is_machine() && cpuid_says_virtual()) {
    const std::string_view word = hypervisor_by_signature(cpuid_signature());
    if (!word.empty()) return std::string(word);
  }
  std::string_view word = x86 ? std::string_view{} : by_device_tree(reader);
  if (word.empty()) word = by_dmi(reader);
  if (word.empty() && flagged) word = "unknown";
  return std::string(word);
}

}  // namespace omnitide::discovery
