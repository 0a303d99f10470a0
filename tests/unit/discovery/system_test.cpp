#include <string>

#include "discovery/sources/catalogue.hpp"
#include "discovery/sources/command_line.hpp"
#include "discovery/sources/os_release.hpp"
#include "tests/harness/catch.hpp"
#include "tests/harness/fixture.hpp"
#include "tests/harness/reading.hpp"

using namespace omnitide;
using namespace omnitide::discovery;
using omnitide::test::fixture;
using omnitide::test::Outcome;
using omnitide::test::read_source;
using omnitide::test::TempTree;

TEST_CASE("os-release is unquoted as a shell would") {
  const OsRelease plain = parse_os_release("ID=debian\nVERSION_ID=\"12\"\nPRETTY_NAME='Debian GNU/Linux'\n");
  CHECK(plain.id == "debian");
  CHECK(plain.version_id == "12");
  CHECK(plain.pretty_name == "Debian GNU/Linux");
  const OsRelease odd =
      parse_os_release("# ID=no\n ID=a\\ b\nPRETTY_NAME=\"say \\\"hi\\\" \\$5 \\n\"\nVERSION_ID='1\"2'x\n");
  CHECK(odd.id == "a b");
  CHECK(odd.pretty_name == "say \"hi\" $5 \\n");
  CHECK(odd.version_id == "1\"2x");
  CHECK(parse_os_release("ID=a\nID=b\n").id == "b");
  CHECK(parse_os_release("").id == "linux");
  CHECK(parse_os_release("ID=" + std::string(100000, 'x')).id.size() == 256);
}

TEST_CASE("a server: distribution, kernel, boot, systemd and cgroup mode") {
  const Outcome read = read_source(system_source(), fixture("server-numa"));
  const model::SystemFacts& system = read.facts.system;
  CHECK(read.problems.empty());
  CHECK(system.hostname == "numa1");
  CHECK(system.machine_id == "b6a1c1f0e5d94c0e8a3c2f5b7d9e1f33");
  CHECK(system.os_id == "rhel");
  CHECK(system.os_version_id == "9.4");
  CHECK(system.os_name == "Red Hat Enterprise Linux 9.4 (Plow)");
  CHECK(system.kernel_release == "5.14.0-427.13.1.el9_4.x86_64");
  CHECK(system.kernel_version == "#1 SMP PREEMPT_DYNAMIC Wed Apr 10 10:29:16 EDT 2024");
  CHECK(system.boot_id == "7f0c1a52-9d7a-4a8f-8f39-0c7f5d0d9b11");
  CHECK(system.kernel_command_line.starts_with("BOOT_IMAGE=/vmlinuz "));
  CHECK(system.lockdown == "none");
  CHECK_FALSE(system.secure_boot.has_value());
  CHECK(system.systemd_version == "252-32.el9_4");
  CHECK(system.cgroup_mode == "hybrid");
  CHECK(system.virtualization == "none");
  CHECK(system.has_battery_clock);
  CHECK(read.sample("omnitide_uptime_seconds") == Approx(353467.21));
}

TEST_CASE("secrets on the kernel's command line stay on the machine") {
  const auto removed = [](const std::string& text) { return without_secrets(text); };
  for (const char* name : {"password", "rd.iscsi.in.password", "rd.luks.key", "rd.luks.name", "luks.options",
                           "cryptkey", "token", "k3s.Token", "systemd.set_credential", "wpa_psk", "key"}) {
    CHECK(removed(std::string("a=1 ") + name + "=hunter2 ro") == std::string("a=1 ") + name + "=[removed] ro");
  }
  CHECK(removed("password=\"hunter two\" ro") == "password=[removed] ro");
  CHECK(removed("\"password=hunter two\" ro") == "\"password=[removed] ro");
  CHECK(removed("password=\"never closed ro") == "password=[removed]");
  CHECK(removed("rootflags=user=a,password=b,vers=3") == "rootflags=user=a,password=[removed],vers=3");
  CHECK(removed("inst.ks=https://u:p@host/x@y ip=dhcp") == "inst.ks=https://[removed]@host/x@y ip=dhcp");
  const std::string plain =
      "BOOT_IMAGE=/vmlinuz root=UUID=0a-1 ro  quiet rd.vconsole.keymap=us console=ttyS0,115200 "
      "dyndbg=\"file a.c +p\" url=http://host/a@b";
  CHECK(removed(plain) == plain);
  CHECK(removed("") == "");
  TempTree tree;
  tree.file("proc/cmdline", "ro password=hunter2\n");
  CHECK(read_source(system_source(), tree.root()).facts.system.kernel_command_line == "ro password=[removed]");
}

TEST_CASE("a board: device tree, no battery clock, links that stay inside the tree") {
  const Outcome read = read_source(system_source(), fixture("sbc-arm64"));
  CHECK(read.problems.empty());
  CHECK(read.facts.system.device_tree_model == "Pine64 RockPro64 v2.1");
  CHECK_FALSE(read.facts.system.has_battery_clock);
  CHECK(read.facts.system.os_id == "ubuntu");
  CHECK(read.facts.system.os_version_id == "24.04");
  CHECK(read.facts.system.systemd_version == "255");
  CHECK(read.facts.system.cgroup_mode == "unified");
  CHECK(read.facts.system.virtualization == "none");
}

TEST_CASE("a guest: secure boot, lockdown, virtualization") {
  TempTree tree("vm-virtio");
  const auto system = [&tree] { return read_source(system_source(), tree.root()).facts.system; };
  CHECK(system().secure_boot == true);
  CHECK(system().lockdown == "integrity");
  CHECK(system().virtualization == "vm");
  CHECK(system().cgroup_mode == "unified");
  tree.file("sys/firmware/efi/efivars/SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c", std::string("\6\0\0\0\0", 5));
  CHECK(system().secure_boot == false);
  tree.file("run/systemd/container", "systemd-nspawn\n");
  CHECK(system().virtualization == "container");
  // An unpacked image's leftover: these processes are in the kernel's first PID namespace.
  tree.link("proc/self/ns/pid", "pid:[4026531836]");
  CHECK(system().virtualization == "vm");
}

TEST_CASE("without systemd as init, its installed library is no version") {
  TempTree tree("vm-virtio");
  tree.remove("run/systemd/system");
  CHECK(read_source(system_source(), tree.root()).facts.system.systemd_version.empty());
}

TEST_CASE("version 1 control groups alone are legacy") {
  TempTree tree;
  tree.file("sys/fs/cgroup/memory/cgroup.procs", "");
  CHECK(read_source(system_source(), tree.root()).facts.system.cgroup_mode == "legacy");
}

TEST_CASE("uptime is no fact: time alone changes none") {
  TempTree tree("server-numa");
  tree.file("proc/uptime", "999999.99 1.00\n");
  CHECK(read_source(system_source(), tree.root()).facts == read_source(system_source(), fixture("server-numa")).facts);
}

TEST_CASE("container runtimes are found by their sockets, and a file of that name is none") {
  TempTree tree;
  tree.socket("run/k3s/containerd/containerd.sock").socket("run/crio/crio.sock").file("run/docker.sock", "");
  const auto runtimes = read_source(runtime_source(), tree.root()).facts.system.container_runtimes;
  REQUIRE(runtimes.size() == 2);
  CHECK(runtimes[0] == model::ContainerRuntime{"containerd", "/run/k3s/containerd/containerd.sock", ""});
  CHECK(runtimes[1] == model::ContainerRuntime{"cri-o", "/run/crio/crio.sock", ""});
}
