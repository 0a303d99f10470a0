// XFS filesystems: /sys/fs/xfs/DEVICE/stats/stats (fs/xfs/xfs_stats.c).
#include <fmt/format.h>

#include "discovery/collectors/collectors.hpp"
#include "discovery/collectors/families.hpp"
#include "discovery/collectors/scan.hpp"
#include "discovery/collectors/sysfs_class.hpp"

namespace omnitide::discovery {

namespace {

using model::MetricDescriptor;
using model::SampleBatch;

constexpr std::array kXfsFamilies{
    counter("node_xfs_extent_allocation_extents_allocated_total", "Extents that were allocated.", kByDevice),
    counter("node_xfs_extent_allocation_blocks_allocated_total", "Blocks that were allocated.", kByDevice),
    counter("node_xfs_extent_allocation_extents_freed_total", "Extents that were freed.", kByDevice),
    counter("node_xfs_extent_allocation_blocks_freed_total", "Blocks that were freed.", kByDevice),
    counter("node_xfs_allocation_btree_lookups_total", "Look-ups in the trees of free space.", kByDevice),
    counter("node_xfs_allocation_btree_compares_total", "Comparisons in the trees of free space.", kByDevice),
    counter("node_xfs_allocation_btree_records_inserted_total", "Records put into the trees of free space.", kByDevice),
    counter("node_xfs_allocation_btree_records_deleted_total", "Records taken from the trees of free space.",
            kByDevice),
    counter("node_xfs_block_mapping_reads_total", "Mappings of blocks that were read.", kByDevice),
    counter("node_xfs_block_mapping_writes_total", "Mappings of blocks that were written.", kByDevice),
    counter("node_xfs_block_mapping_unmaps_total", "Mappings of blocks that were taken away.", kByDevice),
    counter("node_xfs_block_mapping_extent_list_insertions_total", "Extents put into lists.", kByDevice),
    counter("node_xfs_block_mapping_extent_list_deletions_total", "Extents taken from lists.", kByDevice),
    counter("node_xfs_block_mapping_extent_list_lookups_total", "Look-ups in lists of extents.", kByDevice),
    counter("node_xfs_block_mapping_extent_list_compares_total", "Comparisons in lists of extents.", kByDevice),
    counter("node_xfs_block_map_btree_lookups_total", "Look-ups in the trees of mappings.", kByDevice),
    counter("node_xfs_block_map_btree_compares_total", "Comparisons in the trees of mappings.", kByDevice),
    counter("node_xfs_block_map_btree_records_inserted_total", "Records put into the trees of mappings.", kByDevice),
    counter("node_xfs_block_map_btree_records_deleted_total", "Records taken from the trees of mappings.", kByDevice),
    counter("node_xfs_directory_operation_lookup_total", "Look-ups of names that no cache answered.", kByDevice),
    counter("node_xfs_directory_operation_create_total", "Names that were made.", kByDevice),
    counter("node_xfs_directory_operation_remove_total", "Names that were removed.", kByDevice),
    counter("node_xfs_directory_operation_getdents_total", "Lists of names that were read.", kByDevice),
    counter("node_xfs_inode_operation_attempts_total", "Look-ups of inodes.", kByDevice),
    counter("node_xfs_inode_operation_found_total", "Look-ups that the cache of inodes answered.", kByDevice),
    counter("node_xfs_inode_operation_recycled_total", "Inodes that were on their way out and used again.", kByDevice),
    counter("node_xfs_inode_operation_missed_total", "Look-ups that the cache of inodes could not answer.", kByDevice),
    counter("node_xfs_inode_operation_duplicates_total", "Inodes that another one put into the cache first.",
            kByDevice),
    counter("node_xfs_inode_operation_reclaims_total", "Inodes whose memory was taken back.", kByDevice),
    counter("node_xfs_inode_operation_attribute_changes_total", "Changes of inodes' attributes.", kByDevice),
    counter("node_xfs_read_calls_total", "Calls of read(2).", kByDevice),
    counter("node_xfs_write_calls_total", "Calls of write(2).", kByDevice),
    counter("node_xfs_vnode_active_total", "Inodes in use.", kByDevice),
    counter("node_xfs_vnode_allocate_total", "Inodes allocated.", kByDevice),
    counter("node_xfs_vnode_get_total", "Times that an inode was got.", kByDevice),
    counter("node_xfs_vnode_hold_total", "Times that an inode was held.", kByDevice),
    counter("node_xfs_vnode_release_total", "Times that an inode was let go.", kByDevice),
    counter("node_xfs_vnode_reclaim_total", "Times that an inode was taken back.", kByDevice),
    counter("node_xfs_vnode_remove_total", "Times that an inode was removed.", kByDevice)};
constexpr auto kXfsAll = pointers(kXfsFamilies);

// A line and where its values go: the first family, which of its numbers come first, how many.
struct Line {
  std::string_view name;
  std::size_t family, count;
};
constexpr std::array<Line, 8> kLines{{{"extent_alloc", 0, 4},
                                      {"abt", 4, 4},
                                      {"blk_map", 8, 7},
                                      {"bmbt", 15, 4},
                                      {"dir", 19, 4},
                                      {"ig", 23, 7},
                                      {"rw", 30, 2},
                                      {"vnodes", 32, 7}}};

void add_stats(std::string_view text, std::string_view device, SampleBatch& batch) {
  each_line(text, [&](std::string_view line) {
    Words words(line);
    const std::string_view name = words.next();
    for (const Line& known : kLines) {
      if (name != known.name) continue;
      std::array<double, 8> values{};
      std::size_t count = 0;
      for (; count < known.count; ++count) {
        const auto value = value_of(words.next());
        if (!value) break;
        values.at(count) = *value;
      }
      // The file has writes in front of reads.
      if (name == "rw" && count == 2) std::swap(values[0], values[1]);
      for (std::size_t i = 0; i < count; ++i)
        batch.add(kXfsFamilies.at(known.family + i), values.at(i), {device});
    }
  });
}

}  // namespace

Collector xfs_collector(const Root& root) {
  const auto collect = [root](SampleBatch& batch) -> Result<> {
    const Result<> done = each_folder(root, "/sys/fs/xfs", [&](const std::string& device, Folder&) {
      if (device == "stats") return;  // of all together
      Result<Folder> folder = Folder::open(root, fmt::format("/sys/fs/xfs/{}/stats", device));
      if (folder.has_error()) return;
      if (const auto text = folder->text("stats")) add_stats(*text, device, batch);
    });
    // As there: a node without such filesystems has no values, and no failure.
    return done.has_error() && done.error().code == Code::not_found ? Result<>{} : done;
  };
  return {"xfs", kXfsAll, collect, "/sys/fs/xfs", kQuick};
}

}  // namespace omnitide::discovery
