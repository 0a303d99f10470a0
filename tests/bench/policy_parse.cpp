// Text of 1,000 pods and 1,000 policies into objects, beside yaml-cpp's tree of the same text: time, and bytes that are
// allocated, held afterwards and at most.
//   policy_parse [ROUNDS]
#include <malloc.h>
#include <yaml-cpp/yaml.h>

#include <atomic>
#include <cstdlib>
#include <new>
#include <optional>

#include "agent/base/text.hpp"
#include "agent/policy/parse.hpp"
#include "tests/bench/policy_cluster.hpp"
#include "tests/bench/rows.hpp"

namespace {

std::size_t held = 0, most = 0;  // one thread only

void* counted(std::size_t size) {
  void* out = std::malloc(size);
  if (out == nullptr) throw std::bad_alloc();
  held += ::malloc_usable_size(out);
  most = std::max(most, held);
  return out;
}

void uncounted(void* memory) {
  if (memory != nullptr) held -= ::malloc_usable_size(memory);
  std::free(memory);
}

}  // namespace

void* operator new(std::size_t size) { return counted(size); }
void* operator new[](std::size_t size) { return counted(size); }
void operator delete(void* memory) noexcept { uncounted(memory); }
void operator delete[](void* memory) noexcept { uncounted(memory); }
void operator delete(void* memory, std::size_t) noexcept { uncounted(memory); }
void operator delete[](void* memory, std::size_t) noexcept { uncounted(memory); }

namespace {

using namespace omnitide;

struct Measured {
  std::vector<double> times;
  double held_mb = 0, most_mb = 0;

  template <class Work>
  void take(Work work) {
    const std::size_t before = held;
    most = held;
    const auto begin = std::chrono::steady_clock::now();
    const auto result = work();
    times.push_back(std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - begin).count());
    held_mb = static_cast<double>(held - before) / 1e6;
    most_mb = static_cast<double>(most - before) / 1e6;
  }
  [[nodiscard]] double median() const { return bench::percentile(times, 50); }
};

}  // namespace

int main(int count, char** arguments) {
  const unsigned rounds = count > 1 ? parse_number<unsigned>(arguments[1]).value_or(15) : 15;
  const std::string text = bench::whole_text({});
  Measured ours, tree;
  for (unsigned i = 0; i < rounds; ++i) {
    ours.take([&text] {
      policy::Parsed parsed = policy::parse(text, "cluster.yaml");
      if (parsed.objects.size() != 2020 || !parsed.faults.empty()) std::abort();
      return parsed;
    });
    tree.take([&text] { return YAML::LoadAll(text); });
  }
  fmt::print("{:.1f} MB of YAML: 1,000 pods, 1,000 policies, 20 namespaces; {} rounds in turn\n",
             static_cast<double>(text.size()) / 1e6, rounds);
  bench::print("ours, to checked objects", ours.times);
  bench::print("yaml-cpp, to its tree", tree.times);
  const auto line = [](std::string_view what, double value, double peer, std::string_view unit) {
    bench::row(what, fmt::format("{:.1f} {}", value, unit), fmt::format("{:.1f} {}", peer, unit),
               fmt::format("{:.3f}", value / peer));
  };
  line("parse 1,000 pods and policies, peer: yaml-cpp", ours.median(), tree.median(), "ms");
  line("  memory while parsing, at most", ours.most_mb, tree.most_mb, "MB");
  line("  memory held afterwards", ours.held_mb, tree.held_mb, "MB");
  return 0;
}
