// Block caches, software RAID, multipath, NVMe, tapes.
#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "discovery/collectors/collectors.hpp"
#include "discovery/collectors/families.hpp"
#include "discovery/collectors/filter.hpp"
#include "discovery/collectors/scan.hpp"
#include "discovery/collectors/sysfs_class.hpp"

namespace omnitide::discovery {

namespace {

using model::MetricDescriptor;
using model::SampleBatch;

constexpr std::array<std::string_view, 5> kNvmeLabels{"device", "firmware_revision", "model", "serial", "state"};
constexpr std::array kNvme{
    gauge("node_nvme_info", "What an NVMe controller says of itself; the value is 1.", kNvmeLabels)};
constexpr auto kNvmeAll = pointers(kNvme);

constexpr std::array kTape{
    gauge("node_tape_io_now", "Requests that are under way.", kByDevice),
    counter("node_tape_io_time_seconds_total", "Time that all requests took, winding included.", kByDevice),
    counter("node_tape_io_others_total", "Requests other than reads and writes.", kByDevice),
    counter("node_tape_read_bytes_total", "Bytes that were read.", kByDevice),
    counter("node_tape_reads_completed_total", "Reads that were done.", kByDevice),
    counter("node_tape_read_time_seconds_total", "Time that all reads took.", kByDevice),
    counter("node_tape_written_bytes_total", "Bytes that were written.", kByDevice),
    counter("node_tape_writes_completed_total", "Writes that were done.", kByDevice),
    counter("node_tape_write_time_seconds_total", "Time that all writes took.", kByDevice),
    counter("node_tape_residual_total", "Reads and writes that moved less than was asked.", kByDevice)};
constexpr auto kTapeAll = pointers(kTape);
// Documentation/scsi/st.rst.
constexpr std::array<Attribute, kTape.size()> kTapeFiles{{{"in_flight"},
                                                          {"io_ns", 1e-9},
                                                          {"other_cnt"},
                                                          {"read_byte_cnt"},
                                                          {"read_cnt"},
                                                          {"read_ns", 1e-9},
                                                          {"write_byte_cnt"},
                                                          {"write_cnt"},
                                                          {"write_ns", 1e-9},
                                                          {"resid_cnt"}}};

// "st0", not the other names of the same drive: "st0a", "nst0".
bool is_tape(std::string_view name) {
  return name.starts_with("st") && parse_number<std::uint32_t>(name.substr(2)).has_value();
}

constexpr std::array<std::string_view, 2> kMdStateLabels{"device", "state"};
constexpr std::array kMd{gauge("node_md_disks", "Disks of an array, by their state.", kMdStateLabels),
                         gauge("node_md_disks_required", "Disks that an array should have.", kByDevice),
                         gauge("node_md_blocks", "Blocks of 1 KiB of an array.", kByDevice),
                         gauge("node_md_blocks_synced", "Blocks that are in step on all disks.", kByDevice),
                         gauge("node_md_state", "1 for the state that an array is in.", kMdStateLabels)};
constexpr auto kMdAll = pointers(kMd);
constexpr std::array<std::string_view, 5> kMdStates{"active", "inactive", "recovering", "resync", "check"};

// One array of /proc/mdstat: the line of its name, its status, perhaps a bitmap, perhaps what it is working on.
struct Array {
  std::string_view name, state;
  double active = 0, failed = 0, spare = 0, required = 0, blocks = 0, synced = 0;
};

double count_of(std::string_view line, std::string_view part) {
  double out = 0;
  for (std::size_t at = line.find(part); at != std::string_view::npos; at = line.find(part, at + part.size()))
    ++out;
  return out;
}

bool read_head(std::string_view line, Array& out) {
  Words words(line);
  out.name = words.next();
  if (words.next() != ":") return false;
  out.state = words.next();
  out.failed = count_of(line, "(F)");
  out.spare = count_of(line, "(S)");
  return !out.state.empty();
}

// "248896 blocks [2/2] [UU]"; raid0 and linear arrays have no such numbers, all their disks are needed.
bool read_status(std::string_view head, std::string_view line, Array& out) {
  Words words(line);
  const std::optional<double> blocks = value_of(words.next());
  if (!blocks) return false;
  out.blocks = out.synced = *blocks;
  if (out.state == "inactive") return true;
  if (head.find("raid0") != std::string_view::npos || head.find("linear") != std::string_view::npos) {
    out.required = out.active = count_of(head, "[");
    return true;
  }
  for (std::string_view word = words.next(); !word.empty(); word = words.next()) {
    if (!word.starts_with('[') || !word.ends_with(']')) continue;
    std::string_view numbers = word.substr(1, word.size() - 2);
    const std::optional<double> required = value_of(cut(numbers, '/'));
    const std::optional<double> active = value_of(numbers);
    if (!required || !active) continue;
    out.required = *required;
    out.active = *active;
    return true;
  }
  return false;
}

// "[=>...]  recovery =  8.5% (16775552/195310144) finish=17.0min speed=259783K/sec", or "resync=PENDING".
bool read_work(std::string_view line, Array& out) {
  if (line.find("recovery") != std::string_view::npos)
    out.state = "recovering";
  else if (line.find("check") != std::string_view::npos)
    out.state = "check";
  else if (line.find("resync") != std::string_view::npos)
    out.state = "resync";
  else
    return true;
  if (line.find("PENDING") != std::string_view::npos || line.find("DELAYED") != std::string_view::npos) {
    out.synced = 0;
    return true;
  }
  const std::size_t bracket = line.find('(');
  if (bracket == std::string_view::npos) return false;
  std::string_view numbers = line.substr(bracket + 1);
  const std::optional<double> synced = value_of(cut(numbers, '/'));
  out.synced = synced.value_or(0);
  return synced.has_value();
}

void add_array(const Array& array, SampleBatch& batch) {
  batch.add(kMd[0], array.active, {array.name, "active"});
  batch.add(kMd[0], array.failed, {array.name, "failed"});
  batch.add(kMd[0], array.spare, {array.name, "spare"});
  batch.add(kMd[1], array.required, {array.name});
  batch.add(kMd[2], array.blocks, {array.name});
  batch.add(kMd[3], array.synced, {array.name});
  for (const std::string_view state : kMdStates)
    batch.add(kMd[4], state == array.state ? 1 : 0, {array.name, state});
}

Result<> add_arrays(std::string_view text, SampleBatch& batch) {
  const auto malformed = [] { return fail(Code::invalid_argument, "/proc/mdstat is malformed"); };
  while (!text.empty()) {
    const std::string_view head = cut(text, '\n');
    if (trim(head).empty() || head.starts_with(' ') || head.starts_with("Personalities") || head.starts_with("unused"))
      continue;
    Array array;
    if (!read_head(head, array) || !read_status(head, cut(text, '\n'), array)) return malformed();
    while (!text.empty() && text.front() == ' ') {
      const std::string_view line = cut(text, '\n');
      if (line.find("bitmap") == std::string_view::npos && !read_work(line, array)) return malformed();
    }
    add_array(array, batch);
  }
  return {};
}

constexpr std::array<std::string_view, 2> kMultipathLabels{"device", "sysfs_name"};
constexpr std::array<std::string_view, 3> kMultipathInfo{"device", "sysfs_name", "uuid"};
constexpr std::array<std::string_view, 3> kMultipathPath{"device", "path", "state"};
constexpr std::array kMultipath{
    gauge("node_dmmultipath_device_info", "A multipath device; the value is 1.", kMultipathInfo),
    gauge("node_dmmultipath_device_active", "1 when a multipath device is active, 0 when it is suspended.",
          kMultipathLabels),
    gauge("node_dmmultipath_device_size_bytes", "Size of a multipath device.", kMultipathLabels),
    gauge("node_dmmultipath_device_paths", "Paths of a multipath device.", kMultipathLabels),
    gauge("node_dmmultipath_device_paths_active", "Paths that can be used.", kMultipathLabels),
    gauge("node_dmmultipath_device_paths_failed", "Paths that cannot be used.", kMultipathLabels),
    gauge("node_dmmultipath_path_state", "The state that the device of a path says it has; the value is 1.",
          kMultipathPath)};
constexpr auto kMultipathAll = pointers(kMultipath);

void add_multipath(const Root& root, const std::string& name, SampleBatch& batch) {
  const std::string path = "/sys/block/" + name;
  Result<Folder> mapper = Folder::open(root, path + "/dm");
  Result<Folder> block = Folder::open(root, path);
  if (mapper.has_error() || block.has_error()) return;
  const std::string uuid = mapper->label("uuid"), device = mapper->label("name");
  if (!uuid.starts_with("mpath-") || device.empty()) return;
  double active = 0, failed = 0;
  for (const std::string& below : root.names(path + "/slaves")) {
    std::string state = root.attribute(fmt::format("/sys/block/{}/device/state", below));
    if (state.empty()) state = "unknown";
    ++(state == "running" || state == "live" ? active : failed);
    batch.add(kMultipath[6], 1, {device, below, valid_utf8(state)});
  }
  batch.add(kMultipath[0], 1, {device, name, uuid});
  batch.add(kMultipath[1], mapper->number("suspended").value_or(0) > 0 ? 0 : 1, {device, name});
  batch.add(kMultipath[2], block->number("size").value_or(0) * 512, {device, name});
  batch.add(kMultipath[3], active + failed, {device, name});
  batch.add(kMultipath[4], active, {device, name});
  batch.add(kMultipath[5], failed, {device, name});
}

}  // namespace

Collector nvme_collector(const Root& root) {
  const auto collect = [root](SampleBatch& batch) {
    return each_folder(root, "/sys/class/nvme", [&batch](const std::string& name, Folder& folder) {
      const std::string revision = folder.label("firmware_rev"), model = folder.label("model"),
                        serial = folder.label("serial"), state = folder.label("state");
      batch.add(kNvme[0], 1, {name, revision, model, serial, state});
    });
  };
  return {"nvme", kNvmeAll, collect, "/sys/class/nvme", kQuick};
}

Collector tapestats_collector(const Root& root, const Settings& settings) {
  const auto devices = std::make_shared<Filter>("", settings.value("tapestats.ignored_devices"));
  const auto collect = [root, devices](SampleBatch& batch) -> Result<> {
    return each_folder(root, "/sys/class/scsi_tape", [&](const std::string& name, Folder&) {
      if (!is_tape(name) || !devices->accepts(name)) return;
      Result<Folder> stats = Folder::open(root, fmt::format("/sys/class/scsi_tape/{}/stats", name));
      if (stats.has_error()) return;
      for (std::size_t i = 0; i < kTape.size(); ++i) {
        const Attribute& file = kTapeFiles.at(i);
        if (const auto value = stats->number(file.file)) batch.add(kTape.at(i), *value * file.scale, {name});
      }
    });
  };
  return {"tapestats", kTapeAll, collect, "/sys/class/scsi_tape", kQuick};
}

Collector mdadm_collector(const Root& root) {
  return file_collector("mdadm", kMdAll, root, "/proc/mdstat", add_arrays);
}

Collector dmmultipath_collector(const Root& root) {
  const auto collect = [root](SampleBatch& batch) -> Result<> {
    const Result<std::vector<std::string>> names = root.list("/sys/block", kMaxDevices);
    if (names.has_error()) return names.error();
    for (const std::string& name : *names)
      if (name.starts_with("dm-")) add_multipath(root, name, batch);
    return {};
  };
  return {"dmmultipath", kMultipathAll, collect, "/sys/block/dm-*", kQuick};
}

}  // namespace omnitide::discovery
