#include "agent/cni/guard.hpp"

#include <arpa/inet.h>
#include <dirent.h>
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/magic.h>
#include <linux/pkt_cls.h>
#include <linux/pkt_sched.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <memory>
#include <vector>

#include "agent/base/fd.hpp"
#include "agent/base/file.hpp"
#include "agent/base/netlink.hpp"
#include "agent/base/text.hpp"

namespace omnitide::cni {

namespace {

constexpr std::array<std::string_view, 2> kHooks{"in", "out"};  // from the pod, to the pod
// Of linux/bpf.h from 6.6 on (commit e420bed02507); BPF_F_BEFORE without a program that it is relative to: the first.
constexpr std::array<__u32, 2> kTcx{46, 47};
constexpr __u32 kBefore = 1U << 3U;
// The place of the agent's own filter (ebpf/enforcement/hooks.cpp), which so replaces this one.
constexpr __u32 kHandle = 0x4f6d6e69, kPriority = 1;
constexpr std::string_view kName = "policy_closed", kVersionFolder = "policy-v";
constexpr mode_t kMode = 0700;

Result<int> bpf(bpf_cmd command, const bpf_attr& attributes) {
  const long result = ::syscall(SYS_bpf, command, &attributes, sizeof attributes);
  if (result < 0) return fail_errno(errno, "bpf");
  return static_cast<int>(result);
}

std::string folder_of(const std::string& pins) { return pins + "/closed"; }
std::string pin_of(const std::string& pins, std::uint32_t ifindex, std::string_view hook) {
  return folder_of(pins) + "/" + std::to_string(ifindex) + "-" + std::string(hook);
}

std::vector<std::string> names(const std::string& folder) {
  std::vector<std::string> out;
  const std::unique_ptr<DIR, int (*)(DIR*)> open(::opendir(folder.c_str()), &::closedir);
  while (const dirent* entry = open ? ::readdir(open.get()) : nullptr)
    out.emplace_back(&entry->d_name[0]);
  return out;
}

Result<> make_folder(const std::string& pins) {
  const std::string folder = folder_of(pins);
  if (Result<> made = make_folders(folder, kMode); made.has_error()) return made;
  struct statfs about {};
  if (::statfs(folder.c_str(), &about) != 0) return fail_errno(errno, "cannot look at " + folder);
  if (static_cast<std::uint64_t>(about.f_type) == BPF_FS_MAGIC) return {};
  (void)::rmdir(folder.c_str());
  return fail(Code::failed_precondition, pins + " is not in a BPF file system")
      .with_hint("mount one: mount -t bpf bpf /sys/fs/bpf");
}

// r0 = drop; exit. TC_ACT_SHOT and TCX_DROP are the same number.
Result<UniqueFd> load_program() {
  const std::array<bpf_insn, 2> code{{
      {.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0, .src_reg = 0, .off = 0, .imm = TC_ACT_SHOT},
      {.code = BPF_JMP | BPF_EXIT, .dst_reg = 0, .src_reg = 0, .off = 0, .imm = 0},
  }};
  constexpr std::string_view kLicense = "MIT";
  // Before Linux 5.11 a program counts as locked memory.
  const rlimit unlimited{RLIM_INFINITY, RLIM_INFINITY};
  (void)::setrlimit(RLIMIT_MEMLOCK, &unlimited);
  bpf_attr attributes{};
  attributes.prog_type = BPF_PROG_TYPE_SCHED_CLS;
  attributes.insn_cnt = code.size();
  attributes.insns = reinterpret_cast<std::uintptr_t>(code.data());
  attributes.license = reinterpret_cast<std::uintptr_t>(kLicense.data());
  std::memcpy(&attributes.prog_name[0], kName.data(), kName.size());
  const Result<int> fd = bpf(BPF_PROG_LOAD, attributes);
  if (fd.has_error()) return Error(fd.error()).within("cannot load a program");
  return UniqueFd(*fd);
}

// unimplemented: the kernel has no tcx.
Result<UniqueFd> attach_tcx(int program, std::uint32_t ifindex, std::size_t hook) {
  bpf_attr attributes{};
  attributes.link_create.prog_fd = static_cast<__u32>(program);
  attributes.link_create.target_ifindex = ifindex;
  attributes.link_create.attach_type = kTcx[hook];
  attributes.link_create.flags = kBefore;
  const Result<int> fd = bpf(BPF_LINK_CREATE, attributes);
  if (fd.has_value()) return UniqueFd(*fd);
  if (fd.error().code == Code::invalid_argument) return fail(Code::unimplemented, "the kernel has no tcx");
  return Error(fd.error()).within("cannot attach a program");
}

Result<> ask_tc(std::uint16_t type, std::uint16_t flags, const tcmsg& header, const std::string& attributes) {
  Result<NetlinkSocket> socket = NetlinkSocket::open(NETLINK_ROUTE);
  if (socket.has_error()) return socket.error();
  const auto nothing = [](const NetlinkMessage&) {};
  return socket->request(type, static_cast<std::uint16_t>(flags | NLM_F_ACK),
                         std::string(bytes_of(header)) + attributes, nothing);
}

tcmsg filter_header(std::uint32_t ifindex, std::size_t hook) {
  tcmsg out{};
  out.tcm_family = AF_UNSPEC;
  out.tcm_ifindex = static_cast<int>(ifindex);
  out.tcm_handle = kHandle;
  out.tcm_parent = TC_H_MAKE(TC_H_CLSACT, hook == 0 ? TC_H_MIN_INGRESS : TC_H_MIN_EGRESS);
  out.tcm_info = TC_H_MAKE(kPriority << 16U, htons(ETH_P_ALL));
  return out;
}

Result<> attach_clsact(int program, std::uint32_t ifindex, std::size_t hook) {
  tcmsg qdisc{};
  qdisc.tcm_family = AF_UNSPEC;
  qdisc.tcm_ifindex = static_cast<int>(ifindex);
  qdisc.tcm_handle = TC_H_MAKE(TC_H_CLSACT, 0);
  qdisc.tcm_parent = TC_H_CLSACT;
  std::string attributes;
  append_attribute(attributes, TCA_KIND, std::string("clsact") + '\0');
  const Result<> made = ask_tc(RTM_NEWQDISC, NLM_F_CREATE | NLM_F_EXCL, qdisc, attributes);
  if (made.has_error() && made.error().code != Code::already_exists)
    return Error(made.error()).within("cannot add the qdisc clsact");
  std::string options;
  append_attribute(options, TCA_BPF_FD, bytes_of(program));
  append_attribute(options, TCA_BPF_NAME, std::string(kName) + '\0');
  append_attribute(options, TCA_BPF_FLAGS, bytes_of(std::uint32_t{TCA_BPF_FLAG_ACT_DIRECT}));
  attributes.clear();
  append_attribute(attributes, TCA_KIND, std::string("bpf") + '\0');
  append_attribute(attributes, TCA_OPTIONS, options);
  const Result<> done = ask_tc(RTM_NEWTFILTER, NLM_F_CREATE, filter_header(ifindex, hook), attributes);
  if (done.has_error()) return Error(done.error()).within("cannot attach a program to clsact");
  return {};
}

bool has_filter(std::uint32_t ifindex, std::size_t hook) {
  return ask_tc(RTM_GETTFILTER, 0, filter_header(ifindex, hook), {}).has_value();
}

// Over what is there: of a device that had the same number.
Result<> pin(int fd, const std::string& path) {
  const std::string fresh = path + "-new";
  (void)::unlink(fresh.c_str());
  bpf_attr attributes{};
  attributes.pathname = reinterpret_cast<std::uintptr_t>(fresh.c_str());
  attributes.bpf_fd = static_cast<__u32>(fd);
  const Result<int> pinned = bpf(BPF_OBJ_PIN, attributes);
  if (pinned.has_error()) return Error(pinned.error()).within("cannot pin " + fresh);
  if (::rename(fresh.c_str(), path.c_str()) != 0) return fail_errno(errno, "cannot rename " + fresh);
  return {};
}

Result<> close_hook(const std::string& pins, int program, std::uint32_t ifindex, std::size_t hook) {
  const std::string path = pin_of(pins, ifindex, kHooks[hook]);
  const Result<UniqueFd> link = attach_tcx(program, ifindex, hook);
  if (link.has_value()) return pin(link->get(), path);
  if (link.error().code != Code::unimplemented) return link.error();
  // The pin first: the agent takes a filter for a pod's that is to be closed where it finds one.
  if (Result<> pinned = pin(program, path); pinned.has_error()) return pinned;
  return attach_clsact(program, ifindex, hook);
}

bool is_program(const std::string& path) {
  bpf_attr attributes{};
  attributes.pathname = reinterpret_cast<std::uintptr_t>(path.c_str());
  const Result<int> fd = bpf(BPF_OBJ_GET, attributes);
  if (fd.has_error()) return false;
  const UniqueFd owned(*fd);
  std::array<char, 64> target{};
  const std::string self = "/proc/self/fd/" + std::to_string(*fd);
  const ssize_t size = ::readlink(self.c_str(), target.data(), target.size());
  return size > 0 &&
         std::string_view(target.data(), static_cast<std::size_t>(size)).find("bpf-prog") != std::string::npos;
}

}  // namespace

Result<> close_device(const std::string& pins, std::uint32_t ifindex) {
  if (Result<> made = make_folder(pins); made.has_error()) return made;
  const Result<UniqueFd> program = load_program();
  if (program.has_error()) return program.error();
  for (std::size_t hook = 0; hook < kHooks.size(); ++hook) {
    if (Result<> done = close_hook(pins, program->get(), ifindex, hook); done.has_error()) return done;
  }
  return {};
}

// The pin goes by its name, so that whoever renamed it first has the link; the kernel detaches one that has no pin and
// no descriptor.
void open_device(const std::string& pins, std::uint32_t ifindex) {
  for (std::size_t hook = 0; hook < kHooks.size(); ++hook) {
    const std::string path = pin_of(pins, ifindex, kHooks[hook]);
    const bool filter = is_program(path);
    if (::unlink(path.c_str()) == 0 && filter) (void)ask_tc(RTM_DELTFILTER, 0, filter_header(ifindex, hook), {});
  }
}

bool is_guarded(const std::string& pins, std::uint32_t ifindex) {
  const auto guarded = [&](std::size_t hook) {
    const std::string name = std::to_string(ifindex) + "-" + std::string(kHooks[hook]);
    if (::access((folder_of(pins) + "/" + name).c_str(), F_OK) == 0) return true;
    for (const std::string& folder : names(pins)) {
      if (folder.starts_with(kVersionFolder) && ::access((pins + "/" + folder + "/links/" + name).c_str(), F_OK) == 0)
        return true;
    }
    return has_filter(ifindex, hook);
  };
  return guarded(0) && guarded(1);
}

void sweep(const std::string& pins) {
  const std::string folder = folder_of(pins);
  for (const std::string& name : names(folder)) {
    const auto ifindex = parse_number<unsigned>(std::string_view(name).substr(0, name.find('-')));
    std::array<char, IF_NAMESIZE> device{};
    if (ifindex && ::if_indextoname(*ifindex, device.data()) == nullptr && errno == ENXIO)
      (void)::unlink((folder + "/" + name).c_str());
  }
}

}  // namespace omnitide::cni
