// What one verdict costs: the policy data path under BPF_PROG_TEST_RUN, in units of an empty program. Prints lines
// "ROW<tab>name<tab>nanoseconds<tab>aim<tab>units".
//
// Each timing has one of the empty program right before it, and a row is the median of those pairs. BPF_PROG_TEST_RUN
// sends one packet again and again: a SYN then meets its own entry and uses it again, which is the verdict alone. For
// flows that are new, and for many sources, a program in front changes the packet each time (policy_sender.bpf.c); what
// that costs is measured with the empty program behind it and taken off.
#include <linux/bpf.h>
#include <time.h>

#include <algorithm>
#include <cstdio>
#include <exception>
#include <string>
#include <vector>

#include "tests/bench/policy_scenes.hpp"
#include "tests/bench/policy_sender.bpf.hpp"

using namespace omnitide;
using bench::Scene;

namespace {

constexpr unsigned kRuns = 200'000;
constexpr unsigned kSources = 65'536;

// CPU time of this thread: what others run in between does not count.
double now_ns() {
  timespec now{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) * 1e9 + static_cast<double>(now.tv_nsec);
}

class Sender {
 public:
  explicit Sender(unsigned connections) {
    const auto bytes = ebpf::unpack(ebpf::policy_sender_object()).value();
    object_ = bpf_object__open_mem(bytes.data(), bytes.size(), nullptr);
    if (object_ == nullptr) throw std::runtime_error("cannot open the sender");
    bpf_map__set_max_entries(bpf_object__find_map_by_name(object_, "connections"), connections);
    if (bpf_object__load(object_) != 0) throw std::runtime_error("cannot load the sender (root is needed)");
  }
  Sender(const Sender&) = delete;
  Sender& operator=(const Sender&) = delete;
  ~Sender() { bpf_object__close(object_); }

  [[nodiscard]] int program(const char* name) const {
    return bpf_program__fd(bpf_object__find_program_by_name(object_, name));
  }
  void vary(const policy_variation& variation) { set("variation", &variation); }
  policy_variation varied() const {
    policy_variation out{};
    const __u32 zero = 0;
    bpf_map_lookup_elem(bpf_object__find_map_fd_by_name(object_, "variation"), &zero, &out);
    return out;
  }
  void hand_to(int program) { set("next", &program); }

 private:
  void set(const char* map, const void* value) {
    const __u32 zero = 0;
    if (bpf_map_update_elem(bpf_object__find_map_fd_by_name(object_, map), &zero, value, BPF_ANY) != 0)
      throw std::runtime_error(std::string("cannot set ") + map);
  }
  bpf_object* object_ = nullptr;
};

// Nanoseconds for one run, with the call into the kernel shared out among them.
double time_runs(int program, const test::Bytes& packet, unsigned runs = kRuns) {
  __sk_buff context{};
  context.ingress_ifindex = context.ifindex = 1;
  LIBBPF_OPTS(bpf_test_run_opts, options, .data_in = packet.data(), .data_size_in = static_cast<__u32>(packet.size()),
              .ctx_in = &context, .ctx_size_in = sizeof context, .repeat = static_cast<int>(runs));
  const double before = now_ns();
  if (bpf_prog_test_run_opts(program, &options) != 0) throw std::runtime_error("test run");
  if (options.retval == POLICY_NOT_SENT) throw std::runtime_error("a packet was not handed on");
  return (now_ns() - before) / runs;
}

// The cost of the scene's program beside the empty program, both in nanoseconds.
struct Pair {
  double scene = 0, empty = 0;
};

Pair run(Scene& scene, Sender& sender) {
  const int empty = sender.program("empty");
  Pair out;
  out.empty = time_runs(empty, scene.packet);
  if (!scene.varies) {
    out.scene = time_runs(scene.program, scene.packet);
    return out;
  }
  sender.vary(scene.variation);
  if (scene.alone) {
    out.scene = time_runs(scene.program, scene.packet);
  } else {
    sender.hand_to(empty);
    const double varying = time_runs(sender.program("vary"), scene.packet);
    sender.vary(scene.variation);
    sender.hand_to(scene.program);
    out.scene = time_runs(sender.program("vary"), scene.packet) - varying + out.empty;
  }
  scene.variation = sender.varied();  // goes on where it stopped
  return out;
}

void open_all(const Scene& scene, Sender& sender) {
  if (scene.openings.empty()) return;
  policy_variation in_turn = scene.variation;
  in_turn.random = 0;
  sender.vary(in_turn);
  sender.hand_to(scene.program);
  time_runs(sender.program("vary"), scene.openings, kSources);
}

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

Scene insertion(const Sender& sender, const char* name) {
  Scene out;
  out.name = name;
  out.program = sender.program("insert");
  out.packet = test::tcp4("10.1.0.0", 40000, "10.0.0.1", 80, "S");
  out.varies = out.alone = true;
  return out;
}

void measure(int rounds, const std::string& only) {
  Sender small(1024), large(262144);
  bench::Scenes scenes = bench::make_scenes();
  std::vector<std::pair<Scene, Sender*>> all;
  for (Scene& scene : scenes.all)
    all.emplace_back(std::move(scene), &small);
  all.emplace_back(insertion(small, "insertion alone, full table of 1,024"), &small);
  all.emplace_back(insertion(large, "insertion alone, full table of 262,144"), &large);
  std::erase_if(all, [&only](const auto& one) { return one.first.name.find(only) == std::string::npos; });
  std::vector<std::vector<Pair>> times(all.size());
  for (const auto& [scene, sender] : all)
    open_all(scene, *sender);
  for (auto& [scene, sender] : all)  // fills tables, warms caches
    for (int i = 0; i < (scene.name.find("262,144") == std::string::npos ? 1 : 3); ++i)
      run(scene, *sender);
  for (int round = 0; round < rounds; ++round)
    for (std::size_t i = 0; i < all.size(); ++i)
      times[i].push_back(run(all[i].first, *all[i].second));
  std::vector<double> empty;
  for (const auto& of_scene : times)
    for (const Pair& pair : of_scene)
      empty.push_back(pair.empty);
  if (empty.empty()) throw std::runtime_error("no scene of that name");
  std::printf("ROW\tempty program\t%.1f ns\t-\t1.00\n", median(empty));
  for (std::size_t i = 0; i < all.size(); ++i) {
    std::vector<double> cost, units;
    for (const Pair& pair : times[i]) {
      cost.push_back(pair.scene);
      units.push_back(pair.scene / pair.empty);
    }
    const Scene& scene = all[i].first;
    const std::string aim = scene.aim == 0 ? "-" : "aim " + std::to_string(static_cast<int>(scene.aim));
    std::printf("ROW\t%s\t%.1f ns\t%s\t%.2f\n", scene.name.c_str(), median(cost), aim.c_str(), median(units));
  }
}

}  // namespace

int main(int count, char** arguments) {
  bool quick = false;
  std::string only;  // part of the names of the scenes to run
  for (int i = 1; i < count; ++i) {
    const std::string argument = arguments[i];
    if (argument == "--quick")
      quick = true;
    else
      only = argument;
  }
  try {
    measure(quick ? 3 : 11, only);
    return 0;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "policy_verdict: %s\n", error.what());
    return 1;
  }
}
