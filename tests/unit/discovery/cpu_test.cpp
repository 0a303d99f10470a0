#include <string>

#include "discovery/sources/catalogue.hpp"
#include "discovery/sources/cpu_level.hpp"
#include "discovery/sources/cpu_set.hpp"
#include "discovery/sources/cpuinfo.hpp"
#include "discovery/sources/hypervisor.hpp"
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

const std::string kV1 = "cmov cx8 fpu fxsr lm mmx sse sse2 syscall ";
const std::string kV2 = kV1 + "cx16 lahf_lm popcnt pni sse4_1 sse4_2 ssse3 ";
const std::string kV3 = kV2 + "abm avx avx2 bmi1 bmi2 f16c fma movbe xsave ";
const std::string kV4 = kV3 + "avx512bw avx512cd avx512dq avx512f avx512vl ";

std::string x86_level(const std::string& flags) {
  return microarch_level(parse_cpuinfo("processor : 0\nflags : " + flags + "\n"), "x86_64");
}

std::string without(std::string flags, const std::string& flag) {
  flags.replace(flags.find(flag + " "), flag.size() + 1, "");
  return flags;
}

std::string arm_cpu(unsigned number, const std::string& part, const std::string& features) {
  return "processor : " + std::to_string(number) + "\nFeatures : " + features +
         "\nCPU implementer : 0x41\nCPU architecture: 8\nCPU variant : 0x1\nCPU part : " + part +
         "\nCPU revision : 2\n\n";
}

}  // namespace

TEST_CASE("a CPU list is the kernel's form and nothing else") {
  CHECK(parse_cpu_list("").value().none());
  CHECK(parse_cpu_list("0-3,8,10-11\n").value().count() == 7);
  CHECK(parse_cpu_list("8191").value()[8191]);
  for (const char* bad : {"8192", "0-8192", "3-1", "1-", "-1", "1,,2", "1,", ",", "a", "1 2", "0-18446744073709551615"})
    CHECK_FALSE(parse_cpu_list(bad).has_value());
}

TEST_CASE("the x86-64 level needs every feature of the psABI's table") {
  CHECK(x86_level(kV1) == "x86-64-v1");
  CHECK(x86_level(kV2) == "x86-64-v2");
  CHECK(x86_level(kV3) == "x86-64-v3");
  CHECK(x86_level(kV4) == "x86-64-v4");
  CHECK(x86_level(without(kV4, "avx512cd")) == "x86-64-v3");
  CHECK(x86_level(without(kV4, "abm")) == "x86-64-v2");
  CHECK(x86_level(without(kV4, "lahf_lm")) == "x86-64-v1");
  CHECK(x86_level(without(kV4, "cmov")).empty());
}

TEST_CASE("the Arm level is that of the lowest core, by its part or by its features") {
  const auto level = [](const std::string& text) { return microarch_level(parse_cpuinfo(text), "aarch64"); };
  CHECK(level(arm_cpu(0, "0xd0c", "fp asimd")) == "armv8.2");
  CHECK(level(arm_cpu(0, "0xd05", "fp asimd") + arm_cpu(1, "0xd03", "fp asimd")) == "armv8.0");
  CHECK(level(arm_cpu(0, "0xfff", "fp asimd")) == "armv8.0");
  CHECK(level(arm_cpu(0, "0xfff", "fp asimd atomics asimdrdm crc32 dcpop")) == "armv8.2");
  CHECK(level(arm_cpu(0, "0xfff",
                      "fp asimd atomics asimdrdm crc32 dcpop jscvt fcma lrcpc asimddp dit flagm ilrcpc uscat "
                      "flagm2 frint sb sve2")) == "armv9.0");
  const Cpuinfo unknown = parse_cpuinfo(arm_cpu(0, "0xfff", "fp asimd"));
  CHECK(unknown.vendor == "ARM");
  CHECK(unknown.model.empty());
  CHECK(unknown.model_id == "0xfff");
  CHECK(unknown.stepping == "r1p2");
}

TEST_CASE("cpuinfo that was cut off counts whole CPUs only") {
  const std::string text = "processor : 0\nphysical id : 0\n\nprocessor : 1\nphysical id : 1";
  CHECK(parse_cpuinfo(text).processors == 2);
  CHECK(parse_cpuinfo(text).sockets == 2);
  CHECK(parse_cpuinfo(text, true).processors == 1);
}

TEST_CASE("a two-socket server: topology, caches, NUMA nodes and frequencies") {
  const Outcome read = read_source(cpu_source(), fixture("server-numa"));
  const model::CpuFacts& cpu = read.facts.cpu;
  CHECK(read.problems.empty());
  CHECK(cpu.vendor == "GenuineIntel");
  CHECK(cpu.model == "Intel(R) Xeon(R) Gold 6430");
  CHECK(cpu.architecture == "x86_64");
  CHECK(cpu.microarch_level == "x86-64-v4");
  CHECK(cpu.family == "6");
  CHECK(cpu.model_id == "143");
  CHECK(cpu.stepping == "8");
  CHECK(cpu.microcode == "0x2b0005c0");
  CHECK(std::is_sorted(cpu.flags.begin(), cpu.flags.end()));
  CHECK(cpu.sockets == 2);
  CHECK(cpu.cores == 4);
  CHECK(cpu.threads == 8);
  CHECK(cpu.smt_active == true);
  CHECK(cpu.hypervisor.empty());
  REQUIRE(cpu.numa_nodes.size() == 2);
  CHECK(cpu.numa_nodes[1] == model::NumaNode{1, "2-3,6-7", 65796952ULL * 1024});
  REQUIRE(cpu.caches.size() == 4);
  CHECK(cpu.caches[0] == model::CpuCache{1, "Data", 48 * 1024, 4, "0,4"});
  CHECK(cpu.caches[3] == model::CpuCache{3, "Unified", 61440 * 1024, 2, "0-1,4-5"});
  CHECK(cpu.min_frequency_hertz == 800'000'000U);
  CHECK(cpu.max_frequency_hertz == 3'400'000'000U);
  CHECK(cpu.governor == "performance");
  CHECK(cpu.frequency_driver == "intel_pstate");
  CHECK(read.sample("node_cpu_scaling_frequency_hertz", {"7"}) == 2'100'007'000.0);
  CHECK_FALSE(read.sample("node_cpu_frequency_hertz", {"7"}).has_value());
}

TEST_CASE("a vulnerability is affected when the kernel mitigates it or not, also behind a prefix") {
  const Outcome read = read_source(cpu_source(), fixture("server-numa"));
  const auto& rows = read.facts.cpu.vulnerabilities;
  REQUIRE(rows.size() == 6);
  CHECK(rows[0] == model::CpuVulnerability{"itlb_multihit", "KVM: Mitigation: VMX disabled", true});
  CHECK(rows[1] == model::CpuVulnerability{"l1tf", "Not affected", false});
  CHECK(rows[4] == model::CpuVulnerability{"spec_store_bypass", "Vulnerable", true});
}

TEST_CASE("a board with big and little cores names both and keeps their caches apart") {
  const Outcome read = read_source(cpu_source(), fixture("sbc-arm64"));
  const model::CpuFacts& cpu = read.facts.cpu;
  CHECK(read.problems.empty());
  CHECK(cpu.vendor == "ARM");
  CHECK(cpu.model == "Cortex-A53 + Cortex-A72");
  CHECK(cpu.architecture == "aarch64");
  CHECK(cpu.microarch_level == "armv8.0");
  CHECK(cpu.sockets == 1);
  CHECK(cpu.cores == 6);
  CHECK(cpu.smt_active == false);
  CHECK(cpu.numa_nodes.empty());
  REQUIRE(cpu.caches.size() == 5);
  CHECK(cpu.caches[3] == model::CpuCache{2, "Unified", 512 * 1024, 1, "0-3"});
  CHECK(cpu.governor == "ondemand,schedutil");
  CHECK(cpu.min_frequency_hertz == 408'000'000U);
  CHECK(cpu.max_frequency_hertz == 1'800'000'000U);
  CHECK(read.sample("node_cpu_scaling_frequency_hertz", {"3"}) == 408'000'000.0);
  CHECK(read.sample("node_cpu_scaling_frequency_hertz", {"4"}) == 1'200'000'000.0);
}

TEST_CASE("a guest names its hypervisor, and its one NUMA node has all the memory") {
  const Outcome read = read_source(cpu_source(), fixture("vm-virtio"));
  CHECK(read.facts.cpu.hypervisor == "qemu");
  CHECK(read.facts.cpu.microarch_level == "x86-64-v3");
  REQUIRE(read.facts.cpu.numa_nodes.size() == 1);
  CHECK(read.facts.cpu.numa_nodes[0].memory_bytes == 4018236ULL * 1024);
  CHECK(read.sample("node_cpu_frequency_hertz", {"1"}) == 2'445'404'000.0);
}

TEST_CASE("DMI names no hypervisor when the CPU says that there is none") {
  TempTree tree("vm-virtio");
  tree.file("proc/cpuinfo", "processor : 0\nflags : fpu lm\n").file("sys/class/dmi/id/sys_vendor", "Amazon EC2\n");
  CHECK(read_source(cpu_source(), tree.root()).facts.cpu.hypervisor.empty());
  tree.file("proc/cpuinfo", "processor : 0\nflags : fpu lm hypervisor\n");
  CHECK(read_source(cpu_source(), tree.root()).facts.cpu.hypervisor == "amazon");
  tree.remove("sys/class/dmi");
  CHECK(read_source(cpu_source(), tree.root()).facts.cpu.hypervisor == "unknown");
  tree.file("sys/hypervisor/type", "xen\n");
  CHECK(read_source(cpu_source(), tree.root()).facts.cpu.hypervisor == "xen");
  CHECK(hypervisor_by_signature(std::string_view("KVMKVMKVM\0\0\0", 12)) == "kvm");
  CHECK(hypervisor_by_signature("GenuineIntel").empty());
}

TEST_CASE("an arm64 guest is known by its device tree") {
  TempTree tree("sbc-arm64");
  tree.file("sys/firmware/devicetree/base/hypervisor/compatible", std::string("linux,kvm\0", 10));
  CHECK(read_source(cpu_source(), tree.root()).facts.cpu.hypervisor == "kvm");
}

TEST_CASE("without sysfs the counts come from cpuinfo") {
  TempTree tree;
  tree.file("proc/cpuinfo", test::fixture("server-numa").read("/proc/cpuinfo").value());
  const model::CpuFacts cpu = read_source(cpu_source(), tree.root()).facts.cpu;
  CHECK(cpu.architecture == "x86_64");
  CHECK(cpu.sockets == 2);
  CHECK(cpu.cores == 4);
  CHECK(cpu.threads == 8);
}

TEST_CASE("a CPU that is offline has no part in the counts") {
  TempTree tree("server-numa");
  tree.file("sys/devices/system/cpu/online", "0-1,4-5\n");
  const model::CpuFacts cpu = read_source(cpu_source(), tree.root()).facts.cpu;
  CHECK(cpu.sockets == 1);
  CHECK(cpu.cores == 2);
  CHECK(cpu.threads == 4);
  CHECK(cpu.caches.back().instances == 1);
}

TEST_CASE("a tree that names no CPU is an error, not an empty report") {
  const TempTree tree;
  CHECK(cpu_source().read(tree.root()).error().code == Code::not_found);
}
