// Ports of fabrics: InfiniBand and Fibre Channel.
#include <fmt/format.h>

#include "discovery/collectors/collectors.hpp"
#include "discovery/collectors/families.hpp"
#include "discovery/collectors/scan.hpp"
#include "discovery/collectors/sysfs_class.hpp"

namespace omnitide::discovery {

namespace {

using model::MetricDescriptor;
using model::SampleBatch;

constexpr std::array<std::string_view, 2> kByPort{"device", "port"};
constexpr std::array<std::string_view, 4> kHcaLabels{"board_id", "device", "firmware_version", "hca_type"};
constexpr std::array kHca{
    gauge("node_infiniband_info", "What an InfiniBand adapter says of itself; the value is 1.", kHcaLabels),
    gauge("node_infiniband_state_id", "State of a port: 1 down, 2 init, 3 armed, 4 active, 5 deferred.", kByPort),
    gauge("node_infiniband_physical_state_id", "State of a port's link: 3 disabled, 5 up, 6 recovering, ...", kByPort),
    gauge("node_infiniband_rate_bytes_per_second", "The highest rate of a port.", kByPort)};
constexpr std::array kPort{
    counter("node_infiniband_legacy_multicast_packets_received_total", "Multicast packets in (counters_ext).", kByPort),
    counter("node_infiniband_legacy_multicast_packets_transmitted_total", "Multicast packets out (counters_ext).",
            kByPort),
    counter("node_infiniband_legacy_data_received_bytes_total", "Bytes in (counters_ext).", kByPort),
    counter("node_infiniband_legacy_packets_received_total", "Packets in (counters_ext).", kByPort),
    counter("node_infiniband_legacy_unicast_packets_received_total", "Unicast packets in (counters_ext).", kByPort),
    counter("node_infiniband_legacy_unicast_packets_transmitted_total", "Unicast packets out (counters_ext).", kByPort),
    counter("node_infiniband_legacy_data_transmitted_bytes_total", "Bytes out (counters_ext).", kByPort),
    counter("node_infiniband_legacy_packets_transmitted_total", "Packets out (counters_ext).", kByPort),
    counter("node_infiniband_excessive_buffer_overrun_errors_total", "Times that buffers overran too long.", kByPort),
    counter("node_infiniband_link_downed_total", "Times that the link went down for good.", kByPort),
    counter("node_infiniband_link_error_recovery_total", "Times that the link recovered from an error.", kByPort),
    counter("node_infiniband_local_link_integrity_errors_total", "Times that the link had too many errors.", kByPort),
    counter("node_infiniband_multicast_packets_received_total", "Multicast packets in, with those in error.", kByPort),
    counter("node_infiniband_multicast_packets_transmitted_total", "Multicast packets out, with those in error.",
            kByPort),
    counter("node_infiniband_port_constraint_errors_received_total", "Packets in that a switch discarded.", kByPort),
    counter("node_infiniband_port_constraint_errors_transmitted_total", "Packets that a switch did not send.", kByPort),
    counter("node_infiniband_port_data_received_bytes_total", "Bytes in.", kByPort),
    counter("node_infiniband_port_data_transmitted_bytes_total", "Bytes out.", kByPort),
    counter("node_infiniband_port_discards_received_total", "Packets in that were discarded.", kByPort),
    counter("node_infiniband_port_discards_transmitted_total", "Packets out that were discarded.", kByPort),
    counter("node_infiniband_port_errors_received_total", "Packets in with an error.", kByPort),
    counter("node_infiniband_port_packets_received_total", "Packets in, with those in error.", kByPort),
    counter("node_infiniband_port_packets_transmitted_total", "Packets out, with those in error.", kByPort),
    counter("node_infiniband_port_receive_remote_physical_errors_total", "Packets in that were marked bad.", kByPort),
    counter("node_infiniband_port_receive_switch_relay_errors_total", "Packets that a switch could not pass on.",
            kByPort),
    counter("node_infiniband_port_transmit_wait_total", "Ticks during which data waited to be sent.", kByPort),
    counter("node_infiniband_symbol_error_total", "Errors of symbols on the link.", kByPort),
    counter("node_infiniband_unicast_packets_received_total", "Unicast packets in, with those in error.", kByPort),
    counter("node_infiniband_unicast_packets_transmitted_total", "Unicast packets out, with those in error.", kByPort),
    counter("node_infiniband_vl15_dropped_total", "Management packets dropped for want of room.", kByPort)};
constexpr auto kInfinibandAll = pointers(kHca, kPort);
// Data is counted by the lane, of which a port has four.
constexpr std::array<Attribute, kPort.size()> kPortFiles{{{"port_multicast_rcv_packets"},
                                                          {"port_multicast_xmit_packets"},
                                                          {"port_rcv_data_64", 4},
                                                          {"port_rcv_packets_64"},
                                                          {"port_unicast_rcv_packets"},
                                                          {"port_unicast_xmit_packets"},
                                                          {"port_xmit_data_64", 4},
                                                          {"port_xmit_packets_64"},
                                                          {"excessive_buffer_overrun_errors"},
                                                          {"link_downed"},
                                                          {"link_error_recovery"},
                                                          {"local_link_integrity_errors"},
                                                          {"multicast_rcv_packets"},
                                                          {"multicast_xmit_packets"},
                                                          {"port_rcv_constraint_errors"},
                                                          {"port_xmit_constraint_errors"},
                                                          {"port_rcv_data", 4},
                                                          {"port_xmit_data", 4},
                                                          {"port_rcv_discards"},
                                                          {"port_xmit_discards"},
                                                          {"port_rcv_errors"},
                                                          {"port_rcv_packets"},
                                                          {"port_xmit_packets"},
                                                          {"port_rcv_remote_physical_errors"},
                                                          {"port_rcv_switch_relay_errors"},
                                                          {"port_xmit_wait"},
                                                          {"symbol_error"},
                                                          {"unicast_rcv_packets"},
                                                          {"unicast_xmit_packets"},
                                                          {"VL15_dropped"}}};
constexpr std::size_t kLegacyFiles = 8;  // the first, in counters_ext

// "4: ACTIVE" -> 4
std::optional<double> state_of(Folder& folder, const char* name) {
  std::optional<std::string_view> text = folder.text(name);
  return text ? value_of(trim(cut(*text, ':'))) : std::nullopt;
}

void add_port(const Root& root, const std::string& path, std::string_view device, const std::string& port,
              Folder& folder, SampleBatch& batch) {
  if (const auto state = state_of(folder, "state")) batch.add(kHca[1], *state, {device, port});
  if (const auto state = state_of(folder, "phys_state")) batch.add(kHca[2], *state, {device, port});
  // "100 Gb/sec (4X EDR)"
  if (const auto rate = folder.text("rate")) {
    if (const auto gigabits = value_of(Words(*rate).next()))
      batch.add(kHca[3], *gigabits * 125'000'000, {device, port});
  }
  Result<Folder> counters = Folder::open(root, path + "/counters");
  Result<Folder> legacy = Folder::open(root, path + "/counters_ext");
  for (std::size_t i = 0; i < kPort.size(); ++i) {
    Result<Folder>& from = i < kLegacyFiles ? legacy : counters;
    if (from.has_error()) continue;
    const auto value = from->number(kPortFiles.at(i).file);  // "N/A (no PMA)" is none
    if (value) batch.add(kPort.at(i), *value * kPortFiles.at(i).scale, {device, port});
  }
}

constexpr std::array<std::string_view, 1> kByHost{"fc_host"};
constexpr std::array<std::string_view, 11> kHostLabels{
    "dev_loss_tmo", "fabric_name", "fc_host",           "port_id",          "port_name",    "port_state",
    "port_type",    "speed",       "supported_classes", "supported_speeds", "symbolic_name"};
constexpr std::array kHostInfo{
    gauge("node_fibrechannel_info", "What a Fibre Channel port says of itself; the value is 1.", kHostLabels)};
constexpr std::array kHost{
    counter("node_fibrechannel_dumped_frames_total", "Frames lost since the host had no room.", kByHost),
    counter("node_fibrechannel_error_frames_total", "Frames with an error.", kByHost),
    counter("node_fibrechannel_invalid_crc_total", "Frames with a wrong checksum.", kByHost),
    counter("node_fibrechannel_rx_frames_total", "Frames in.", kByHost),
    counter("node_fibrechannel_rx_words_total", "Words of 4 bytes in.", kByHost),
    counter("node_fibrechannel_tx_frames_total", "Frames out.", kByHost),
    counter("node_fibrechannel_tx_words_total", "Words of 4 bytes out.", kByHost),
    counter("node_fibrechannel_seconds_since_last_reset_total", "Seconds since these counters began.", kByHost),
    counter("node_fibrechannel_invalid_tx_words_total", "Words out that were not valid.", kByHost),
    counter("node_fibrechannel_link_failure_total", "Times that the link failed.", kByHost),
    counter("node_fibrechannel_loss_of_sync_total", "Times that the link lost its step.", kByHost),
    counter("node_fibrechannel_loss_of_signal_total", "Times that the link lost its signal.", kByHost),
    counter("node_fibrechannel_nos_total", "Not-operational sequences in.", kByHost),
    counter("node_fibrechannel_fcp_packet_aborts_total", "Commands that were given up.", kByHost)};
constexpr auto kHostAll = pointers(kHostInfo, kHost);
constexpr std::array<const char*, kHost.size()> kHostFiles{"dumped_frames",
                                                           "error_frames",
                                                           "invalid_crc_count",
                                                           "rx_frames",
                                                           "rx_words",
                                                           "tx_frames",
                                                           "tx_words",
                                                           "seconds_since_last_reset",
                                                           "invalid_tx_word_count",
                                                           "link_failure_count",
                                                           "loss_of_sync_count",
                                                           "loss_of_signal_count",
                                                           "nos_count",
                                                           "fcp_packet_aborts"};

void add_host(const Root& root, const std::string& name, Folder& folder, SampleBatch& batch) {
  // Names are numbers of 64 bits: shown without the 0x in front.
  const auto bare = [&folder](const char* file) {
    std::string text = folder.label(file);
    return text.starts_with("0x") ? text.substr(2) : text;
  };
  std::array<std::string, 11> values{folder.label("dev_loss_tmo"),
                                     bare("fabric_name"),
                                     name,
                                     bare("port_id"),
                                     bare("port_name"),
                                     folder.label("port_state"),
                                     folder.label("port_type"),
                                     folder.label("speed"),
                                     folder.label("supported_classes"),
                                     folder.label("supported_speeds"),
                                     folder.label("symbolic_name")};
  const std::vector<std::string_view> labels(values.begin(), values.end());
  batch.add(kHostInfo[0], 1, labels);
  Result<Folder> statistics = Folder::open(root, fmt::format("/sys/class/fc_host/{}/statistics", name));
  if (statistics.has_error()) return;
  for (std::size_t i = 0; i < kHost.size(); ++i) {
    const auto text = statistics->text(kHostFiles.at(i));
    const auto value = text ? parse_number<std::uint64_t>(*text, 16) : std::nullopt;
    // All bits set: the adapter does not count this.
    if (value && *value != UINT64_MAX) batch.add(kHost.at(i), static_cast<double>(*value), {name});
  }
}

}  // namespace

Collector infiniband_collector(const Root& root) {
  const auto collect = [root](SampleBatch& batch) -> Result<> {
    const std::string path = "/sys/class/infiniband";
    return each_folder(root, path, [&](const std::string& device, Folder& folder) {
      const std::string board = folder.label("board_id"), firmware = folder.label("fw_ver"),
                        type = folder.label("hca_type");
      batch.add(kHca[0], 1, {board, device, firmware, type});
      const std::string ports = fmt::format("{}/{}/ports", path, device);
      (void)each_folder(root, ports, [&](const std::string& port, Folder& port_folder) {
        add_port(root, fmt::format("{}/{}", ports, port), device, port, port_folder, batch);
      });
    });
  };
  return {"infiniband", kInfinibandAll, collect, "/sys/class/infiniband", kPatient, true};
}

Collector fibrechannel_collector(const Root& root) {
  const auto collect = [root](SampleBatch& batch) -> Result<> {
    return each_folder(root, "/sys/class/fc_host",
                       [&](const std::string& name, Folder& folder) { add_host(root, name, folder, batch); });
  };
  return {"fibrechannel", kHostAll, collect, "/sys/class/fc_host", kPatient, true};
}

}  // namespace omnitide::discovery
