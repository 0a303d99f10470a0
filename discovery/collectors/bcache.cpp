// Block caches: /sys/fs/bcache (Documentation/admin-guide/bcache.rst).
#include <fmt/format.h>

#include <map>

#include "discovery/collectors/collectors.hpp"
#include "discovery/collectors/families.hpp"
#include "discovery/collectors/scan.hpp"
#include "discovery/collectors/sysfs_class.hpp"

namespace omnitide::discovery {

namespace {

using model::MetricDescriptor;
using model::SampleBatch;

constexpr std::array<std::string_view, 2> kByBacking{"backing_device", "uuid"};
constexpr std::array<std::string_view, 2> kByCache{"cache_device", "uuid"};

constexpr std::array kSet{
    gauge("node_bcache_average_key_size_sectors", "Data behind a key of the tree, on average.", kByUuid),
    gauge("node_bcache_btree_cache_size_bytes", "Memory that the tree's cache takes.", kByUuid),
    gauge("node_bcache_cache_available_percent", "Part of the cache without data that waits to be written.", kByUuid),
    gauge("node_bcache_congested", "How congested the cache is.", kByUuid),
    gauge("node_bcache_root_usage_percent", "How full the root of the tree is.", kByUuid),
    gauge("node_bcache_tree_depth", "Levels of the tree.", kByUuid)};
constexpr std::array<const char*, kSet.size()> kSetFiles{
    "average_key_size", "btree_cache_size", "cache_available_percent", "congested", "root_usage_percent", "tree_depth"};
constexpr std::array kInner{
    gauge("node_bcache_active_journal_entries", "Entries of the journal that are newer than the tree.", kByUuid),
    gauge("node_bcache_btree_nodes", "Nodes of the tree.", kByUuid),
    gauge("node_bcache_btree_read_average_duration_seconds", "How long reading a node takes, on average.", kByUuid),
    counter("node_bcache_cache_read_races_total", "Reads whose bucket was used anew meanwhile.", kByUuid)};
// The other exporter takes these microseconds for nanoseconds; what is built on its values would break otherwise.
constexpr std::array<Attribute, kInner.size()> kInnerFiles{
    {{"active_journal_entries"}, {"btree_nodes"}, {"btree_read_average_duration_us", 1e-9}, {"cache_read_races"}}};
constexpr std::array kTotals{
    counter("node_bcache_bypassed_bytes_total", "Bytes that went past the cache.", kByBacking),
    counter("node_bcache_cache_hits_total", "Requests that the cache served.", kByBacking),
    counter("node_bcache_cache_misses_total", "Requests that the cache could not serve.", kByBacking),
    counter("node_bcache_cache_bypass_hits_total", "Requests past the cache that it could have served.", kByBacking),
    counter("node_bcache_cache_bypass_misses_total", "Requests past the cache that it could not have served.",
            kByBacking),
    counter("node_bcache_cache_miss_collisions_total", "Missed data that was written meanwhile.", kByBacking),
    counter("node_bcache_cache_readaheads_total", "Times that data was read ahead.", kByBacking)};
constexpr std::array<const char*, kTotals.size()> kTotalFiles{
    "bypassed",          "cache_hits",          "cache_misses",
    "cache_bypass_hits", "cache_bypass_misses", "cache_miss_collisions",
    "cache_readaheads"};
constexpr std::array kBacking{
    gauge("node_bcache_dirty_data_bytes", "Data in the cache that waits to be written.", kByBacking),
    gauge("node_bcache_dirty_target_bytes", "How much data may wait to be written.", kByBacking),
    gauge("node_bcache_writeback_rate", "Bytes a second that are written back.", kByBacking),
    gauge("node_bcache_writeback_rate_proportional_term", "Proportional part of that rate.", kByBacking),
    gauge("node_bcache_writeback_rate_integral_term", "Integral part of that rate.", kByBacking),
    gauge("node_bcache_writeback_change", "Last change of that rate.", kByBacking)};
// Lines of writeback_rate_debug for the families from the second on.
constexpr std::array<std::string_view, 5> kDebugLines{"target", "rate", "proportional", "integral", "change"};
constexpr std::array kCache{
    gauge("node_bcache_io_errors", "Errors of a cache device, fading with time.", kByCache),
    counter("node_bcache_metadata_written_bytes_total", "Bytes written other than data.", kByCache),
    counter("node_bcache_written_bytes_total", "Bytes written to a cache device.", kByCache)};
constexpr std::array<const char*, kCache.size()> kCacheFiles{"io_errors", "metadata_written", "written"};
constexpr std::array kPriority{
    gauge("node_bcache_priority_stats_unused_percent", "Part of a cache device that holds nothing.", kByCache),
    gauge("node_bcache_priority_stats_metadata_percent", "Part of a cache device that is not for data.", kByCache)};
constexpr auto kBcacheAll = pointers(kSet, kInner, kTotals, kBacking, kCache, kPriority);

// "1.5G", "512", "-2.0k". The digit behind the point stands for a hundred of the next smaller unit of 1024
// (bch_hprint() in drivers/md/bcache/util.c).
std::optional<double> size_of(std::string_view text) {
  text = trim(text);
  if (text.ends_with("/sec")) text.remove_suffix(4);
  if (text.empty()) return std::nullopt;
  constexpr std::string_view kUnits = "kMGTPEZY";
  const std::size_t unit = kUnits.find(text.back());
  if (unit == std::string_view::npos) return value_of(text);
  text.remove_suffix(1);
  double smaller = 1;
  for (std::size_t i = 0; i < unit; ++i)
    smaller *= 1024;
  const bool negative = text.starts_with('-');
  if (negative) text.remove_prefix(1);
  const auto whole = parse_number<std::uint32_t>(cut(text, '.'));
  const auto digit = text.empty() ? std::optional<std::uint32_t>(0) : parse_number<std::uint32_t>(text);
  if (!whole || !digit || *digit > 9) return std::nullopt;
  const double value = (*whole * 1024.0 + *digit * 100.0) * smaller;
  return negative ? -value : value;
}

std::optional<double> size_attribute(Folder& folder, const char* name) {
  const std::optional<std::string_view> text = folder.text(name);
  return text ? size_of(*text) : std::nullopt;
}

void add_backing(const Root& root, const std::string& path, std::string_view device, std::string_view uuid,
                 Folder& folder, SampleBatch& batch) {
  if (const auto value = size_attribute(folder, "dirty_data")) batch.add(kBacking[0], *value, {device, uuid});
  if (const auto text = folder.text("writeback_rate_debug")) {
    each_line(*text, [&](std::string_view line) {
      const std::string_view name = trim(cut(line, ':'));
      for (std::size_t i = 0; i < kDebugLines.size(); ++i) {
        if (name != kDebugLines.at(i)) continue;
        if (const auto value = size_of(line)) batch.add(kBacking.at(i + 1), *value, {device, uuid});
      }
    });
  }
  Result<Folder> totals = Folder::open(root, path + "/stats_total");
  if (totals.has_error()) return;
  for (std::size_t i = 0; i < kTotals.size(); ++i)
    if (const auto value = size_attribute(*totals, kTotalFiles.at(i))) batch.add(kTotals.at(i), *value, {device, uuid});
}

void add_cache(std::string_view device, std::string_view uuid, bool priorities, Folder& folder, SampleBatch& batch) {
  for (std::size_t i = 0; i < kCache.size(); ++i)
    if (const auto value = size_attribute(folder, kCacheFiles.at(i))) batch.add(kCache.at(i), *value, {device, uuid});
  if (!priorities) return;
  const auto text = folder.text("priority_stats");
  if (!text) return;
  each_line(*text, [&](std::string_view line) {
    const std::string_view name = trim(cut(line, ':'));
    std::string_view percent = trim(line);
    if (percent.ends_with('%')) percent.remove_suffix(1);
    const auto value = value_of(percent);
    if (name == "Unused" && value) batch.add(kPriority[0], *value, {device, uuid});
    if (name == "Metadata" && value) batch.add(kPriority[1], *value, {device, uuid});
  });
}

void add_set(const Root& root, const std::string& uuid, bool priorities, Folder& folder, SampleBatch& batch) {
  const std::string path = "/sys/fs/bcache/" + uuid;
  for (std::size_t i = 0; i < kSet.size(); ++i)
    if (const auto value = size_attribute(folder, kSetFiles.at(i))) batch.add(kSet.at(i), *value, {uuid});
  if (Result<Folder> inner = Folder::open(root, path + "/internal"); inner.has_value()) {
    for (std::size_t i = 0; i < kInner.size(); ++i)
      if (const auto value = size_attribute(*inner, kInnerFiles.at(i).file))
        batch.add(kInner.at(i), *value * kInnerFiles.at(i).scale, {uuid});
  }
  (void)each_folder(root, path, [&](const std::string& name, Folder& device) {
    if (name.starts_with("bdev"))
      add_backing(root, fmt::format("{}/{}", path, name), name, uuid, device, batch);
    else if (name.starts_with("cache") && parse_number<std::uint32_t>(std::string_view(name).substr(5)))
      add_cache(name, uuid, priorities, device, batch);
  });
}

}  // namespace

Collector bcache_collector(const Root& root, const Settings& settings) {
  const bool priorities = settings.flag("bcache.priority_stats");
  const auto collect = [root, priorities](SampleBatch& batch) -> Result<> {
    const Result<> done = each_folder(root, "/sys/fs/bcache", [&](const std::string& name, Folder& folder) {
      if (name.find('-') != std::string::npos) add_set(root, name, priorities, folder, batch);
    });
    // As there: a node without caches has no values, and no failure.
    return done.has_error() && done.error().code == Code::not_found ? Result<>{} : done;
  };
  return {"bcache", kBcacheAll, collect, "/sys/fs/bcache", kQuick};
}

}  // namespace omnitide::discovery
