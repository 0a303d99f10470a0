// What enforcement is asked to do. Plain values; the daemon makes them from the configuration.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "ebpf/abi/policy.h"
#include "ebpf/enforcement/faults.hpp"

namespace omnitide::enforcement {

// Elements that each map may hold. A policy that needs more is refused as a whole, and the last good one stays.
struct Limits {
  std::uint32_t endpoints = 4096;     // pods' devices, uplinks, closed devices
  std::uint32_t addresses = 65536;    // single addresses: pods of the cluster, nodes
  std::uint32_t prefixes = 65536;     // CIDRs of rules
  std::uint32_t peers = 262144;       // pairs of a rule set and an identity
  std::uint32_t ports = 65536;        // single ports and protocols of rule sets
  std::uint32_t port_ranges = 65536;  // prefixes of ports of rule sets
  std::uint32_t words = 262144;       // further 64-rule words of the rows
  std::uint32_t rules = 131072;       // rules of all sets together
  std::uint32_t connections = 262144;
  std::uint32_t translations = 65536;     // connections through a Service
  std::uint32_t fragments = 8192;         // fragmented packets under way
  std::uint32_t budgets = 4096;           // endpoints that open connections
  std::uint32_t deny = 131072;            // CIDRs of the hosts' deny list
  std::uint32_t own = 4096;               // addresses of the node
  std::uint32_t event_bytes = 1U << 20U;  // a power of two
};

enum class Mode : std::uint8_t { enforce, audit };              // audit: judge and report, drop nothing
enum class LostPod : std::uint8_t { closed, detached };         // what becomes of a device whose pod went
enum class AttachBy : std::uint8_t { automatic, tcx, clsact };  // automatic: tcx where the kernel has it

struct Options {
  std::string pins = "/sys/fs/bpf/omnitide";  // a folder in a bpffs; made if need be
  std::string cgroup;                         // the root of cgroup v2; empty: found in /proc/self/mountinfo
  Limits limits;
  Mode mode = Mode::enforce;
  AttachBy attach = AttachBy::automatic;
  LostPod lost_pod = LostPod::closed;
  std::vector<std::string> interfaces;  // names or globs (* and ?) of devices that start closed until a pod is found
  bool interfaces_start_open = false;   // ... or open
  bool xdp_deny = false;                // the deny list in XDP too, on the devices under HostPolicy

  // Read-only settings of the programs.
  std::uint32_t mark_mask = 0x3fff0000U, mark_shift = 16;          // bits of skb->mark that tickets may use
  std::uint32_t connection_rate = 2000, connection_burst = 20000;  // new connections a second and endpoint
  std::uint32_t event_rate = 1000, event_burst = 2000;             // events a second and CPU
  std::chrono::nanoseconds tcp_idle = std::chrono::hours(6), other_idle = std::chrono::minutes(3),
                           brief_idle = std::chrono::minutes(1);  // no answer yet, or closing

  // For tests: another version of the interface, an end between any two steps.
  unsigned abi = POLICY_ABI;
  std::shared_ptr<Faults> faults = {};
};

}  // namespace omnitide::enforcement
