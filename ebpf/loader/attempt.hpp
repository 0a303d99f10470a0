// Single attempts at what the kernel may refuse, each undone at once: nothing stays loaded, attached or pinned.
#pragma once

#include <linux/bpf.h>

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "agent/base/fd.hpp"

namespace omnitide::ebpf {

// The outcome of an attempt: 0, or an errno with what was tried when it came.
struct Attempt {
  int error = 0;
  std::string what;  // "" or e.g. "attach"; a whole sentence where errno says nothing
  [[nodiscard]] bool works() const { return error == 0 && what.empty(); }
};

struct ProgramKind {
  bpf_prog_type type = BPF_PROG_TYPE_UNSPEC;
  bpf_attach_type attach = static_cast<bpf_attach_type>(0);
  std::uint32_t btf_id = 0;  // of what it attaches to, in the kernel's own BTF
};

// `r0 = 0; exit`, which every kind of program may be. An invalid descriptor on failure, with errno's value in `error`.
[[nodiscard]] UniqueFd load_empty(const ProgramKind& kind, int& error);
[[nodiscard]] UniqueFd load(const ProgramKind& kind, std::span<const bpf_insn> code, int& error);

[[nodiscard]] Attempt try_load(const ProgramKind& kind);
[[nodiscard]] Attempt try_map(bpf_map_type type, std::uint32_t key_bytes, std::uint32_t value_bytes,
                              std::uint32_t entries, std::uint32_t flags = 0);
[[nodiscard]] Attempt try_hash_of_maps();
[[nodiscard]] Attempt try_timer();
[[nodiscard]] Attempt try_test_run();
// Attaches to a tracepoint of the kernel by name; by BTF when `name` is empty.
[[nodiscard]] Attempt try_raw_tracepoint(const ProgramKind& kind, const std::string& name);
// By perf_event_open of the software CPU clock on this thread.
[[nodiscard]] Attempt try_perf_event();
// By a kprobe on a function that every kernel has, on this thread.
[[nodiscard]] Attempt try_kprobe();

// Both in a network namespace that lives as long as the call, on a thread of its own; the daemon's namespace is not
// touched. Where no namespace may be made (CAP_SYS_ADMIN), what can be known without one.
struct NetworkAttempts {
  Attempt tcx, xdp_generic;
};
[[nodiscard]] NetworkAttempts try_network();

}  // namespace omnitide::ebpf
