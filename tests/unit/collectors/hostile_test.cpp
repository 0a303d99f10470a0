// Garbage in every file that a collector reads: an error or fewer values, never a crash, never without bound.
#include <chrono>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iterator>
#include <random>

#include "discovery/collectors/catalogue.hpp"
#include "tests/harness/batches.hpp"
#include "tests/harness/catch.hpp"
#include "tests/harness/collector_tree.hpp"

using namespace omnitide;
using namespace omnitide::test;

namespace {

model::CollectorSettings everything() {
  model::CollectorSettings out;
  for (std::size_t i = 0; i < out.on.size(); ++i)
    out.on.at(i) = model::kCollectorSwitches.at(i).name != "systemd";  // it speaks of the machine
  for (std::size_t i = 0; i < out.values.size(); ++i) {
    if (model::kCollectorFlags.at(i).kind == model::FlagKind::boolean) out.values.at(i) = "true";
    if (model::kCollectorFlags.at(i).name == "textfile.directory") out.values.at(i) = "/t";
  }
  return out;
}

std::vector<std::string> files_of(const TempTree& tree) {
  std::vector<std::string> out;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(tree.path()))
    if (entry.is_regular_file()) out.push_back(entry.path().lexically_relative(tree.path()));
  std::ranges::sort(out);
  return out;
}

std::string read_all(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

struct Sizes {
  std::size_t samples = 0, memory = 0;
};

// Twice, since files are kept open: all collectors, bounded in time.
Sizes run(const TempTree& tree) {
  const std::vector<model::Collector> all = discovery::node_collectors(tree.root(), everything());
  Sizes out;
  model::SampleBatch batch;
  for (int round = 0; round < 2; ++round) {
    batch.clear();
    for (const model::Collector& each : all) {
      CAPTURE(each.name);
      const auto begin = std::chrono::steady_clock::now();
      const std::size_t before = batch.size();
      if (each.collect(batch).has_error()) batch.shrink(before);
      CHECK(std::chrono::steady_clock::now() - begin < std::chrono::seconds(2));
      CHECK(batch.refused() == 0);
    }
  }
  out.samples = batch.size();
  out.memory = batch.memory();
  return out;
}

std::string garbage(std::mt19937& random, std::size_t size) {
  static constexpr std::string_view kBytes = "0123456789 \n\t:=/{}[]()\"\\-+.,abcXYZ_%\0\xff\xc3";
  std::string out;
  for (std::size_t i = 0; i < size; ++i)
    out += kBytes[random() % kBytes.size()];
  return out;
}

void fill(TempTree& tree) {
  build_collector_tree(tree);
  tree.file("t/a.prom", "a{b=\"c\"} 1\n# TYPE h histogram\nh_bucket{le=\"1\"} 1\nh_sum 1\nh_count 1\n");
  tree.file("proc/1/mounts", "/dev/sda1 / ext4 rw 0 0\n");
  tree.file("sys/fs/selinux/enforce", "1\n").file("etc/selinux/config", "SELINUX=enforcing\n");
  tree.file("proc/cpuinfo", "processor\t: 0\nmodel name\t: x\n");
}

}  // namespace

TEST_CASE("random bytes in every file at once") {
  TempTree tree;
  fill(tree);
  const std::vector<std::string> files = files_of(tree);
  REQUIRE(files.size() > 300);
  for (unsigned seed = 1; seed <= 6; ++seed) {
    CAPTURE(seed);
    std::mt19937 random(seed);
    for (const std::string& file : files)
      tree.file(file, garbage(random, random() % 3000));
    CHECK(run(tree).samples < 20'000);
  }
}

TEST_CASE("each file cut off, emptied, with bytes changed, with lines too many") {
  TempTree tree;
  fill(tree);
  const std::vector<std::string> files = files_of(tree);
  std::mt19937 random(7);
  const auto change = [&](const std::function<std::string(std::string)>& how) {
    TempTree other;
    fill(other);
    for (const std::string& file : files)
      other.file(file, how(read_all(other.path() + "/" + file)));
    CHECK(run(other).samples < 100'000);
  };
  change([](std::string) { return std::string{}; });
  change([](std::string text) { return text.substr(0, text.size() / 2); });
  change([&random](std::string text) {
    for (std::size_t i = 0; i < 1 + text.size() / 20 && !text.empty(); ++i)
      text[random() % text.size()] = static_cast<char>(random() % 256);
    return text;
  });
  change([](std::string text) {
    std::string out;
    for (int i = 0; i < 50; ++i)
      out += text;
    return out;
  });
  change([](const std::string&) { return std::string(200'000, '9'); });
  change([](const std::string& text) {
    return text + std::string(5000, '-') + "\n" + std::string(3000, ' ') + "18446744073709551616\n";
  });
}

TEST_CASE("folders, FIFOs, loops of links and endless files in the place of files") {
  for (const int kind : {0, 1, 2, 3}) {
    CAPTURE(kind);
    TempTree tree;
    fill(tree);
    for (const std::string& file : files_of(tree)) {
      if (kind == 0) tree.folder(file);
      if (kind == 1) tree.fifo(file);
      if (kind == 2) tree.link(file, file.substr(file.rfind('/') + 1));
      if (kind == 3 && (file.starts_with("proc/") || file.starts_with("t/"))) tree.huge(file, std::uint64_t{1} << 40U);
    }
    const Sizes sizes = run(tree);
    CHECK(sizes.samples < 2000);
    CHECK(sizes.memory < std::size_t{8} << 20U);
  }
}

TEST_CASE("nothing there at all") {
  const TempTree tree;
  const Sizes sizes = run(tree);
  CHECK(sizes.samples < 60);  // the kernel's name and clock
}
