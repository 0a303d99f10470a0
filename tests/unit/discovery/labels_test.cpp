#include "discovery/inventory/labels.hpp"

#include <algorithm>
#include <cctype>
#include <string>

#include "tests/harness/catch.hpp"

using namespace omnitide;
using discovery::label_value;
using discovery::Labels;
using discovery::labels;

namespace {

bool valid_part(const std::string& text) {
  const auto alphanumeric = [](char c) { return std::isalnum(static_cast<unsigned char>(c)) != 0; };
  return !text.empty() && text.size() <= 63 && alphanumeric(text.front()) && alphanumeric(text.back()) &&
         std::all_of(text.begin(), text.end(),
                     [&](char c) { return alphanumeric(c) || c == '-' || c == '_' || c == '.'; });
}

void check_syntax(const Labels& all) {
  for (const auto& [key, value] : all) {
    INFO(key << "=" << value);
    const std::size_t slash = key.find('/');
    REQUIRE(slash != std::string::npos);
    CHECK((key.substr(0, slash) == "feature.node.kubernetes.io" || key.substr(0, slash) == "omnitide.io"));
    CHECK(valid_part(key.substr(slash + 1)));
    CHECK(valid_part(value));
  }
}

std::string nfd(const Labels& all, const std::string& name) {
  const auto found = all.find("feature.node.kubernetes.io/" + name);
  return found == all.end() ? "absent" : found->second;
}

std::string ours(const Labels& all, const std::string& name) {
  const auto found = all.find("omnitide.io/" + name);
  return found == all.end() ? "absent" : found->second;
}

}  // namespace

TEST_CASE("CPU labels are those that Node Feature Discovery would set") {
  model::NodeFacts facts;
  facts.cpu.architecture = "x86_64";
  facts.cpu.vendor = "GenuineIntel";
  facts.cpu.family = "6";
  facts.cpu.model_id = "143";
  facts.cpu.flags = {"aes", "avx2", "avx512_vnni", "avx512f", "fma", "popcnt", "sse4_2", "unheard_of"};
  facts.cpu.cores = 32;
  facts.cpu.threads = 64;
  facts.cpu.frequency_driver = "intel_pstate";
  facts.cpu.governor = "powersave";
  const Labels all = labels(facts);
  check_syntax(all);
  for (const char* flag : {"AESNI", "AVX2", "AVX512VNNI", "AVX512F", "FMA3"})
    CHECK(nfd(all, std::string("cpu-cpuid.") + flag) == "true");
  CHECK(nfd(all, "cpu-cpuid.POPCNT") == "absent");  // left out by default there
  CHECK(nfd(all, "cpu-cpuid.SSE42") == "absent");
  CHECK(nfd(all, "cpu-model.vendor_id") == "Intel");
  CHECK(nfd(all, "cpu-model.family") == "6");
  CHECK(nfd(all, "cpu-model.id") == "143");
  CHECK(nfd(all, "cpu-hardware_multithreading") == "true");
  CHECK(nfd(all, "cpu-pstate.status") == "active");
  CHECK(ours(all, "cpu-cores") == "32");
  facts.cpu.threads = 32;
  CHECK(nfd(labels(facts), "cpu-hardware_multithreading") == "false");
  CHECK(discovery::nfd_cpu_flag("aarch64", "asimdhp") == "ASIMDHP");
  CHECK(discovery::nfd_cpu_flag("riscv64", "i").empty());
}

TEST_CASE("versions are split as Node Feature Discovery splits them") {
  model::NodeFacts facts;
  facts.system.kernel_release = "6.1.0-13-amd64+deb";
  facts.system.os_id = "debian";
  facts.system.os_version_id = "12";
  Labels all = labels(facts);
  CHECK(nfd(all, "kernel-version.full") == "6.1.0-13-amd64_deb");
  CHECK(nfd(all, "kernel-version.major") == "6");
  CHECK(nfd(all, "kernel-version.minor") == "1");
  CHECK(nfd(all, "kernel-version.revision") == "0");
  CHECK(nfd(all, "system-os_release.VERSION_ID.major") == "12");
  CHECK(nfd(all, "system-os_release.VERSION_ID.minor") == "absent");
  facts.system.os_version_id = "24.04";
  facts.system.kernel_release = "rolling";
  all = labels(facts);
  CHECK(nfd(all, "system-os_release.VERSION_ID") == "24.04");
  CHECK(nfd(all, "system-os_release.VERSION_ID.minor") == "04");
  CHECK(nfd(all, "kernel-version.major") == "absent");
}

TEST_CASE("devices of the default classes are named by class and ids") {
  model::NodeFacts facts;
  facts.bus.pci.resize(3);
  facts.bus.pci[0].class_code = 0x030000;
  facts.bus.pci[0].vendor_id = 0x10de;
  facts.bus.pci[1].class_code = 0x0b4000;
  facts.bus.pci[1].vendor_id = 0x8086;
  facts.bus.pci[2].class_code = 0x020000;
  facts.bus.pci[2].vendor_id = 0x15b3;
  facts.bus.usb.resize(2);
  facts.bus.usb[0] = {"1-1", 0x1a6e, 0x089a, 0xfe, "", "", "", "", "", {}};
  facts.bus.usb[1] = {"1-2", 0x1d6b, 0x0002, 0x09, "", "", "", "", "", {}};
  facts.network.resize(1);
  facts.network[0].sriov_total = 8;
  facts.network[0].sriov_current = 0;
  facts.storage.devices.resize(1);
  facts.storage.devices[0].kind = "disk";
  facts.storage.devices[0].rotational = false;
  facts.cpu.numa_nodes.resize(2);
  facts.bus.tpms = {{"tpm0", "2.0"}};
  facts.system.ebpf = {{"tcx", true, ""}, {"lsm", false, "EPERM"}};
  const Labels all = labels(facts);
  check_syntax(all);
  CHECK(nfd(all, "pci-0300_10de.present") == "true");
  CHECK(nfd(all, "pci-0b40_8086.present") == "true");
  CHECK(nfd(all, "pci-0200_15b3.present") == "absent");
  CHECK(nfd(all, "usb-fe_1a6e_089a.present") == "true");
  CHECK(nfd(all, "usb-09_1d6b_0002.present") == "absent");
  CHECK(nfd(all, "network-sriov.capable") == "true");
  CHECK(nfd(all, "network-sriov.configured") == "absent");
  CHECK(nfd(all, "storage-nonrotationaldisk") == "true");
  CHECK(nfd(all, "memory-numa") == "true");
  CHECK(ours(all, "tpm") == "2.0");
  CHECK(ours(all, "ebpf.tcx") == "true");
  CHECK(ours(all, "ebpf.lsm") == "absent");
}

TEST_CASE("whatever a device says, keys and values stay valid labels") {
  model::NodeFacts facts;
  facts.system.dmi.product_name = " \x01\xff To be filled by O.E.M.\n" + std::string(300, 'x') + "--";
  facts.system.dmi.system_vendor = "///";
  facts.system.kernel_release = std::string(62, 'a') + "-b";
  facts.system.container_runtimes = {{"../../evil name" + std::string(200, '-'), "", ""}, {"", "", ""}};
  facts.cpu.flags = std::vector<std::string>(3, std::string(500, 'a'));
  facts.cpu.architecture = "aarch64";
  facts.bus.pci.resize(10'000);
  for (std::uint32_t i = 0; i < 10'000; ++i) {
    facts.bus.pci[i].class_code = 0x030000;
    facts.bus.pci[i].vendor_id = i;
  }
  const Labels all = labels(facts);
  check_syntax(all);
  CHECK(all.size() <= 512);
  CHECK(ours(all, "vendor") == "absent");
  CHECK(label_value("a b") == "a_b");
  CHECK(label_value(std::string(62, 'a') + "-b") == std::string(62, 'a'));
  CHECK(label_value("-_.").empty());
}
