// ZFS: /proc/spl/kstat/zfs, whose families are the files' own names.
#include <fmt/format.h>

#include "discovery/collectors/collectors.hpp"
#include "discovery/collectors/families.hpp"
#include "discovery/collectors/learned.hpp"
#include "discovery/collectors/scan.hpp"
#include "discovery/collectors/sysfs_class.hpp"

namespace omnitide::discovery {

namespace {

using model::MetricDescriptor;
using model::MetricType;
using model::SampleBatch;

constexpr const char* kFolder = "/proc/spl/kstat/zfs";
constexpr std::array<std::string_view, 1> kByPool{"zpool"};
constexpr std::array<std::string_view, 2> kZfsByState{"state", "zpool"};
constexpr std::array<std::string_view, 2> kByDataset{"dataset", "zpool"};
constexpr std::array kZfsFamilies{gauge("node_zfs_zpool_state", "1 for the state that a pool is in.", kZfsByState)};
constexpr auto kZfsAll = pointers(kZfsFamilies);
constexpr std::array<std::string_view, 7> kZfsStates{"online",  "degraded", "faulted",  "offline",
                                                     "removed", "unavail",  "suspended"};
constexpr std::array<std::pair<const char*, const char*>, 11> kFiles{{{"zfs_abd", "abdstats"},
                                                                      {"zfs_arc", "arcstats"},
                                                                      {"zfs_dbuf", "dbufstats"},
                                                                      {"zfs_dmu_tx", "dmu_tx"},
                                                                      {"zfs_dnode", "dnodestats"},
                                                                      {"zfs_fm", "fm"},
                                                                      {"zfs_vdev_cache", "vdev_cache_stats"},
                                                                      {"zfs_vdev_mirror", "vdev_mirror_stats"},
                                                                      {"zfs_xuio", "xuio_stats"},
                                                                      {"zfs_zfetch", "zfetchstats"},
                                                                      {"zfs_zil", "zil"}}};
constexpr std::size_t kMaxDatasets = 16384;

const MetricDescriptor* describe(std::string_view subsystem, std::string_view field, Labels labels,
                                 SampleBatch& batch) {
  std::string name = fmt::format("node_{}_{}", subsystem, field);
  std::ranges::replace(name, '-', '_');
  if (!is_metric_name(name)) return nullptr;
  const std::string help = fmt::format("kstat {} of ZFS.", field);
  return &batch.describe({name, unit_of(name), help, MetricType::unknown, labels});
}

// Rows "NAME TYPE VALUE" under a line "name type data"; types 3 and 4 are whole numbers (include/sys/kstat.h).
template <class Take>
bool each_row(std::string_view text, Take&& take) {
  bool begun = false, good = true;
  each_line(text, [&](std::string_view line) {
    Words words(line);
    const std::string_view name = words.next(), type = words.next(), data = words.next();
    if (!begun) {
      begun = name == "name" && type == "type" && data == "data";
      return;
    }
    if (!data.empty() && !take(name, type, data)) good = false;
  });
  return begun && good;
}

Result<> add_file(const Root& root, const char* subsystem, const char* name, SampleBatch& batch) {
  const std::string path = fmt::format("{}/{}", kFolder, name);
  const Result<std::string> text = root.read(path);
  if (text.has_error()) return {};  // releases differ in the files that they have
  const bool good = each_row(*text, [&](std::string_view field, std::string_view type, std::string_view data) {
    if (type != "3" && type != "4") return true;
    const auto value = value_of(data);
    const MetricDescriptor* family = describe(subsystem, field, {}, batch);
    if (value && family != nullptr) batch.add(*family, *value);
    return value.has_value();
  });
  return good ? Result<>{} : Result<>(malformed(path));
}

// A line of names, then a line of values.
Result<> add_pool_io(std::string_view text, std::string_view pool, std::string_view path, SampleBatch& batch) {
  std::string_view head;
  Result<> out;
  each_line(text, [&](std::string_view line) {
    if (head.empty()) {
      if (line.starts_with("nread")) head = line;
      return;
    }
    Words names(head), values(line);
    for (std::string_view name = names.next(); !name.empty(); name = names.next()) {
      const auto value = value_of(values.next());
      if (!value) {
        out = malformed(path);
        return;
      }
      if (const MetricDescriptor* family = describe("zfs_zpool", name, kByPool, batch))
        batch.add(*family, *value, {pool});
    }
  });
  return out;
}

Result<> add_dataset(std::string_view text, std::string_view pool, std::string_view path, SampleBatch& batch) {
  std::string dataset;
  const bool good = each_row(text, [&](std::string_view field, std::string_view type, std::string_view data) {
    if (field == "dataset_name") dataset = valid_utf8(data);
    if (field == "dataset_name" || type != "4") return true;
    const auto value = value_of(data);
    const MetricDescriptor* family = describe("zfs_zpool_dataset", field, kByDataset, batch);
    if (value && family != nullptr) batch.add(*family, *value, {dataset, pool});
    return value.has_value();
  });
  return good ? Result<>{} : Result<>(malformed(path));
}

Result<> add_pool(const Root& root, const std::string& pool, std::size_t& datasets, SampleBatch& batch) {
  for (const std::string& name : root.names(fmt::format("{}/{}", kFolder, pool))) {
    const std::string path = fmt::format("{}/{}/{}", kFolder, pool, name);
    const bool dataset = name.starts_with("objset-");
    if (!dataset && name != "io" && name != "state") continue;
    if (dataset && ++datasets > kMaxDatasets) continue;
    const Result<std::string> text = root.read(path);
    if (text.has_error()) continue;  // gone meanwhile
    Result<> added;
    if (name == "io") added = add_pool_io(*text, pool, path, batch);
    if (dataset) added = add_dataset(*text, pool, path, batch);
    if (added.has_error()) return added;
    if (name != "state") continue;
    const std::string state = to_lower(trim(*text));
    for (const std::string_view known : kZfsStates)
      batch.add(kZfsFamilies[0], known == state ? 1 : 0, {known, pool});
  }
  return {};
}

}  // namespace

Collector zfs_collector(const Root& root) {
  const auto collect = [root](SampleBatch& batch) -> Result<> {
    const Result<std::vector<std::string>> names = root.list(kFolder, kMaxDevices);
    if (names.has_error()) return names.error();
    for (const auto& [subsystem, file] : kFiles)
      if (const Result<> added = add_file(root, subsystem, file, batch); added.has_error()) return added;
    std::size_t datasets = 0;
    for (const std::string& pool : *names)
      if (const Result<> added = add_pool(root, pool, datasets, batch); added.has_error()) return added;
    return {};
  };
  return {"zfs", kZfsAll, collect, kFolder, kQuick};
}

}  // namespace omnitide::discovery
