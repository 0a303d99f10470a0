#include "ebpf/loader/probe.hpp"

#include <bpf/btf.h>
#include <bpf/libbpf.h>
#include <fmt/format.h>
#include <linux/bpf.h>
#include <linux/capability.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdint>
#include <cstring>
#include <functional>
#include <memory>
#include <span>
#include <utility>

#include "agent/base/file.hpp"
#include "agent/base/text.hpp"
#include "ebpf/loader/attempt.hpp"
#include "ebpf/loader/capabilities.hpp"

namespace omnitide::ebpf {

namespace {

constexpr std::array kBpf{CAP_BPF};
constexpr std::array kNetwork{CAP_BPF, CAP_NET_ADMIN};
constexpr std::array kTracing{CAP_BPF, CAP_PERFMON};

class Prober {
 public:
  std::vector<model::EbpfFeature> run();

 private:
  void add(std::string_view name, const Attempt& attempt, std::span<const int> needs);
  void basics();
  void maps();
  void network(const NetworkAttempts& attached);
  void tracing();
  [[nodiscard]] std::uint32_t type_id(const char* name, std::uint32_t kind);
  [[nodiscard]] Attempt traced(bpf_prog_type type, bpf_attach_type attach, const char* name, std::uint32_t kind,
                               const std::function<Attempt(const ProgramKind&)>& attempt);
  [[nodiscard]] Attempt security_hook();

  const std::uint64_t held_ = effective_capabilities();
  std::unique_ptr<btf, decltype(&btf__free)> types_{nullptr, &btf__free};
  std::vector<model::EbpfFeature> features_;
};

std::string reason(const Attempt& attempt, const std::string& missing) {
  if (attempt.error == 0) return attempt.what;
  const char* name = ::strerrorname_np(attempt.error);
  std::string text =
      fmt::format("{}: {}: {}", name == nullptr ? "error" : name, attempt.what,
                  to_lower(::strerrordesc_np(attempt.error) == nullptr ? "unknown" : ::strerrordesc_np(attempt.error)));
  if (attempt.error == EPERM || attempt.error == EACCES) {
    text += missing.empty() ? "; the capabilities are there, so the kernel or a sandbox forbids it"
                            : fmt::format("; needs {}", missing);
  }
  return text;
}

void Prober::add(std::string_view name, const Attempt& attempt, std::span<const int> needs) {
  const bool works = attempt.works();
  features_.push_back({.name = std::string(name),
                       .works = works,
                       .reason = works ? std::string() : reason(attempt, missing_capabilities(held_, needs))});
}

// 0 when the kernel has no such type, or no BTF, or when this process could not use it anyway.
std::uint32_t Prober::type_id(const char* name, std::uint32_t kind) {
  if (!types_ && missing_capabilities(held_, kBpf).empty()) types_.reset(btf__load_vmlinux_btf());
  if (!types_) return 0;
  const int id = btf__find_by_name_kind(types_.get(), name, kind);
  return id > 0 ? static_cast<std::uint32_t>(id) : 0;
}

Attempt Prober::traced(bpf_prog_type type, bpf_attach_type attach, const char* name, std::uint32_t kind,
                       const std::function<Attempt(const ProgramKind&)>& attempt) {
  ProgramKind program{.type = type, .attach = attach, .btf_id = type_id(name, kind)};
  if (program.btf_id == 0 && types_) return {0, fmt::format("the kernel's BTF has no {}", name)};
  if (program.btf_id == 0 && missing_capabilities(held_, kBpf).empty()) return {0, "the kernel has no BTF"};
  if (program.btf_id == 0) program.btf_id = 1;  // only to hear the refusal
  return attempt(program);
}

void Prober::basics() {
  const bool btf_there = ::access("/sys/kernel/btf/vmlinux", R_OK) == 0;
  add("btf", btf_there ? Attempt{} : Attempt{0, "no readable /sys/kernel/btf/vmlinux (CONFIG_DEBUG_INFO_BTF)"}, kBpf);
  // A kernel that always compiles (CONFIG_BPF_JIT_ALWAYS_ON) shows 1; without a JIT there is no such file.
  const Result<std::string> jit = read_file("/proc/sys/net/core/bpf_jit_enable", 64);
  const bool on = jit && trim(*jit) != "0";
  Attempt how = on ? Attempt{} : Attempt{0, "net.core.bpf_jit_enable is 0"};
  if (!jit)
    how.what = jit.error().code == Code::permission_denied ? "net.core.bpf_jit_enable is not readable"
                                                           : "the kernel has no JIT for this architecture";
  add("jit", how, {});
}

void Prober::maps() {
  constexpr std::uint32_t kPage = 65536;  // a multiple of every architecture's page size
  add("ringbuf", try_map(BPF_MAP_TYPE_RINGBUF, 0, 0, kPage), kBpf);
  add("lpm_trie", try_map(BPF_MAP_TYPE_LPM_TRIE, 8, 4, 1, BPF_F_NO_PREALLOC), kBpf);
  add("lru_hash", try_map(BPF_MAP_TYPE_LRU_HASH, 4, 4, 1), kBpf);
  add("hash_of_maps", try_hash_of_maps(), kBpf);
  add("timer", try_timer(), kNetwork);
  add("test_run", try_test_run(), kNetwork);
}

void Prober::network(const NetworkAttempts& attached) {
  add("tcx", attached.tcx, kNetwork);
  add("clsact", try_load({.type = BPF_PROG_TYPE_SCHED_CLS}), kNetwork);
  add("xdp_generic", attached.xdp_generic, kNetwork);
  add("cgroup_skb", try_load({.type = BPF_PROG_TYPE_CGROUP_SKB, .attach = BPF_CGROUP_INET_INGRESS}), kNetwork);
  add("cgroup_sock_addr", try_load({.type = BPF_PROG_TYPE_CGROUP_SOCK_ADDR, .attach = BPF_CGROUP_INET4_CONNECT}),
      kNetwork);
  add("sockops", try_load({.type = BPF_PROG_TYPE_SOCK_OPS, .attach = BPF_CGROUP_SOCK_OPS}), kNetwork);
}

void Prober::tracing() {
  // task_rename happens seldom, and the program does nothing.
  add("tracepoint", try_load({.type = BPF_PROG_TYPE_TRACEPOINT}), kTracing);
  add("raw_tracepoint", try_raw_tracepoint({.type = BPF_PROG_TYPE_RAW_TRACEPOINT}, "task_rename"), kTracing);
  const auto by_btf = [](const ProgramKind& kind) { return try_raw_tracepoint(kind, {}); };
  add("tp_btf", traced(BPF_PROG_TYPE_TRACING, BPF_TRACE_RAW_TP, "btf_trace_task_rename", BTF_KIND_TYPEDEF, by_btf),
      kTracing);
  // A function of the kernel's that is there to be traced in tests and is called by nothing else.
  add("fentry", traced(BPF_PROG_TYPE_TRACING, BPF_TRACE_FENTRY, "bpf_fentry_test1", BTF_KIND_FUNC, by_btf), kTracing);
  add("kprobe", try_kprobe(), kTracing);
  add("perf_event", try_perf_event(), kTracing);
  add("lsm", security_hook(), kTracing);
}

// Loads only: an attached program would be asked by every process. The kernel runs it only when "bpf" is in its list.
Attempt Prober::security_hook() {
  const Attempt loaded = traced(BPF_PROG_TYPE_LSM, BPF_LSM_MAC, "bpf_lsm_file_open", BTF_KIND_FUNC,
                                [](const ProgramKind& kind) { return try_load(kind); });
  if (!loaded.works()) return loaded;
  const Result<std::string> list = read_file("/sys/kernel/security/lsm", 4096);
  if (!list) return {};
  for (const std::string_view name : split(trim(*list), ',')) {
    if (name == "bpf") return {};
  }
  return {0, "bpf is not in the kernel's list of security modules (boot parameter lsm=)"};
}

std::vector<model::EbpfFeature> Prober::run() {
  basics();
  maps();
  network(try_network());
  tracing();
  return std::move(features_);
}

}  // namespace

std::vector<model::EbpfFeature> probe() {
  // What a refused attempt says goes into its reason, not to stderr.
  const auto earlier = libbpf_set_print(nullptr);
  std::vector<model::EbpfFeature> features = Prober().run();
  libbpf_set_print(earlier);
  return features;
}

}  // namespace omnitide::ebpf
