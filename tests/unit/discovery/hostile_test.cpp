// What a broken or malicious kernel interface may do: every source ends, stays within bounds, says what was wrong, and
// keeps what could be read.
#include <chrono>
#include <functional>
#include <string>
#include <vector>

#include "agent/base/text.hpp"
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

std::vector<Source> sources() {
  return {cpu_source(), memory_source(), smbios_source(), edac_source(), system_source(), runtime_source()};
}

void check_printable(const model::NodeFacts& facts) {
  std::vector<std::string> texts{facts.cpu.vendor,      facts.cpu.model,
                                 facts.system.hostname, facts.system.os_id,
                                 facts.system.os_name,  facts.system.kernel_release,
                                 facts.system.lockdown, facts.system.device_tree_model};
  texts.insert(texts.end(), facts.cpu.flags.begin(), facts.cpu.flags.end());
  for (const model::EdacController& controller : facts.memory.edac) {
    texts.push_back(controller.type);
  }
  for (const model::SwapArea& swap : facts.memory.swaps) {
    texts.push_back(swap.path);
  }
  for (const std::string& text : texts) {
    CHECK(printable(text) == text);
    CHECK(text.size() <= 1100);
  }
}

}  // namespace

TEST_CASE("the hostile tree gives reports with problems, printable and bounded") {
  for (const Source& source : sources()) {
    INFO(source.name);
    const Outcome read = read_source(source, fixture("hostile"));
    CHECK(read.problems.empty() == (source.name == "runtime"));
    CHECK(read.problems.size() <= 129);
    for (const std::string& problem : read.problems) {
      CHECK(printable(problem) == problem);
    }
    check_printable(read.facts);
  }
}

TEST_CASE("a lie in one file takes no other fact away") {
  const Outcome cpu = read_source(cpu_source(), fixture("hostile"));
  CHECK(cpu.facts.cpu.vendor == "Evil\\x1b[2J\\xff\\xfe");
  CHECK(cpu.facts.cpu.architecture == "x86_64");
  CHECK(cpu.facts.cpu.threads == 1);
  CHECK(cpu.complains_about("cpu/online"));
  CHECK(cpu.samples.empty());
  const Outcome smbios = read_source(smbios_source(), fixture("hostile"));
  CHECK(smbios.facts.system.dmi.product_name == "NX-2200");
  CHECK(smbios.complains_about("ends inside"));
  const Outcome system = read_source(system_source(), fixture("hostile"));
  CHECK(system.facts.system.hostname == "host\\x1b[31m\\xc2\\x9b");
  CHECK(system.facts.system.machine_id.empty());
  CHECK_FALSE(system.facts.system.secure_boot.has_value());
  CHECK(system.complains_about("SecureBoot"));
  CHECK(system.complains_about("boot_id"));
  const Outcome edac = read_source(edac_source(), fixture("hostile"));
  CHECK(edac.facts.memory.edac.size() == 2);
  CHECK(edac.samples.empty());
}

TEST_CASE("topology and cache files that contradict themselves leave the counts of cpuinfo") {
  TempTree tree("server-numa");
  tree.file("sys/devices/system/cpu/cpu0/topology/core_cpus_list", "7-3\n")
      .file("sys/devices/system/cpu/cpu0/topology/package_cpus_list", "9000\n")
      .file("sys/devices/system/cpu/cpu1/cache/index0/shared_cpu_list", "1,1,,\n")
      .file("sys/devices/system/cpu/cpu1/cache/index0/size", "many\n");
  const Outcome read = read_source(cpu_source(), tree.root());
  CHECK(read.facts.cpu.cores == 4);
  CHECK(read.facts.cpu.sockets == 2);
  CHECK(read.facts.cpu.threads == 8);
  CHECK(read.complains_about("core_cpus_list"));
  CHECK(read.complains_about("shared_cpu_list"));
  CHECK(read.complains_about("index0/size"));
}

TEST_CASE("names of files are no less hostile than what is in them") {
  TempTree tree("server-numa");
  tree.file("sys/devices/system/cpu/vulnerabilities/\x1b[2J\xff", "Vulnerable\n")
      .folder("sys/devices/system/cpu/vulnerabilities/\x1b[3J");
  const Outcome read = read_source(cpu_source(), tree.root());
  CHECK(read.facts.cpu.vulnerabilities[0].name == "\\x1b[2J\\xff");
  CHECK(read.complains_about("\\x1b[3J"));
}

TEST_CASE("files without end are not read to their end") {
  const std::uint64_t terabyte = 1ULL << 40U;
  TempTree tree("server-numa");
  for (const char* path : {"proc/cpuinfo", "proc/meminfo", "proc/swaps", "proc/cmdline", "proc/uptime",
                           "etc/os-release", "etc/machine-id", "sys/devices/system/cpu/online",
                           "sys/devices/system/cpu/cpu0/cache/index0/size", "sys/devices/system/node/node0/meminfo",
                           "sys/firmware/dmi/tables/DMI", "sys/devices/system/edac/mc/mc0/mc_name"})
    tree.huge(path, terabyte);
  const auto begin = std::chrono::steady_clock::now();
  for (const Source& source : sources()) {
    INFO(source.name);
    (void)source.read(tree.root());
  }
  CHECK(std::chrono::steady_clock::now() - begin < std::chrono::seconds(10));
  CHECK(read_source(system_source(), tree.root()).complains_about("/etc/os-release"));
  CHECK(read_source(memory_source(), tree.root()).complains_about("/proc/meminfo"));
}

TEST_CASE("FIFOs, folders and loops in place of files hold no reader up") {
  using Spoil = std::function<void(TempTree&, const std::string&)>;
  const std::vector<Spoil> spoils{[](TempTree& tree, const std::string& at) { tree.fifo(at); },
                                  [](TempTree& tree, const std::string& at) { tree.folder(at); },
                                  [](TempTree& tree, const std::string& at) { tree.link(at, "/" + at); }};
  for (const Spoil& spoil : spoils) {
    TempTree tree("server-numa");
    for (const char* path :
         {"proc/meminfo", "proc/sys/kernel/random/boot_id", "etc/machine-id", "sys/kernel/security/lockdown",
          "sys/devices/system/cpu/smt/active", "sys/devices/system/edac/mc/mc0/ce_count", "sys/firmware/dmi/tables/DMI",
          "sys/devices/system/node/node1/cpulist"})
      spoil(tree, path);
    CHECK(read_source(memory_source(), tree.root()).complains_about("/proc/meminfo"));
    CHECK(read_source(memory_source(), tree.root()).facts.memory.huge_pages.size() == 6);
    CHECK(read_source(system_source(), tree.root()).complains_about("boot_id"));
    CHECK(read_source(system_source(), tree.root()).facts.system.hostname == "numa1");
    CHECK(read_source(cpu_source(), tree.root()).facts.cpu.threads == 8);
    CHECK(read_source(cpu_source(), tree.root()).complains_about("node1/cpulist"));
    CHECK(read_source(edac_source(), tree.root()).complains_about("ce_count"));
    CHECK(read_source(smbios_source(), tree.root()).complains_about("DMI"));
  }
}

TEST_CASE("an empty tree is absent hardware, not trouble") {
  const TempTree tree;
  for (const Source& source : {smbios_source(), edac_source(), system_source(), runtime_source()}) {
    INFO(source.name);
    CHECK(read_source(source, tree.root()).problems.empty());
  }
}
