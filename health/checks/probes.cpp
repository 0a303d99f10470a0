#include "health/checks/probes.hpp"

#include <algorithm>
#include <array>

#include "agent/base/text.hpp"
#include "health/checks/disk_wear.hpp"

namespace omnitide::health {

namespace {

using model::MetricDescriptor;
using model::MetricType;
using model::SampleBatch;

constexpr std::chrono::milliseconds kQuick{500};
constexpr std::array<std::string_view, 1> kByDevice{"device"}, kByFamily{"family"}, kByCertificate{"certificate"};

constexpr std::array kFilesystemFamilies{MetricDescriptor{
    kFilesystemErrors, "", "Errors that a filesystem has recorded on its device.", MetricType::gauge, kByDevice}};
constexpr std::array kTaskFamilies{
    MetricDescriptor{kTasks, "", "Processes and threads of the node.", MetricType::gauge, {}},
    MetricDescriptor{kTasksLimit, "", "Processes and threads that the node may have.", MetricType::gauge, {}}};
constexpr std::array kRouteFamilies{
    MetricDescriptor{kDefaultRoutes, "", "Default routes by family of addresses.", MetricType::gauge, kByFamily},
    MetricDescriptor{kNameServers, "", "Name servers in /etc/resolv.conf.", MetricType::gauge, {}}};
constexpr std::array kDiskWearFamilies{
    MetricDescriptor{kDiskUsed, "", "How much of its rated life a disk has used.", MetricType::gauge, kByDevice},
    MetricDescriptor{kDiskSpare, "", "Spare blocks that an NVMe disk has left.", MetricType::gauge, kByDevice},
    MetricDescriptor{kDiskSpareThreshold, "", "Spare blocks below which the disk warns.", MetricType::gauge, kByDevice},
    MetricDescriptor{kDiskWarning, "", "Bits by which an NVMe disk warns.", MetricType::gauge, kByDevice},
    MetricDescriptor{kDiskFailing, "", "1 when an ATA disk itself expects to fail.", MetricType::gauge, kByDevice},
    MetricDescriptor{kDiskBadSectors, "", "Sectors that cannot be read.", MetricType::gauge, kByDevice}};
constexpr std::array kDaemonFamilies{
    MetricDescriptor{kCertificateSeconds, "seconds", "How long a certificate is still valid.", MetricType::gauge,
                     kByCertificate},
    MetricDescriptor{kCertificateLifetime, "seconds", "How long a certificate is valid in all.", MetricType::gauge,
                     kByCertificate},
    MetricDescriptor{kCertificateRenewal, "seconds", "How long a certificate is still valid when it is renewed.",
                     MetricType::gauge, kByCertificate},
    MetricDescriptor{kRegistrySilence, "seconds", "Time since the registry was heard last.", MetricType::gauge, {}},
    MetricDescriptor{
        kLoopLag, "seconds", "How late the agent's loop was at most since the last round.", MetricType::gauge, {}},
    MetricDescriptor{kAgentBytes, "bytes", "Resident memory of the agent.", MetricType::gauge, {}}};

template <std::size_t N>
constexpr std::array<const MetricDescriptor*, N> pointers(const std::array<MetricDescriptor, N>& families) {
  std::array<const MetricDescriptor*, N> out{};
  for (std::size_t i = 0; i < N; ++i)
    out[i] = &families[i];
  return out;
}
constexpr auto kFilesystemAll = pointers(kFilesystemFamilies);
constexpr auto kTaskAll = pointers(kTaskFamilies);
constexpr auto kRouteAll = pointers(kRouteFamilies);
constexpr auto kDiskWearAll = pointers(kDiskWearFamilies);

// Where no disk was asked there is no report, which is no failure.
Result<> add_disk_wear(const Root& root, SampleBatch& batch) {
  const Result<std::string> report = root.read(std::string(kDiskReport));
  if (report.has_error()) return report.error().code == Code::not_found ? Result<>() : Result<>(report.error());
  for (const std::string_view line : split(*report, '\n')) {
    const auto value = parse_disk_value(line);
    if (!value || value->device.empty()) continue;
    const auto family = std::ranges::find(kDiskWearFamilies, value->family, &MetricDescriptor::name);
    if (family != kDiskWearFamilies.end()) batch.add(*family, value->value, {value->device});
  }
  return {};
}

// /sys/fs/ext4/DEVICE/errors_count: kept in the superblock until fsck clears it.
Result<> add_filesystem_errors(const Root& root, SampleBatch& batch) {
  for (const std::string& device : root.names("/sys/fs/ext4")) {
    const auto errors = parse_number<std::uint64_t>(root.attribute("/sys/fs/ext4/" + device + "/errors_count"));
    if (errors) batch.add(kFilesystemFamilies[0], static_cast<double>(*errors), {device});
  }
  return {};
}

// The fourth word of /proc/loadavg is "RUNNABLE/ALL" tasks (fs/proc/loadavg.c).
Result<> add_tasks(const Root& root, SampleBatch& batch) {
  const std::string load = root.attribute("/proc/loadavg");
  const auto words = split_words(load);
  const std::size_t slash = words.size() > 3 ? words[3].find('/') : std::string_view::npos;
  const auto tasks =
      slash == std::string_view::npos ? std::nullopt : parse_number<std::uint64_t>(words[3].substr(slash + 1));
  const auto pids = parse_number<std::uint64_t>(root.attribute("/proc/sys/kernel/pid_max"));
  const auto threads = parse_number<std::uint64_t>(root.attribute("/proc/sys/kernel/threads-max"));
  if (!tasks || !pids || !threads) return fail(Code::data_loss, "/proc/loadavg or the kernel's limits are no numbers");
  batch.add(kTaskFamilies[0], static_cast<double>(*tasks));
  batch.add(kTaskFamilies[1], static_cast<double>(std::min(*pids, *threads)));
  return {};
}

std::uint64_t default_routes_4(std::string_view text) {
  // Iface Destination Gateway Flags RefCnt Use Metric Mask ...; flags: 1 is up, 0x200 a reject route.
  std::uint64_t out = 0;
  for (const std::string_view line : split(text, '\n')) {
    const auto words = split_words(line);
    if (words.size() < 8 || words[1] != "00000000" || words[7] != "00000000") continue;
    const auto flags = parse_number<std::uint32_t>(words[3], 16);
    if (flags && (*flags & 0x201U) == 1) ++out;
  }
  return out;
}

std::uint64_t default_routes_6(std::string_view text) {
  // DESTINATION LENGTH SOURCE LENGTH NEXTHOP METRIC REFS USE FLAGS DEVICE (net/ipv6/route.c); those of lo reject.
  constexpr std::string_view kZero = "00000000000000000000000000000000";
  std::uint64_t out = 0;
  for (const std::string_view line : split(text, '\n')) {
    const auto words = split_words(line);
    if (words.size() < 10 || words[0] != kZero || words[1] != "00" || words[9] == "lo") continue;
    const auto flags = parse_number<std::uint32_t>(words[8], 16);
    if (flags && (*flags & 0x201U) == 1) ++out;
  }
  return out;
}

Result<> add_routes(const Root& root, SampleBatch& batch) {
  constexpr std::size_t kLongest = std::size_t{4} << 20U;
  const Result<std::string> four = root.read("/proc/net/route", kLongest);
  if (four.has_error()) return four.error();
  batch.add(kRouteFamilies[0], static_cast<double>(default_routes_4(*four)), {"ipv4"});
  const Result<std::string> six = root.read("/proc/net/ipv6_route", kLongest);
  if (six.has_value()) batch.add(kRouteFamilies[0], static_cast<double>(default_routes_6(*six)), {"ipv6"});
  const Result<std::string> resolver = root.read("/etc/resolv.conf");
  if (resolver.has_error()) return {};
  std::uint64_t servers = 0;
  for (const std::string_view line : split(*resolver, '\n')) {
    const auto words = split_words(line);
    if (words.size() > 1 && words[0] == "nameserver") ++servers;
  }
  batch.add(kRouteFamilies[1], static_cast<double>(servers));
  return {};
}

}  // namespace

std::vector<model::Collector> probes(const Root& root) {
  return {
      {kFilesystemErrorsProbe, kFilesystemAll,
       [root](SampleBatch& batch) { return add_filesystem_errors(root, batch); }, "/sys/fs/ext4", kQuick},
      {kTasksProbe, kTaskAll, [root](SampleBatch& batch) { return add_tasks(root, batch); }, "/proc/loadavg", kQuick},
      {kRoutesProbe, kRouteAll, [root](SampleBatch& batch) { return add_routes(root, batch); }, "/proc/net/route",
       kQuick},
      {kDiskWearProbe, kDiskWearAll, [root](SampleBatch& batch) { return add_disk_wear(root, batch); }, kDiskReport,
       kQuick}};
}

const MetricDescriptor& daemon_family(std::string_view name) {
  return *std::ranges::find(kDaemonFamilies, name, &MetricDescriptor::name);
}

}  // namespace omnitide::health
