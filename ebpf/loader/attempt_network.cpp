#include <bpf/bpf.h>
#include <linux/if_link.h>
#include <sched.h>

#include <cerrno>
#include <thread>

#include "ebpf/loader/attempt.hpp"

namespace omnitide::ebpf {

namespace {

// BPF_TCX_INGRESS, which linux/bpf.h has from 6.6 on (commit e420bed02507, with BPF_TCX_EGRESS).
constexpr auto kTcxIngress = static_cast<bpf_attach_type>(46);
constexpr int kLoopback = 1;           // the first device of every network namespace
constexpr int kNoDevice = 0x7FFFFFFF;  // an index that no device has

int link_error(const UniqueFd& program, int device, bpf_attach_type type, std::uint32_t flags) {
  bpf_link_create_opts options{};
  options.sz = sizeof options;
  options.flags = flags;
  const int result = bpf_link_create(program.get(), device, type, &options);
  const UniqueFd link = owned(result);
  return result < 0 ? -result : 0;
}

Attempt attach_tcx(const UniqueFd& program, int device) {
  const int error = link_error(program, device, kTcxIngress, 0);
  // A kernel that does not know the attach type says so before it looks for the device.
  if (error == 0 || (device == kNoDevice && error == ENODEV)) return {};
  if (error == EINVAL) return {0, "the kernel has no tcx (Linux 6.6)"};
  return {error, "attach"};
}

}  // namespace

NetworkAttempts try_network() {
  NetworkAttempts out;
  int error = 0;
  const UniqueFd classifier = load_empty({.type = BPF_PROG_TYPE_SCHED_CLS}, error);
  if (!classifier) out.tcx = {error, "load"};
  const UniqueFd express = load_empty({.type = BPF_PROG_TYPE_XDP, .attach = BPF_XDP}, error);
  if (!express) out.xdp_generic = {error, "load"};
  if (!classifier && !express) return out;
  // Only this thread leaves the namespace; the new one ends with it. Links go with their descriptors.
  std::thread([&] {
    const bool apart = ::unshare(CLONE_NEWNET) == 0;
    if (classifier) out.tcx = attach_tcx(classifier, apart ? kLoopback : kNoDevice);
    if (!express || !apart) return;
    if (const int refused = link_error(express, kLoopback, BPF_XDP, XDP_FLAGS_SKB_MODE); refused != 0)
      out.xdp_generic = {refused, "attach"};
  }).join();
  return out;
}

}  // namespace omnitide::ebpf
