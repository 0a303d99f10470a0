// From a renamed file to what the kernel enforces: the real agent seen from outside. One label change after another is
// written into its directory, and the pinned maps are watched until they say so.
//   policy_latency write DIRECTORY namespace|object PODS POLICIES LOCAL     a cluster, a file for each namespace or
//   object policy_latency change DIRECTORY namespace|object PINS CHANGES LOCAL     measures; PINS is the agent's
//   policy.pin_dir
#include <filesystem>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "agent/base/text.hpp"
#include "tests/bench/pinned_policy.hpp"
#include "tests/bench/policy_told_apart.hpp"
#include "tests/bench/rows.hpp"

namespace {

using namespace omnitide;
using namespace std::chrono_literals;

constexpr auto kLongest = 5s;
constexpr auto kPause = 30ms;  // so that each change meets an agent that rests

unsigned number(const std::string& text) {
  const auto value = parse_number<unsigned>(text);
  if (!value) throw std::invalid_argument(text + " is no number");
  return *value;
}

void change(const std::string& directory, bool single, const std::string& pins, unsigned count, unsigned local) {
  bench::Cluster cluster;
  cluster.local = local;
  const bench::PinnedPolicy policy(pins);
  const std::vector<unsigned> pods = bench::pods_told_apart(cluster);
  std::vector<double> resting, busy;
  for (unsigned i = 0; i < 2 * count; ++i) {
    const bool pause = i / cluster.namespaces % 2 == 0;
    const unsigned pod = pods[i % pods.size()], team = pod % cluster.namespaces;
    // In a file of a namespace only one pod is moved at a time, and the last one moves back.
    const bool moved = !single || i / pods.size() % 2 == 0;
    const std::string text =
        single ? bench::pod_text(cluster, pod, moved) : bench::team_text(cluster, team, moved ? pod : ~0U);
    const std::string name = single ? fmt::format("pod-{}.yaml", pod) : fmt::format("team-{}.yaml", team);
    const Address address = *parse_address(bench::pod_address(pod));
    const std::uint32_t before = policy.identity(address);
    const std::string draft = directory + "/.draft";
    bench::write_text(draft, text);
    const auto begin = std::chrono::steady_clock::now();
    std::filesystem::rename(draft, directory + "/" + name);
    // The address has its new identity, and the publication is over: all endpoints see it.
    while (policy.identity(address) == before || !policy.at_rest())
      if (std::chrono::steady_clock::now() - begin > kLongest) throw std::runtime_error("the change is not enforced");
    (pause ? resting : busy)
        .push_back(std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - begin).count());
    if (pause) std::this_thread::sleep_for(kPause);
  }
  const std::string layout = fmt::format("file to kernel, one per {}", single ? "object" : "namespace");
  for (const auto& [how, times] : {std::pair("", &resting), {", in a row", &busy}}) {
    const std::string what = fmt::format("{}{}", layout, how);
    bench::print(what, *times);
    bench::row(what + ", p50", fmt::format("{:.2f} ms", bench::percentile(*times, 50)));
    bench::row("  p99", fmt::format("{:.2f} ms", bench::percentile(*times, 99)));
  }
}

int run(const std::vector<std::string>& words) {
  if (words.size() != 6 || (words[0] != "write" && words[0] != "change"))
    throw std::invalid_argument("see the head of policy_latency.cpp");
  const bool single = words[2] == "object";
  if (words[0] == "change") {
    change(words[1], single, words[3], number(words[4]), number(words[5]));
    return 0;
  }
  bench::Cluster cluster;
  cluster.pods = number(words[3]);
  cluster.policies = number(words[4]);
  cluster.local = number(words[5]);
  bench::write_files(cluster, words[1], single);
  return 0;
}

}  // namespace

int main(int count, char** arguments) {
  try {
    return run({arguments + 1, arguments + count});
  } catch (const std::exception& problem) {
    fmt::print(stderr, "policy_latency: {}\n", problem.what());
    return 1;
  }
}
