// Memory facts: /proc/meminfo, /proc/swaps, huge page pools (Documentation/admin-guide/mm/hugetlbpage.rst) and memory
// blocks (Documentation/ABI/testing/sysfs-devices-memory).
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <utility>

#include "discovery/sources/catalogue.hpp"
#include "discovery/sources/cpu_set.hpp"
#include "discovery/sources/reader.hpp"

namespace omnitide::discovery {

namespace {

using model::MemoryFacts;

constexpr std::size_t kMaxSwaps = 64;  // the kernel allows fewer than 32
constexpr std::size_t kMaxNodes = 1024;
constexpr std::string_view kPools = "/sys/kernel/mm/hugepages";
constexpr std::string_view kBlocks = "/sys/devices/system/memory";

constexpr model::MetricDescriptor kMemoryAvailable{.name = "node_memory_MemAvailable_bytes",
                                                   .unit = "bytes",
                                                   .help = "Memory information field MemAvailable_bytes.",
                                                   .type = model::MetricType::gauge,
                                                   .labels = {}};
constexpr model::MetricDescriptor kMemoryFree{.name = "node_memory_MemFree_bytes",
                                              .unit = "bytes",
                                              .help = "Memory information field MemFree_bytes.",
                                              .type = model::MetricType::gauge,
                                              .labels = {}};
constexpr model::MetricDescriptor kSwapFree{.name = "node_memory_SwapFree_bytes",
                                            .unit = "bytes",
                                            .help = "Memory information field SwapFree_bytes.",
                                            .type = model::MetricType::gauge,
                                            .labels = {}};
constexpr std::array<std::string_view, 2> kPoolLabels{"page_bytes", "numa_node"};
constexpr model::MetricDescriptor kPagesFree{
    .name = "omnitide_hugepages_free",
    .unit = "",
    .help = "Huge pages of a pool that are not in use. numa_node is empty for the whole node.",
    .type = model::MetricType::gauge,
    .labels = kPoolLabels};

// "MemTotal:       24684084 kB"
void read_meminfo(Reader& reader, MemoryFacts& facts, std::vector<model::Sample>& samples) {
  const std::string path = "/proc/meminfo";
  const std::optional<std::string> text = reader.file(path);
  if (!text) return;
  for (const std::string_view line : split(*text, '\n')) {
    const std::vector<std::string_view> words = split_words(line);
    if (words.size() != 3 || words[2] != "kB") continue;
    const std::optional<std::uint64_t> kibibytes = parse_number<std::uint64_t>(words[1]);
    if (!kibibytes || *kibibytes >= (std::uint64_t{1} << 53U)) continue;
    const std::uint64_t bytes = *kibibytes << 10U;
    if (words[0] == "MemTotal:") facts.total_bytes = bytes;
    if (words[0] == "SwapTotal:") facts.swap_bytes = bytes;
    if (words[0] == "MemAvailable:") samples.push_back({&kMemoryAvailable, {}, static_cast<double>(bytes)});
    if (words[0] == "MemFree:") samples.push_back({&kMemoryFree, {}, static_cast<double>(bytes)});
    if (words[0] == "SwapFree:") samples.push_back({&kSwapFree, {}, static_cast<double>(bytes)});
  }
  if (facts.total_bytes == 0) reader.problem(fmt::format("{} does not state MemTotal", path));
}

// Memory blocks that the kernel knows, all of one size. Read from the names alone: a big server has thousands.
void read_installed(Reader& reader, MemoryFacts& facts) {
  const std::string path = fmt::format("{}/block_size_bytes", kBlocks);
  const std::string text = reader.attribute(path);
  if (text.empty()) return;  // no memory hot-plug in this kernel
  const std::optional<std::uint64_t> block = parse_number<std::uint64_t>(text, 16);
  if (!block || *block > (std::uint64_t{1} << 40U)) return reader.malformed(path, text);
  const std::vector<std::string> names = reader.names(std::string(kBlocks));
  const auto blocks = std::count_if(names.begin(), names.end(), [](std::string_view name) {
    return name.starts_with("memory") && parse_number<std::uint32_t>(name.substr(6)).has_value();
  });
  facts.installed_bytes = static_cast<std::uint64_t>(blocks) * *block;
}

// The kernel writes white space and backslashes in a path as octal, "\040".
std::string unescape_octal(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const std::optional<unsigned> code =
        text[i] == '\\' && text.size() - i >= 4 ? parse_number<unsigned>(text.substr(i + 1, 3), 8) : std::nullopt;
    if (code && *code < 256) {
      out.push_back(static_cast<char>(*code));
      i += 3;
    } else {
      out.push_back(text[i]);
    }
  }
  return out;
}

// Filename Type Size Used Priority, after one line of headings; sizes in KiB.
void read_swaps(Reader& reader, MemoryFacts& facts) {
  const std::optional<std::string> text = reader.file("/proc/swaps");
  if (!text) return;
  const std::vector<std::string_view> lines = split(*text, '\n');
  for (std::size_t i = 1; i < lines.size() && facts.swaps.size() < kMaxSwaps; ++i) {
    const std::vector<std::string_view> words = split_words(lines[i]);
    if (words.empty()) continue;
    const std::optional<std::uint64_t> size = words.size() >= 3 ? parse_number<std::uint64_t>(words[2]) : std::nullopt;
    if (!size || *size >= (std::uint64_t{1} << 53U)) {
      reader.malformed("/proc/swaps", lines[i]);
      continue;
    }
    facts.swaps.push_back(
        {.path = printable(unescape_octal(words[0])), .type = printable(words[1]), .size_bytes = *size << 10U});
  }
  std::sort(facts.swaps.begin(), facts.swaps.end());
}

struct Pool {
  std::uint64_t page_bytes = 0;
  std::string name;  // "hugepages-2048kB"
};

std::vector<Pool> list_pools(Reader& reader) {
  std::vector<Pool> pools;
  for (std::string& name : reader.names(std::string(kPools))) {
    constexpr std::string_view kPrefix = "hugepages-";
    if (!name.starts_with(kPrefix) || !name.ends_with("kB")) continue;
    const std::string_view digits = std::string_view(name).substr(kPrefix.size(), name.size() - kPrefix.size() - 2);
    const std::optional<std::uint64_t> kibibytes = parse_number<std::uint64_t>(digits);
    if (kibibytes && *kibibytes < (std::uint64_t{1} << 53U)) pools.push_back({*kibibytes << 10U, std::move(name)});
  }
  std::sort(pools.begin(), pools.end(), [](const Pool& a, const Pool& b) { return a.page_bytes < b.page_bytes; });
  return pools;
}

void add_pool(MemoryFacts& facts, std::vector<model::Sample>& samples, const model::HugePages& pool,
              std::optional<std::uint64_t> free) {
  facts.huge_pages.push_back(pool);
  if (!free) return;
  samples.push_back({&kPagesFree,
                     {std::to_string(pool.page_bytes), pool.numa_node ? std::to_string(*pool.numa_node) : ""},
                     static_cast<double>(*free)});
}

void read_pools(Reader& reader, MemoryFacts& facts, std::vector<model::Sample>& samples) {
  const std::vector<Pool> pools = list_pools(reader);
  if (pools.empty()) return;
  const std::string online = reader.attribute("/sys/devices/system/node/online");
  const std::optional<CpuSet> nodes = parse_cpu_list(online);
  if (!nodes) reader.malformed("/sys/devices/system/node/online", online);
  for (const Pool& pool : pools) {
    const std::string at = fmt::format("{}/{}", kPools, pool.name);
    const auto total = reader.number<std::uint64_t>(at + "/nr_hugepages");
    const auto free = reader.number<std::uint64_t>(at + "/free_hugepages");
    if (!total) continue;
    add_pool(facts, samples, {.page_bytes = pool.page_bytes, .numa_node = {}, .total = *total}, free);
    for (std::uint32_t id = 0; nodes && id < kMaxNodes; ++id) {
      if (!(*nodes)[id]) continue;
      model::HugePages share{.page_bytes = pool.page_bytes, .numa_node = id, .total = *total};
      std::optional<std::uint64_t> share_free = free;
      // The shares add up to the whole, so one node alone, or an empty pool, needs no further look.
      if (nodes->count() > 1 && *total > 0) {
        const std::string share_at = fmt::format("/sys/devices/system/node/node{}/hugepages/{}", id, pool.name);
        share.total = reader.number<std::uint64_t>(share_at + "/nr_hugepages").value_or(0);
        share_free = reader.number<std::uint64_t>(share_at + "/free_hugepages");
      }
      add_pool(facts, samples, share, share_free);
    }
  }
  std::sort(facts.huge_pages.begin(), facts.huge_pages.end());
}

Result<Report> read_memory(const Root& root) {
  Reader reader(root);
  Report report;
  MemoryFacts facts;
  read_meminfo(reader, facts, report.samples);
  read_installed(reader, facts);
  read_swaps(reader, facts);
  read_pools(reader, facts, report.samples);
  if (facts == MemoryFacts{} && reader.problem_count() == 0)
    return fail(Code::not_found, "there is neither /proc/meminfo nor any huge page pool");
  report.patch = [facts = std::move(facts)](model::NodeFacts& node) {
    node.memory.total_bytes = facts.total_bytes;
    node.memory.installed_bytes = facts.installed_bytes;
    node.memory.swap_bytes = facts.swap_bytes;
    node.memory.swaps = facts.swaps;
    node.memory.huge_pages = facts.huge_pages;
  };
  report.problems = std::move(reader).take_problems();
  return report;
}

}  // namespace

Source memory_source() {
  return {.name = "memory",
          .deadline = std::chrono::milliseconds{1000},
          .subsystems = {"memory", "node"},
          .on_rtnetlink = false,
          .on_mounts = false,
          .read = read_memory};
}

}  // namespace omnitide::discovery
