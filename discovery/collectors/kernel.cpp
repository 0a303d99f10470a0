// Small files of the kernel with a value or two.
#include <unistd.h>

#include "discovery/collectors/collectors.hpp"
#include "discovery/collectors/families.hpp"
#include "discovery/collectors/scan.hpp"

namespace omnitide::discovery {

namespace {

using model::SampleBatch;

Error no_number(std::string_view path) {
  return fail(Code::invalid_argument, std::string(path) + " holds no number where one should be");
}

constexpr std::array kLoad{gauge("node_load1", "Load average of the last minute."),
                           gauge("node_load5", "Load average of the last five minutes."),
                           gauge("node_load15", "Load average of the last quarter of an hour.")};
constexpr auto kLoadAll = pointers(kLoad);

constexpr std::array kFiles{gauge("node_filefd_allocated", "File handles that are in use."),
                            gauge("node_filefd_maximum", "File handles that may be in use.")};
constexpr auto kFilesAll = pointers(kFiles);

constexpr std::array kEntropy{gauge("node_entropy_available_bits", "Entropy that the kernel's pool holds."),
                              gauge("node_entropy_pool_size_bits", "Entropy that the kernel's pool can hold.")};
constexpr auto kEntropyAll = pointers(kEntropy);

constexpr std::array kHung{counter("node_kernel_hung_tasks_total", "Tasks that were found hung since the boot.")};
constexpr auto kHungAll = pointers(kHung);

constexpr std::array kConntrack{
    gauge("node_nf_conntrack_entries", "Connections in the tracking table."),
    gauge("node_nf_conntrack_entries_limit", "Connections that the tracking table may hold."),
    gauge("node_nf_conntrack_stat_found", "Look-ups of connections that were found."),
    gauge("node_nf_conntrack_stat_invalid", "Packets that could not be tracked."),
    gauge("node_nf_conntrack_stat_ignore", "Packets of connections that were known already, or left untracked."),
    gauge("node_nf_conntrack_stat_insert", "Connections put into the table."),
    gauge("node_nf_conntrack_stat_insert_failed", "Connections that another one took the place of."),
    gauge("node_nf_conntrack_stat_drop", "Packets dropped since a connection could not be made."),
    gauge("node_nf_conntrack_stat_early_drop", "Connections dropped to make room in a full table."),
    gauge("node_nf_conntrack_stat_search_restart", "Look-ups begun anew, since the table was resized.")};
constexpr auto kConntrackAll = pointers(kConntrack);
// Columns of /proc/net/stat/nf_conntrack for the families from the third on; net/netfilter/nf_conntrack_standalone.c.
constexpr std::array<std::string_view, 8> kConntrackColumns{"found",         "invalid", "ignore",     "insert",
                                                            "insert_failed", "drop",    "early_drop", "search_restart"};

// One line of hexadecimal numbers for each CPU, under a line of names: the sums.
Result<> add_conntrack_statistics(std::string_view text, SampleBatch& batch) {
  const std::string_view head = cut(text, '\n');
  std::array<int, kConntrackColumns.size()> column{};
  column.fill(-1);
  Words names(head);
  int count = 0;
  for (std::string_view name = names.next(); !name.empty(); name = names.next(), ++count) {
    for (std::size_t i = 0; i < kConntrackColumns.size(); ++i) {
      // Since 5.9 the column of what was ignored has another name.
      if (name == kConntrackColumns.at(i) || (i == 2 && name == "clashres")) column.at(i) = count;
    }
  }
  std::array<std::uint64_t, kConntrackColumns.size()> sums{};
  bool good = true;
  each_line(text, [&](std::string_view line) {
    Words words(line);
    int at = 0;
    for (std::string_view word = words.next(); !word.empty(); word = words.next(), ++at) {
      const auto value = parse_number<std::uint64_t>(word, 16);
      if (!value) good = false;
      for (std::size_t i = 0; i < column.size(); ++i)
        if (column.at(i) == at) sums.at(i) += value.value_or(0);
    }
  });
  if (!good) return no_number("/proc/net/stat/nf_conntrack");
  for (std::size_t i = 0; i < sums.size(); ++i)
    batch.add(kConntrack.at(i + 2), static_cast<double>(sums.at(i)));
  return {};
}

Result<double> read_number(KeptFile& file) {
  const Result<std::string_view> text = file.read();
  if (text.has_error()) return text.error();
  const std::optional<double> value = value_of(trim(*text));
  if (!value) return no_number(file.path());
  return *value;
}

// Several files with one number each, each a family.
template <std::size_t N>
Collector number_collector(std::string_view name, const std::array<model::MetricDescriptor, N>& families,
                           const std::array<const model::MetricDescriptor*, N>& all, const Root& root,
                           std::string_view source, const std::array<const char*, N>& paths) {
  const auto files = std::make_shared<std::vector<KeptFile>>();
  for (const char* path : paths)
    files->emplace_back(root, path);
  const auto collect = [files, &families](SampleBatch& batch) -> Result<> {
    for (std::size_t i = 0; i < N; ++i) {
      const Result<double> value = read_number((*files)[i]);
      if (value.has_error()) return value.error();
      batch.add(families.at(i), *value);
    }
    return {};
  };
  return {name, all, collect, source, kQuick};
}

}  // namespace

Collector loadavg_collector(const Root& root) {
  return file_collector("loadavg", kLoadAll, root, "/proc/loadavg",
                        [](std::string_view text, SampleBatch& batch) -> Result<> {
                          Words words(text);
                          for (const model::MetricDescriptor& load : kLoad) {
                            const std::optional<double> value = value_of(words.next());
                            if (!value) return no_number("/proc/loadavg");
                            batch.add(load, *value);
                          }
                          return {};
                        });
}

Collector filefd_collector(const Root& root) {
  return file_collector("filefd", kFilesAll, root, "/proc/sys/fs/file-nr",
                        [](std::string_view text, SampleBatch& batch) -> Result<> {
                          Words words(text);
                          const std::optional<double> allocated = value_of(words.next());
                          const std::optional<double> maximum = value_of(words.skip(1));
                          if (!allocated || !maximum) return no_number("/proc/sys/fs/file-nr");
                          batch.add(kFiles[0], *allocated);
                          batch.add(kFiles[1], *maximum);
                          return {};
                        });
}

Collector entropy_collector(const Root& root) {
  constexpr std::array<const char*, 2> kPaths{"/proc/sys/kernel/random/entropy_avail",
                                              "/proc/sys/kernel/random/poolsize"};
  return number_collector("entropy", kEntropy, kEntropyAll, root, "/proc/sys/kernel/random", kPaths);
}

Collector kernel_hung_collector(const Root& root) {
  constexpr std::array<const char*, 1> kPaths{"/proc/sys/kernel/hung_task_detect_count"};
  return number_collector("kernel_hung", kHung, kHungAll, root, kPaths[0], kPaths);
}

Collector conntrack_collector(const Root& root) {
  struct State {
    KeptFile count, limit, statistics;
  };
  const auto state = std::make_shared<State>(State{KeptFile(root, "/proc/sys/net/netfilter/nf_conntrack_count"),
                                                   KeptFile(root, "/proc/sys/net/netfilter/nf_conntrack_max"),
                                                   KeptFile(root, "/proc/net/stat/nf_conntrack")});
  const auto collect = [state](SampleBatch& batch) -> Result<> {
    const Result<double> count = read_number(state->count);
    if (count.has_error()) return count.error();
    const Result<double> limit = read_number(state->limit);
    if (limit.has_error()) return limit.error();
    batch.add(kConntrack[0], *count);
    batch.add(kConntrack[1], *limit);
    const Result<std::string_view> text = state->statistics.read();
    return text.has_error() ? Result<>(text.error()) : add_conntrack_statistics(*text, batch);
  };
  return {"conntrack", kConntrackAll, collect, "/proc/net/stat/nf_conntrack", kQuick};
}

}  // namespace omnitide::discovery
