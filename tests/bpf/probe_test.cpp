// Against the kernel of this machine. Needs CAP_BPF, CAP_NET_ADMIN, CAP_PERFMON and CAP_SYS_ADMIN: without them the
// tests fail, they are never skipped.
#include "ebpf/loader/probe.hpp"

#include <bpf/bpf.h>
#include <linux/capability.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <set>
#include <string>
#include <thread>

#include "agent/base/fd.hpp"
#include "agent/base/file.hpp"
#include "agent/base/text.hpp"
#include "tests/harness/catch.hpp"

using namespace omnitide;
using Features = std::vector<model::EbpfFeature>;

namespace {

const model::EbpfFeature& feature(const Features& all, std::string_view name) {
  const auto found = std::find_if(all.begin(), all.end(), [name](const auto& each) { return each.name == name; });
  REQUIRE(found != all.end());
  return *found;
}

// Programs and maps in the kernel that bear the probe's name.
int left_behind() {
  int count = 0;
  for (__u32 id = 0; bpf_prog_get_next_id(id, &id) == 0;) {
    const UniqueFd fd(bpf_prog_get_fd_by_id(id));
    bpf_prog_info info{};
    __u32 size = sizeof info;
    if (fd && bpf_obj_get_info_by_fd(fd.get(), &info, &size) == 0) count += std::string(info.name) == "omnitide_probe";
  }
  for (__u32 id = 0; bpf_map_get_next_id(id, &id) == 0;) {
    const UniqueFd fd(bpf_map_get_fd_by_id(id));
    bpf_map_info info{};
    __u32 size = sizeof info;
    if (fd && bpf_obj_get_info_by_fd(fd.get(), &info, &size) == 0) count += std::string(info.name) == "omnitide_probe";
  }
  return count;
}

bool at_least(unsigned major, unsigned minor) {
  utsname names{};
  REQUIRE(::uname(&names) == 0);
  unsigned has_major = 0, has_minor = 0;
  REQUIRE(std::sscanf(&names.release[0], "%u.%u", &has_major, &has_minor) == 2);
  return has_major > major || (has_major == major && has_minor >= minor);
}

struct Folder {
  std::string path = "/tmp/omnitide-probe-XXXXXX";
  Folder() { REQUIRE(::mkdtemp(path.data()) != nullptr); }
  ~Folder() {
    ::unlink((path + "/cache").c_str());
    ::rmdir(path.c_str());
  }
  [[nodiscard]] std::string cache() const { return path + "/cache"; }
};

// On a thread that has these effective capabilities alone.
Features probe_with(std::uint64_t capabilities) {
  Features all;
  std::thread([&all, capabilities] {
    // The system call, unlike the C library's wrappers, changes this thread alone.
    __user_cap_header_struct header{};
    header.version = _LINUX_CAPABILITY_VERSION_3;
    std::array<__user_cap_data_struct, 2> sets{};
    sets[0].effective = sets[0].permitted = static_cast<std::uint32_t>(capabilities);
    sets[1].effective = sets[1].permitted = static_cast<std::uint32_t>(capabilities >> 32U);
    if (::syscall(SYS_capset, &header, sets.data()) == 0) all = ebpf::probe();
  }).join();
  return all;
}

constexpr std::string_view kBoot = "9f3c2f6e-0000-4000-8000-000000000001";

}  // namespace

TEST_CASE("every feature is answered once, with a reason exactly when it does not work") {
  const auto start = std::chrono::steady_clock::now();
  const Features all = ebpf::probe();
  const auto took = std::chrono::steady_clock::now() - start;
  std::set<std::string> names;
  for (const auto& each : all) {
    std::printf("  %-18s %s\n", each.name.c_str(), each.works ? "works" : each.reason.c_str());
    CHECK(names.insert(each.name).second);
    CHECK(each.works == each.reason.empty());
  }
  std::printf("  probed in %.1f ms\n", std::chrono::duration<double, std::milli>(took).count());
  // What every kernel that this project supports can do, given the capabilities.
  for (const char* name : {"btf", "ringbuf", "lpm_trie", "lru_hash", "hash_of_maps", "test_run", "clsact",
                           "xdp_generic", "cgroup_skb", "cgroup_sock_addr", "sockops", "raw_tracepoint", "tp_btf"}) {
    INFO(name << ": " << feature(all, name).reason);
    CHECK(feature(all, name).works);
  }
  INFO(feature(all, "timer").reason);
  CHECK(feature(all, "timer").works == at_least(5, 15));
  INFO(feature(all, "tcx").reason);
  CHECK(feature(all, "tcx").works == at_least(6, 6));
}

TEST_CASE("probing leaves no program, map, thread or namespace behind") {
  struct stat before {};
  struct stat after {};
  REQUIRE(::stat("/proc/self/ns/net", &before) == 0);
  (void)ebpf::probe();
  REQUIRE(::stat("/proc/self/ns/net", &after) == 0);
  CHECK(before.st_ino == after.st_ino);
  // The kernel frees after a grace period.
  int left = left_behind();
  for (int i = 0; i < 100 && left != 0; ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    left = left_behind();
  }
  CHECK(left == 0);
}

TEST_CASE("a process without capabilities is told which it needs") {
  const Features all = probe_with(0);
  REQUIRE_FALSE(all.empty());
  CHECK(feature(all, "tcx").reason == "EPERM: load: operation not permitted; needs CAP_BPF and CAP_NET_ADMIN");
  CHECK(feature(all, "tp_btf").reason.find("needs CAP_BPF and CAP_PERFMON") != std::string::npos);
  CHECK(feature(all, "ringbuf").reason.find("needs CAP_BPF") != std::string::npos);
  CHECK(feature(all, "btf").works);
}

TEST_CASE("the capabilities of the DaemonSet suffice to find out the same") {
  const auto bit = [](int capability) { return std::uint64_t{1} << static_cast<unsigned>(capability); };
  const Features few = probe_with(bit(CAP_BPF) | bit(CAP_NET_ADMIN) | bit(CAP_PERFMON));
  const Features all = ebpf::probe();
  for (const char* name : {"tcx", "xdp_generic", "clsact", "ringbuf", "tp_btf", "raw_tracepoint", "timer"}) {
    INFO(name << ": " << feature(few, name).reason);
    CHECK(feature(few, name).works == feature(all, name).works);
  }
}

TEST_CASE("the answers of one boot are kept and taken again") {
  const Folder folder;
  const Features first = ebpf::probe_cached(folder.cache(), kBoot, false);
  const Result<std::string> text = read_file(folder.cache());
  REQUIRE(text);
  // A mark that only the file can have given.
  std::string marked = *text;
  marked.replace(marked.find("lru_hash yes"), 12, "lru_hash no marked");
  REQUIRE(write_file_durably(folder.cache(), marked));
  CHECK(feature(ebpf::probe_cached(folder.cache(), kBoot, false), "lru_hash").reason == "marked");

  SECTION("another boot probes anew") { CHECK(ebpf::probe_cached(folder.cache(), "another", false) == first); }
  SECTION("so does one who asks for it, and the file is made new") {
    CHECK(ebpf::probe_cached(folder.cache(), kBoot, true) == first);
    CHECK(ebpf::probe_cached(folder.cache(), kBoot, false) == first);
  }
  SECTION("a damaged file is ignored") {
    for (const std::string& damaged :
         {std::string(), std::string("\0\xff\n", 3), marked.substr(0, marked.size() / 2), marked + "more\n",
          std::string(100'000, 'x'), marked.substr(marked.find('\n') + 1)}) {
      REQUIRE(write_file_durably(folder.cache(), damaged));
      CHECK(ebpf::probe_cached(folder.cache(), kBoot, false) == first);
    }
  }
}

TEST_CASE("a place that cannot be written is no failure") {
  CHECK_FALSE(ebpf::probe_cached("/proc/no/such/place", kBoot, false).empty());
  CHECK_FALSE(ebpf::probe_cached("", kBoot, false).empty());
}
