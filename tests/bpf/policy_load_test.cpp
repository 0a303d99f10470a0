// What the verifier of this kernel says of the programs. Needs CAP_BPF and CAP_NET_ADMIN; fails without.
#include <bpf/libbpf.h>

#include <cstddef>
#include <cstdio>
#include <cstring>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "ebpf/programs/policy.bpf.hpp"
#include "tests/harness/catch.hpp"
#include "tests/harness/policy_path.hpp"

using namespace omnitide;

namespace {

constexpr unsigned kSummary = 4;  // BPF_LOG_STATS of the kernel's linux/bpf_verifier.h

struct Close {
  void operator()(bpf_object* object) const { bpf_object__close(object); }
};

using Object = std::unique_ptr<bpf_object, Close>;

Object open_policy() {
  const auto bytes = ebpf::unpack(ebpf::policy_object()).value();
  Object object(bpf_object__open_mem(bytes.data(), bytes.size(), nullptr));
  REQUIRE(object);
  return object;
}

// check_cfg() of kernel/bpf/verifier.c as it is in Linux 5.10: the walk from the first instruction on, depth first. An
// instruction that is still being walked may be come to again by a jump only.
class ControlFlow {
 public:
  ControlFlow(const bpf_insn* code, std::size_t count) : code_(code, code + count), edges_(count), state_(count) {}

  // Instructions that fall through into the head of a loop that they are in.
  std::vector<std::size_t> back_edges() {
    enter(0);
    while (!stack_.empty()) {
      const std::size_t at = stack_.back();
      if (edges_[at] == successors(at).size()) {
        state_[at] = State::walked;
        stack_.pop_back();
        continue;
      }
      const auto [to, jump] = successors(at)[edges_[at]++];
      if (state_.at(to) == State::unknown)
        enter(to);
      else if (state_[to] == State::entered && !jump)
        found_.push_back(at);
    }
    return found_;
  }

 private:
  enum class State : unsigned char { unknown, entered, walked };
  struct Edge {
    std::size_t to;
    bool jump;
  };

  void enter(std::size_t at) {
    state_[at] = State::entered;
    stack_.push_back(at);
  }
  [[nodiscard]] std::vector<Edge> successors(std::size_t at) const {
    const bpf_insn& code = code_[at];
    const auto plus = [at](int distance) { return static_cast<std::size_t>(static_cast<long>(at) + 1 + distance); };
    const unsigned kind = BPF_CLASS(code.code), operation = BPF_OP(code.code);
    if (kind != BPF_JMP && kind != BPF_JMP32) return {{plus(0), false}};
    if (operation == BPF_EXIT) return {};
    if (operation == BPF_JA) return {{plus(code.off), true}};
    if (operation != BPF_CALL) return {{plus(0), true}, {plus(code.off), true}};
    if (code.src_reg == BPF_PSEUDO_CALL) return {{plus(0), false}, {plus(code.imm), false}};
    return {{plus(0), false}};
  }

  std::vector<bpf_insn> code_;
  std::vector<std::size_t> edges_;  // of each instruction, walked so far
  std::vector<State> state_;
  std::vector<std::size_t> stack_, found_;
};

}  // namespace

TEST_CASE("loops are built as Linux 5.10 allows them, whatever kernel this is") {
  const Object object = open_policy();
  REQUIRE(bpf_object__load(object.get()) == 0);  // subprograms are put behind their callers then
  bpf_program* program = nullptr;
  bpf_object__for_each_program(program, object.get()) {
    INFO(bpf_program__name(program));
    CHECK(ControlFlow(bpf_program__insns(program), bpf_program__insn_cnt(program)).back_edges() ==
          std::vector<std::size_t>());
  }
}

TEST_CASE("every program loads, with half of the verifier's patience to spare") {
  const Object object = open_policy();
  std::map<std::string, std::vector<char>> logs;
  bpf_program* program = nullptr;
  bpf_object__for_each_program(program, object.get()) {
    std::vector<char>& log = logs[bpf_program__name(program)];
    log.resize(64U << 10U);
    REQUIRE(bpf_program__set_log_buf(program, log.data(), log.size()) == 0);
    REQUIRE(bpf_program__set_log_level(program, kSummary) == 0);
  }
  const int loaded = bpf_object__load(object.get());
  for (const auto& [name, log] : logs) {
    INFO(name << ":\n" << log.data());
    const char* summary = std::strstr(log.data(), "processed ");
    REQUIRE(summary != nullptr);
    unsigned steps = 0, limit = 0;
    REQUIRE(std::sscanf(summary, "processed %u insns (limit %u)", &steps, &limit) == 2);
    std::printf("  program %s: %u of %u steps\n", name.c_str(), steps, limit);
    CHECK(steps < limit / 2);
  }
  CHECK(loaded == 0);
  CHECK(logs.size() == 6);
}
