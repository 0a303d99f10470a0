#include "ebpf/loader/attempt.hpp"

#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <linux/if_link.h>
#include <linux/perf_event.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <ctime>
#include <memory>
#include <optional>

#include "agent/base/file.hpp"
#include "agent/base/text.hpp"

namespace omnitide::ebpf {

namespace {

// bpf_timer_init() and others ask for a license that is compatible with the GPL.
constexpr const char* kLicense = "Dual MIT/GPL";
constexpr const char* kName = "omnitide_probe";

constexpr bpf_insn instruction(std::uint8_t code, std::uint8_t to, std::uint8_t from, std::int16_t offset,
                               std::int32_t value) {
  bpf_insn made{};
  made.code = code;
  made.dst_reg = to & 0xFU;
  made.src_reg = from & 0xFU;
  made.off = offset;
  made.imm = value;
  return made;
}
constexpr bpf_insn set(std::uint8_t to, std::int32_t value) {
  return instruction(BPF_ALU64 | BPF_MOV | BPF_K, to, 0, 0, value);
}
constexpr bpf_insn copy(std::uint8_t to, std::uint8_t from) {
  return instruction(BPF_ALU64 | BPF_MOV | BPF_X, to, from, 0, 0);
}
constexpr bpf_insn call(std::int32_t helper) { return instruction(BPF_JMP | BPF_CALL, 0, 0, 0, helper); }
constexpr bpf_insn kExit = instruction(BPF_JMP | BPF_EXIT, 0, 0, 0, 0);

Attempt failed(int error, std::string what) { return {error, std::move(what)}; }

// libbpf's low-level calls give a descriptor or a negative errno.
UniqueFd owned(int result, int& error) {
  error = result < 0 ? -result : 0;
  return omnitide::owned(result);
}

UniqueFd create_map(bpf_map_type type, std::uint32_t key, std::uint32_t value, std::uint32_t entries,
                    const bpf_map_create_opts& options, int& error) {
  return owned(bpf_map_create(type, kName, key, value, entries, &options), error);
}

bpf_map_create_opts map_options() {
  bpf_map_create_opts options{};
  options.sz = sizeof options;
  return options;
}

UniqueFd perf_event(perf_event_attr& attributes, int& error) {
  attributes.size = sizeof attributes;
  attributes.disabled = 1;
  const long fd = ::syscall(SYS_perf_event_open, &attributes, 0, -1, -1, PERF_FLAG_FD_CLOEXEC);
  error = fd < 0 ? errno : 0;
  return UniqueFd(static_cast<int>(fd));
}

Attempt set_bpf(const UniqueFd& event, bpf_prog_type type) {
  int error = 0;
  const UniqueFd program = load_empty({.type = type}, error);
  if (!program) return failed(error, "load");
  if (::ioctl(event.get(), PERF_EVENT_IOC_SET_BPF, program.get()) != 0) return failed(errno, "attach");
  return {};
}

}  // namespace

UniqueFd load(const ProgramKind& kind, std::span<const bpf_insn> code, int& error) {
  bpf_prog_load_opts options{};
  options.sz = sizeof options;
  options.expected_attach_type = kind.attach;
  options.attach_btf_id = kind.btf_id;
  return owned(bpf_prog_load(kind.type, kName, kLicense, code.data(), code.size(), &options), error);
}

UniqueFd load_empty(const ProgramKind& kind, int& error) {
  constexpr std::array kCode{set(BPF_REG_0, 0), kExit};
  return load(kind, kCode, error);
}

Attempt try_load(const ProgramKind& kind) {
  int error = 0;
  const UniqueFd program = load_empty(kind, error);
  return program ? Attempt{} : failed(error, "load");
}

Attempt try_map(bpf_map_type type, std::uint32_t key_bytes, std::uint32_t value_bytes, std::uint32_t entries,
                std::uint32_t flags) {
  bpf_map_create_opts options = map_options();
  options.map_flags = flags;
  int error = 0;
  const UniqueFd map = create_map(type, key_bytes, value_bytes, entries, options, error);
  return map ? Attempt{} : failed(error, "create map");
}

Attempt try_hash_of_maps() {
  int error = 0;
  const UniqueFd inner = create_map(BPF_MAP_TYPE_HASH, 4, 4, 1, map_options(), error);
  if (!inner) return failed(error, "create map");
  bpf_map_create_opts options = map_options();
  options.inner_map_fd = static_cast<std::uint32_t>(inner.get());
  const UniqueFd outer = create_map(BPF_MAP_TYPE_HASH_OF_MAPS, 4, 4, 1, options, error);
  return outer ? Attempt{} : failed(error, "create map");
}

// A map whose value holds a struct bpf_timer, which the kernel knows by its BTF, and a program that starts it.
Attempt try_timer() {
  const std::unique_ptr<btf, decltype(&btf__free)> types(btf__new_empty(), &btf__free);
  if (!types) return failed(ENOMEM, "describe types");
  const int key = btf__add_int(types.get(), "int", 4, BTF_INT_SIGNED);
  const int timer = btf__add_struct(types.get(), "bpf_timer", sizeof(bpf_timer));
  const int value = btf__add_struct(types.get(), "omnitide_value", sizeof(bpf_timer));
  if (key < 0 || timer < 0 || value < 0 || btf__add_field(types.get(), "timer", timer, 0, 0) < 0)
    return failed(ENOMEM, "describe types");
  std::uint32_t size = 0;
  const void* raw = btf__raw_data(types.get(), &size);
  int error = 0;
  const UniqueFd description = owned(bpf_btf_load(raw, size, nullptr), error);
  if (!description) return failed(error, "load BTF");

  bpf_map_create_opts options = map_options();
  options.btf_fd = static_cast<std::uint32_t>(description.get());
  options.btf_key_type_id = static_cast<std::uint32_t>(key);
  options.btf_value_type_id = static_cast<std::uint32_t>(value);
  const UniqueFd map = create_map(BPF_MAP_TYPE_ARRAY, 4, sizeof(bpf_timer), 1, options, error);
  if (!map) return failed(error, "create map");

  const auto map_address = [&map](std::uint8_t to) {
    return instruction(BPF_LD | BPF_DW | BPF_IMM, to, BPF_PSEUDO_MAP_FD, 0, map.get());
  };
  constexpr bpf_insn kSecondHalf = instruction(0, 0, 0, 0, 0);
  const std::array code{
      instruction(BPF_ST | BPF_MEM | BPF_W, BPF_REG_10, 0, -4, 0),  // key = 0
      copy(BPF_REG_2, BPF_REG_10),
      instruction(BPF_ALU64 | BPF_ADD | BPF_K, BPF_REG_2, 0, 0, -4),
      map_address(BPF_REG_1),
      kSecondHalf,
      call(BPF_FUNC_map_lookup_elem),
      instruction(BPF_JMP | BPF_JEQ | BPF_K, BPF_REG_0, 0, 5, 0),  // no value: to the end
      copy(BPF_REG_1, BPF_REG_0),
      map_address(BPF_REG_2),
      kSecondHalf,
      set(BPF_REG_3, CLOCK_MONOTONIC),
      call(BPF_FUNC_timer_init),
      set(BPF_REG_0, 0),
      kExit,
  };
  const UniqueFd program = load({.type = BPF_PROG_TYPE_SCHED_CLS}, code, error);
  return program ? Attempt{} : failed(error, "load");
}

Attempt try_test_run() {
  int error = 0;
  const UniqueFd program = load_empty({.type = BPF_PROG_TYPE_SCHED_CLS}, error);
  if (!program) return failed(error, "load");
  constexpr std::array<unsigned char, 64> kPacket{};
  bpf_test_run_opts options{};
  options.sz = sizeof options;
  options.data_in = kPacket.data();
  options.data_size_in = kPacket.size();
  options.repeat = 1;
  const int result = bpf_prog_test_run_opts(program.get(), &options);
  return result == 0 ? Attempt{} : failed(-result, "run");
}

Attempt try_raw_tracepoint(const ProgramKind& kind, const std::string& name) {
  int error = 0;
  const UniqueFd program = load_empty(kind, error);
  if (!program) return failed(error, "load");
  const UniqueFd link = owned(bpf_raw_tracepoint_open(name.empty() ? nullptr : name.c_str(), program.get()), error);
  return link ? Attempt{} : failed(error, "attach");
}

Attempt try_perf_event() {
  perf_event_attr attributes{};
  attributes.type = PERF_TYPE_SOFTWARE;
  attributes.config = PERF_COUNT_SW_CPU_CLOCK;
  attributes.sample_period = 1'000'000'000;
  int error = 0;
  const UniqueFd event = perf_event(attributes, error);
  return event ? set_bpf(event, BPF_PROG_TYPE_PERF_EVENT) : failed(error, "open the CPU clock");
}

Attempt try_kprobe() {
  const Result<std::string> kind = read_file("/sys/bus/event_source/devices/kprobe/type", 64);
  const std::optional<std::uint32_t> type = kind ? parse_number<std::uint32_t>(trim(*kind)) : std::nullopt;
  if (!type) return failed(0, "the kernel has no kprobes (CONFIG_KPROBE_EVENTS)");
  static constexpr char kFunction[] = "wake_up_new_task";
  perf_event_attr attributes{};
  attributes.type = *type;
  attributes.kprobe_func = reinterpret_cast<std::uintptr_t>(&kFunction[0]);
  int error = 0;
  const UniqueFd event = perf_event(attributes, error);
  return event ? set_bpf(event, BPF_PROG_TYPE_KPROBE) : failed(error, "open the probe");
}

}  // namespace omnitide::ebpf
