// The board: firmware (DMI), memory errors (EDAC), SELinux, bonds.
#include <fmt/format.h>

#include "discovery/collectors/collectors.hpp"
#include "discovery/collectors/families.hpp"
#include "discovery/collectors/scan.hpp"
#include "discovery/collectors/sysfs_class.hpp"

namespace omnitide::discovery {

namespace {

using model::MetricDescriptor;
using model::SampleBatch;

constexpr std::array<const MetricDescriptor*, 0> kPlatformNoneKnown{};

// Labels of node_dmi_info, sorted, and the files of /sys/class/dmi/id; those without a file are left out.
constexpr std::array<std::pair<std::string_view, const char*>, 20> kDmiLabels{
    {{"bios_date", "bios_date"},
     {"bios_release", "bios_release"},
     {"bios_vendor", "bios_vendor"},
     {"bios_version", "bios_version"},
     {"board_asset_tag", "board_asset_tag"},
     {"board_name", "board_name"},
     {"board_serial", "board_serial"},
     {"board_vendor", "board_vendor"},
     {"board_version", "board_version"},
     {"chassis_asset_tag", "chassis_asset_tag"},
     {"chassis_serial", "chassis_serial"},
     {"chassis_vendor", "chassis_vendor"},
     {"chassis_version", "chassis_version"},
     {"product_family", "product_family"},
     {"product_name", "product_name"},
     {"product_serial", "product_serial"},
     {"product_sku", "product_sku"},
     {"product_uuid", "product_uuid"},
     {"product_version", "product_version"},
     {"system_vendor", "sys_vendor"}}};

// What the firmware says stays the same until the next boot: read once.
struct DmiState {
  std::vector<std::string_view> labels;
  std::vector<std::string> values;

  Result<> collect(const Root& root, SampleBatch& batch) {
    if (labels.empty()) {
      Result<Folder> folder = Folder::open(root, "/sys/class/dmi/id");
      if (folder.has_error()) return folder.error();
      for (const auto& [label, file] : kDmiLabels) {
        if (!folder->text(file)) continue;
        labels.push_back(label);
        values.push_back(folder->label(file));
      }
      if (labels.empty()) return fail(Code::not_found, "/sys/class/dmi/id says nothing");
    }
    const std::vector<std::string_view> views(values.begin(), values.end());
    batch.add(batch.describe(gauge("node_dmi_info", "What the firmware says of the board; the value is 1.", labels)), 1,
              views);
    return {};
  }
};

constexpr std::array<std::string_view, 1> kByController{"controller"};
constexpr std::array<std::string_view, 2> kByRow{"controller", "csrow"};
constexpr std::array kEdac{
    counter("node_edac_correctable_errors_total", "Memory errors that were put right.", kByController),
    counter("node_edac_uncorrectable_errors_total", "Memory errors that could not be put right.", kByController),
    counter("node_edac_csrow_correctable_errors_total", "Memory errors of a row that were put right.", kByRow),
    counter("node_edac_csrow_uncorrectable_errors_total", "Memory errors of a row that could not be put right.",
            kByRow)};
constexpr auto kEdacAll = pointers(kEdac);

void add_controller(const Root& root, const std::string& name, Folder& folder, SampleBatch& batch) {
  const std::string_view controller = std::string_view(name).substr(2);
  const auto add = [&batch](const MetricDescriptor& family, std::optional<double> value,
                            std::initializer_list<std::string_view> labels) {
    if (value) batch.add(family, *value, labels);
  };
  add(kEdac[0], folder.number("ce_count"), {controller});
  add(kEdac[2], folder.number("ce_noinfo_count"), {controller, "unknown"});
  add(kEdac[1], folder.number("ue_count"), {controller});
  add(kEdac[3], folder.number("ue_noinfo_count"), {controller, "unknown"});
  const std::string path = "/sys/devices/system/edac/mc/" + name;
  (void)each_folder(root, path, [&](const std::string& row_name, Folder& row) {
    if (!row_name.starts_with("csrow")) return;
    const std::string_view number = std::string_view(row_name).substr(5);
    add(kEdac[2], row.number("ce_count"), {controller, number});
    add(kEdac[3], row.number("ue_count"), {controller, number});
  });
}

constexpr std::array kSelinux{gauge("node_selinux_enabled", "1 when SELinux is on."),
                              gauge("node_selinux_config_mode",
                                    "Mode that SELinux is configured to have: 1 enforcing, "
                                    "0 permissive, -1 disabled."),
                              gauge("node_selinux_current_mode", "Mode that SELinux has: 1 enforcing, 0 permissive.")};
constexpr auto kSelinuxAll = pointers(kSelinux);

double configured_mode(const Root& root) {
  double mode = -1;
  const Result<std::string> text = root.read("/etc/selinux/config");
  if (text.has_error()) return mode;
  each_line(*text, [&mode](std::string_view line) {
    std::string_view rest = trim(line);
    if (rest.starts_with('#') || trim(cut(rest, '=')) != "SELINUX") return;
    const std::string value = to_lower(trim(rest));
    mode = value == "enforcing" ? 1 : value == "permissive" ? 0 : -1;
  });
  return mode;
}

constexpr std::array<std::string_view, 1> kByMaster{"master"};
constexpr std::array kBond{gauge("node_bonding_slaves", "Devices that a bond has.", kByMaster),
                           gauge("node_bonding_active", "Devices of a bond that have a link.", kByMaster)};
constexpr auto kBondAll = pointers(kBond);

}  // namespace

Collector dmi_collector(const Root& root) {
  const auto state = std::make_shared<DmiState>();
  return {"dmi", kPlatformNoneKnown, [root, state](SampleBatch& batch) { return state->collect(root, batch); },
          "/sys/class/dmi/id", kQuick};
}

Collector edac_collector(const Root& root) {
  const auto collect = [root](SampleBatch& batch) -> Result<> {
    const Result<> done =
        each_folder(root, "/sys/devices/system/edac/mc", [&](const std::string& name, Folder& folder) {
          if (name.starts_with("mc") && parse_number<std::uint32_t>(std::string_view(name).substr(2)))
            add_controller(root, name, folder, batch);
        });
    // As there: a node without such controllers has no errors, and no failure.
    return done.has_error() && done.error().code == Code::not_found ? Result<>{} : done;
  };
  return {"edac", kEdacAll, collect, "/sys/devices/system/edac/mc", kQuick};
}

Collector selinux_collector(const Root& root) {
  const auto collect = [root](SampleBatch& batch) -> Result<> {
    const std::string enforce = root.attribute("/sys/fs/selinux/enforce");
    batch.add(kSelinux[0], enforce.empty() ? 0 : 1);
    if (enforce.empty()) return {};
    batch.add(kSelinux[1], configured_mode(root));
    batch.add(kSelinux[2], value_of(enforce).value_or(0));
    return {};
  };
  return {"selinux", kSelinuxAll, collect, "/sys/fs/selinux", kQuick};
}

Collector bonding_collector(const Root& root) {
  const auto collect = [root](SampleBatch& batch) -> Result<> {
    const Result<std::string> masters = root.read("/sys/class/net/bonding_masters");
    if (masters.has_error()) return masters.error();
    Words words(*masters);
    for (std::string_view master = words.next(); !master.empty(); master = words.next()) {
      const std::string path = fmt::format("/sys/class/net/{}", printable(master, 64));
      const std::string slaves = root.attribute(path + "/bonding/slaves");
      Words names(slaves);
      double all = 0, active = 0;
      for (std::string_view name = names.next(); !name.empty(); name = names.next()) {
        ++all;
        std::string status = root.attribute(fmt::format("{}/lower_{}/bonding_slave/mii_status", path, name));
        if (status.empty()) status = root.attribute(fmt::format("{}/slave_{}/bonding_slave/mii_status", path, name));
        if (status == "up") ++active;
      }
      batch.add(kBond[0], all, {master});
      batch.add(kBond[1], active, {master});
    }
    return {};
  };
  return {"bonding", kBondAll, collect, "/sys/class/net/bonding_masters", kQuick};
}

}  // namespace omnitide::discovery
