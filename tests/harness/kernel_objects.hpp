// What of BPF is in the kernel.
#pragma once

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "agent/base/fd.hpp"

namespace omnitide::test {

struct KernelObjects {
  std::size_t programs = 0, maps = 0, links = 0;
  bool operator==(const KernelObjects&) const = default;
};

// What belongs to objects whose map `addresses` has this size: a size of a test's own tells them from
// those of other tests on the machine, and of those before it, which the kernel frees when it comes to it. Maps: how
// many such objects there are.
inline KernelObjects objects_sized(std::uint32_t addresses) {
  KernelObjects out;
  std::set<__u32> maps, programs;
  for (__u32 id = 0; bpf_map_get_next_id(id, &id) == 0;) {
    const UniqueFd fd(bpf_map_get_fd_by_id(id));
    bpf_map_info info{};
    __u32 size = sizeof info;
    if (fd && bpf_obj_get_info_by_fd(fd.get(), &info, &size) == 0 && info.max_entries == addresses &&
        std::string_view(&info.name[0]) == "addresses")
      maps.insert(id);
  }
  for (__u32 id = 0; bpf_prog_get_next_id(id, &id) == 0;) {
    const UniqueFd fd(bpf_prog_get_fd_by_id(id));
    std::vector<__u32> used(64);
    bpf_prog_info info{};
    info.nr_map_ids = static_cast<__u32>(used.size());
    info.map_ids = reinterpret_cast<std::uintptr_t>(used.data());
    __u32 size = sizeof info;
    if (!fd || bpf_obj_get_info_by_fd(fd.get(), &info, &size) != 0) continue;
    used.resize(std::min<std::size_t>(info.nr_map_ids, used.size()));
    if (std::any_of(used.begin(), used.end(), [&maps](__u32 map) { return maps.contains(map); })) programs.insert(id);
  }
  for (__u32 id = 0; bpf_link_get_next_id(id, &id) == 0;) {
    const UniqueFd fd(bpf_link_get_fd_by_id(id));
    bpf_link_info info{};
    __u32 size = sizeof info;
    if (fd && bpf_obj_get_info_by_fd(fd.get(), &info, &size) == 0 && programs.contains(info.prog_id)) ++out.links;
  }
  out.maps = maps.size();
  out.programs = programs.size();
  return out;
}

// Waits, up to half a minute, until the objects are these; what there is at the end.
template <class Count>
KernelObjects settled_objects(const KernelObjects& wanted, Count count) {
  KernelObjects now = count();
  for (int i = 0; i < 1500 && now != wanted; ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    now = count();
  }
  return now;
}

inline std::string program_name(std::uint32_t id) {
  const UniqueFd fd(bpf_prog_get_fd_by_id(id));
  bpf_prog_info info{};
  __u32 size = sizeof info;
  return fd && bpf_obj_get_info_by_fd(fd.get(), &info, &size) == 0 ? &info.name[0] : "";
}

constexpr auto kTcxIngress = static_cast<bpf_attach_type>(46), kTcxEgress = static_cast<bpf_attach_type>(47);

// A kernel without tcx (before 6.6) does not know the type.
inline bool has_tcx() {
  __u32 count = 0, flags = 0;
  return bpf_prog_query(1, kTcxIngress, 0, &flags, nullptr, &count) != -EINVAL;
}

// The programs of tcx on a device, in their order.
inline std::vector<std::uint32_t> tcx_ids(std::uint32_t ifindex, bool ingress) {
  std::vector<__u32> ids(16);
  __u32 count = static_cast<__u32>(ids.size()), flags = 0;
  const bpf_attach_type type = ingress ? kTcxIngress : kTcxEgress;
  if (bpf_prog_query(static_cast<int>(ifindex), type, 0, &flags, ids.data(), &count) != 0) return {};
  ids.resize(count);
  return ids;
}

// The kernel keeps 15 characters of a name.
inline std::vector<std::string> names_of(const std::vector<std::uint32_t>& programs) {
  std::vector<std::string> out;
  for (const std::uint32_t id : programs)
    out.push_back(program_name(id));
  return out;
}
inline std::vector<std::string> tcx_programs(std::uint32_t ifindex, bool ingress) {
  return names_of(tcx_ids(ifindex, ingress));
}

// A program that does nothing, to be there before ours.
inline UniqueFd pass_program() {
  bpf_insn code[2]{};
  code[0].code = BPF_ALU64 | BPF_MOV | BPF_K;
  code[0].imm = -1;
  code[1].code = BPF_JMP | BPF_EXIT;
  const int fd = bpf_prog_load(BPF_PROG_TYPE_SCHED_CLS, "stranger", "GPL", &code[0], 2, nullptr);
  return UniqueFd(fd < 0 ? -1 : fd);
}

}  // namespace omnitide::test
