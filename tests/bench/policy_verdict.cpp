// What one verdict costs: the policy data path under BPF_PROG_TEST_RUN, beside an empty program in the same run, with 1
// and 10,000 rules, spread over endpoints and all on one. Prints "name<tab>nanoseconds" lines, medians of ROUNDS
// rounds.
#include <linux/bpf.h>

#include <algorithm>
#include <cstdio>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "tests/harness/policy_path.hpp"

using namespace omnitide::test;

namespace {

constexpr unsigned kRuns = 200'000;
constexpr int kRounds = 11;
constexpr unsigned kManyRules = 10'000;
constexpr const char* kIn = "policy_to_endpoint";

int empty_program() {
  const bpf_insn code[] = {{BPF_ALU64 | BPF_MOV | BPF_K, 0, 0, 0, -1}, {BPF_JMP | BPF_EXIT, 0, 0, 0, 0}};
  return bpf_prog_load(BPF_PROG_TYPE_SCHED_CLS, "empty", "GPL", code, 2, nullptr);
}

unsigned time_empty(int program, const Bytes& packet) {
  LIBBPF_OPTS(bpf_test_run_opts, options, .data_in = packet.data(), .data_size_in = static_cast<__u32>(packet.size()),
              .repeat = static_cast<int>(kRuns));
  return bpf_prog_test_run_opts(program, &options) == 0 ? options.duration : 0;
}

std::string nth_address(unsigned n) {
  return "10." + std::to_string(1 + (n >> 16U)) + "." + std::to_string(n >> 8U & 255U) + "." + std::to_string(n & 255U);
}

// A pod whose ingress has `rules` rules, each for a peer and a port of its own; the packet's is the last one.
void isolated_pod(PolicyPath& path, unsigned set, unsigned rules) {
  std::vector<unsigned> same_port;
  for (unsigned i = 0; i < rules; ++i) {
    path.rule(set, i);
    path.peers(set, POLICY_POD_BIT | (i + 10), {i});
    path.location(nth_address(i), POLICY_POD_BIT | (i + 10));
    if (i % 2 == 0)
      same_port.push_back(i);
    else
      path.port(set, 6, 1000 + i, {i});
  }
  path.port(set, 6, 80, same_port);
}

policy_endpoint pod(unsigned set) {
  policy_endpoint out{};
  out.flags = POLICY_POD;
  out.epoch = 1;
  out.identity = POLICY_POD_BIT | 1;
  out.ingress_set = set;
  out.ingress_flags = POLICY_SET_DENY | POLICY_SET_PORTS;
  out.addresses[0] = kernel_address("10.0.0.1");
  return out;
}

struct Scene {
  std::string name;
  std::function<unsigned()> run;
  std::vector<unsigned> times = {};
};

}  // namespace

int main(int count, char** arguments) {
  const std::string only = count > 1 ? arguments[1] : "";  // part of the names of the scenes to run
  const std::map<std::string, unsigned> sizes{{"addresses", 32768}, {"prefixes", 32768}, {"peers", 65536},
                                              {"ports", 65536},     {"words", 65536},    {"rules", 65536},
                                              {"endpoints", 16384}};
  const Bytes established = tcp4(nth_address(0), 40000, "10.0.0.1", 80, "A");
  std::vector<Scene> scenes;
  const int empty = empty_program();
  scenes.push_back({"empty program", [empty, &established] { return time_empty(empty, established); }});
  const std::map<std::string, __u64> settings{{"connection_interval_ns", 0}};  // no budget: each run opens a connection
  PolicyPath one(sizes, settings), all(sizes, settings), spread(sizes, settings);
  isolated_pod(one, 7, 1);
  isolated_pod(all, 7, kManyRules + 1);
  for (unsigned i = 0; i < kManyRules; ++i) {
    spread.rule(100 + i, 0);
    spread.peers(100 + i, POLICY_POD_BIT | (i + 10), {0});
    spread.port(100 + i, 6, 80, {0});
    spread.endpoint(100 + i, pod(100 + i));
    spread.location(nth_address(i), POLICY_POD_BIT | (i + 10));
  }
  isolated_pod(spread, 7, 1);
  for (PolicyPath* path : {&one, &all, &spread})
    path->endpoint(1, pod(7));
  const std::pair<const char*, PolicyPath*> paths[] = {
      {"1 rule", &one}, {"10,000 rules on one endpoint", &all}, {"10,000 rules spread", &spread}};
  // A new flow each time: the SYN of a connection that exists is judged anew. 10.1.39.16 is the peer of rule 10,000,
  // behind the first word of both rows.
  for (const auto& [name, path] : paths) {
    const Bytes first = tcp4(nth_address(0), 40001, "10.0.0.1", 80, "S");
    if (path->send(kIn, tcp4(nth_address(0), 40000, "10.0.0.1", 80, "S")).verdict != -1 ||
        path->send(kIn, established).reason != POLICY_REASON_CONNECTION)
      return std::fprintf(stderr, "the scene %s is not what it should be\n", name), 1;
    scenes.push_back({std::string("established, ") + name,
                      [path = path, &established] { return path->time(kIn, established, kRuns); }});
    scenes.push_back(
        {std::string("new flow, ") + name, [path = path, first] { return path->time(kIn, first, kRuns); }});
  }
  const Bytes last = tcp4(nth_address(kManyRules), 40002, "10.0.0.1", 80, "S");
  if (all.send(kIn, last).verdict != -1) return std::fprintf(stderr, "the last rule does not match\n"), 1;
  scenes.push_back(
      {"new flow, the last of 10,001 rules on one endpoint", [&all, last] { return all.time(kIn, last, kRuns); }});
  const Bytes denied = tcp4("192.0.2.1", 40003, "10.0.0.1", 80, "S");
  scenes.push_back(
      {"denied stranger, 10,000 rules on one endpoint", [&all, denied] { return all.time(kIn, denied, kRuns); }});
  for (int round = 0; round < kRounds; ++round)
    for (Scene& scene : scenes)
      if (scene.name.find(only) != std::string::npos) scene.times.push_back(scene.run());
  for (Scene& scene : scenes) {
    if (scene.times.empty()) continue;
    std::sort(scene.times.begin(), scene.times.end());
    std::printf("%s\t%u\n", scene.name.c_str(), scene.times[scene.times.size() / 2]);
  }
  return 0;
}
