// Linux 5.10 takes no ingress_ifindex in the context of a test run: every packet would be the node's own. There the
// programs of a test read it from skb->priority, which they use for nothing else: from prepare() on libbpf loads
// programs of the section "tc" with that one field exchanged.
#pragma once

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include <array>
#include <cstddef>
#include <stdexcept>
#include <vector>

#include "agent/base/fd.hpp"

namespace omnitide::test {

class TestRunDevice {
 public:
  // Whether the kernel takes __sk_buff::ingress_ifindex in the context of a test run.
  static bool supported() {
    static const bool answer = try_it();
    return answer;
  }
  static void set(__sk_buff& context, unsigned received) {
    (supported() ? context.ingress_ifindex : context.priority) = received;
  }

  // Once for the process: libbpf 1.1 must not forget its last handler (libbpf_unregister_prog_handler() frees it
  // twice).
  static void prepare() {
    static const int handler = supported() ? 0 : install();
    if (handler < 0) throw std::runtime_error("libbpf refuses a handler for the section tc");
  }

 private:
  static bool try_it() {
    bpf_insn code[2]{};
    code[0].code = BPF_ALU64 | BPF_MOV | BPF_K;
    code[1].code = BPF_JMP | BPF_EXIT;
    const int fd = bpf_prog_load(BPF_PROG_TYPE_SCHED_CLS, "device", "GPL", &code[0], 2, nullptr);
    const UniqueFd program(fd < 0 ? -1 : fd);
    if (!program) throw std::runtime_error("cannot load a program (root is needed)");
    const std::array<unsigned char, 64> packet{};
    __sk_buff context{};
    context.ifindex = context.ingress_ifindex = 1;
    LIBBPF_OPTS(bpf_test_run_opts, options, .data_in = packet.data(), .data_size_in = packet.size(), .ctx_in = &context,
                .ctx_size_in = sizeof context);
    return bpf_prog_test_run_opts(program.get(), &options) == 0;
  }

  static int install() {
    libbpf_prog_handler_opts options{};
    options.sz = sizeof options;
    options.prog_prepare_load_fn = exchange;
    return libbpf_register_prog_handler("tc", BPF_PROG_TYPE_SCHED_CLS, static_cast<bpf_attach_type>(0), &options);
  }

  // The field is read in one place of the source only, together with skb->sk: by that pair its reading is told from one
  // of another structure at the same offset.
  static int exchange(bpf_program* program, bpf_prog_load_opts* /*options*/, long /*cookie*/) {
    const std::size_t count = bpf_program__insn_cnt(program);
    std::vector<bpf_insn> code(bpf_program__insns(program), bpf_program__insns(program) + count);
    const auto reads = [](const bpf_insn& insn, unsigned size, std::size_t offset) {
      return insn.code == (BPF_LDX | BPF_MEM | size) && insn.off == static_cast<short>(offset);
    };
    for (std::size_t i = 0; i < count; ++i) {
      if (!reads(code[i], BPF_W, offsetof(__sk_buff, ingress_ifindex))) continue;
      for (std::size_t near = i + 1; near < count && near < i + 4; ++near) {
        if (reads(code[near], BPF_DW, offsetof(__sk_buff, sk)) && code[near].src_reg == code[i].src_reg)
          code[i].off = offsetof(__sk_buff, priority);
      }
    }
    return bpf_program__set_insns(program, code.data(), count);
  }
};

}  // namespace omnitide::test
