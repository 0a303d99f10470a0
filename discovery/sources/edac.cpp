// Memory controllers that detect errors: /sys/devices/system/edac/mc (Documentation/ABI/testing/sysfs-devices-edac).
#include <fmt/format.h>

#include <array>
#include <utility>

#include "discovery/sources/catalogue.hpp"
#include "discovery/sources/reader.hpp"

namespace omnitide::discovery {

namespace {

constexpr std::string_view kControllers = "/sys/devices/system/edac/mc";
constexpr std::size_t kMaxControllers = 256, kMaxRows = 64;

constexpr std::array<std::string_view, 1> kControllerLabel{"controller"};
constexpr std::array<std::string_view, 2> kRowLabels{"controller", "csrow"};
constexpr model::MetricDescriptor kCorrectable{.name = "node_edac_correctable_errors_total",
                                               .unit = "",
                                               .help = "Total correctable memory errors.",
                                               .type = model::MetricType::counter,
                                               .labels = kControllerLabel};
constexpr model::MetricDescriptor kUncorrectable{.name = "node_edac_uncorrectable_errors_total",
                                                 .unit = "",
                                                 .help = "Total uncorrectable memory errors.",
                                                 .type = model::MetricType::counter,
                                                 .labels = kControllerLabel};
constexpr model::MetricDescriptor kRowCorrectable{.name = "node_edac_csrow_correctable_errors_total",
                                                  .unit = "",
                                                  .help = "Total correctable memory errors for this csrow.",
                                                  .type = model::MetricType::counter,
                                                  .labels = kRowLabels};
constexpr model::MetricDescriptor kRowUncorrectable{.name = "node_edac_csrow_uncorrectable_errors_total",
                                                    .unit = "",
                                                    .help = "Total uncorrectable memory errors for this csrow.",
                                                    .type = model::MetricType::counter,
                                                    .labels = kRowLabels};

// "mc0" -> "0"; empty when the name is not `prefix` and a number.
std::string number_after(std::string_view name, std::string_view prefix) {
  if (!name.starts_with(prefix) || !parse_number<std::uint32_t>(name.substr(prefix.size()))) return {};
  return std::string(name.substr(prefix.size()));
}

void add_count(Reader& reader, const std::string& path, const model::MetricDescriptor& descriptor,
               std::vector<std::string> labels, std::vector<model::Sample>& samples) {
  const std::optional<std::uint64_t> count = reader.number<std::uint64_t>(path);
  if (count) samples.push_back({&descriptor, std::move(labels), static_cast<double>(*count)});
}

void read_controller(Reader& reader, const std::string& name, std::vector<model::EdacController>& controllers,
                     std::vector<model::Sample>& samples) {
  const std::string number = number_after(name, "mc");
  if (number.empty()) return;
  const std::string at = fmt::format("{}/{}", kControllers, name);
  const std::uint64_t mebibytes = reader.number<std::uint64_t>(at + "/size_mb").value_or(0);
  controllers.push_back({.name = name,
                         .type = reader.attribute(at + "/mc_name"),
                         .size_bytes = mebibytes < (std::uint64_t{1} << 43U) ? mebibytes << 20U : 0});
  add_count(reader, at + "/ce_count", kCorrectable, {number}, samples);
  add_count(reader, at + "/ue_count", kUncorrectable, {number}, samples);
  // node_exporter's form: errors that the controller cannot place carry the row "unknown".
  add_count(reader, at + "/ce_noinfo_count", kRowCorrectable, {number, "unknown"}, samples);
  add_count(reader, at + "/ue_noinfo_count", kRowUncorrectable, {number, "unknown"}, samples);
  std::size_t rows = 0;
  for (const std::string& entry : reader.names(at)) {
    const std::string row = number_after(entry, "csrow");
    if (row.empty() || ++rows > kMaxRows) continue;
    add_count(reader, at + "/" + entry + "/ce_count", kRowCorrectable, {number, row}, samples);
    add_count(reader, at + "/" + entry + "/ue_count", kRowUncorrectable, {number, row}, samples);
  }
}

Result<Report> read_edac(const Root& root) {
  Reader reader(root);
  Report report;
  std::vector<model::EdacController> controllers;
  for (const std::string& name : reader.names(std::string(kControllers))) {
    if (controllers.size() >= kMaxControllers) break;
    read_controller(reader, name, controllers, report.samples);
  }
  report.patch = [controllers = std::move(controllers)](model::NodeFacts& node) { node.memory.edac = controllers; };
  report.problems = std::move(reader).take_problems();
  return report;
}

}  // namespace

Source edac_source() {
  return {.name = "edac",
          .deadline = std::chrono::milliseconds{1000},
          .subsystems = {"edac"},
          .on_rtnetlink = false,
          .on_mounts = false,
          .read = read_edac};
}

}  // namespace omnitide::discovery
