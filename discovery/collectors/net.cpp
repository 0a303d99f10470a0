// Network devices: attributes (netclass) and traffic (netdev), both from one dump of rtnetlink on the machine itself,
// from /sys/class/net in a fixture.
#include <fmt/format.h>

#include "discovery/collectors/collectors.hpp"
#include "discovery/collectors/families.hpp"
#include "discovery/collectors/filter.hpp"
#include "discovery/collectors/link_table.hpp"
#include "discovery/collectors/scan.hpp"

namespace omnitide::discovery {

namespace {

using model::MetricDescriptor;
using model::SampleBatch;

constexpr std::array<std::string_view, 6> kNetInfoLabels{"address", "broadcast", "device",
                                                         "duplex",  "ifalias",   "operstate"};
constexpr std::array kClass{
    gauge("node_network_up", "1 when a device is up and can carry traffic.", kByDevice),
    gauge("node_network_info", "What is known about a device; the value is 1.", kNetInfoLabels),
    gauge("node_network_speed_bytes", "Speed of a device, in bytes a second.", kByDevice),
    gauge("node_network_address_assign_type", "Where the address comes from (addr_assign_type).", kByDevice),
    gauge("node_network_carrier", "1 when there is a carrier.", kByDevice),
    counter("node_network_carrier_changes_total", "Times that the carrier came or went.", kByDevice),
    counter("node_network_carrier_up_changes_total", "Times that the carrier came.", kByDevice),
    counter("node_network_carrier_down_changes_total", "Times that the carrier went.", kByDevice),
    gauge("node_network_device_id", "Number of the device among those that share its address (dev_id).", kByDevice),
    gauge("node_network_dormant", "1 when a device waits for something, 802.1X for example.", kByDevice),
    gauge("node_network_flags", "Bits of the device's state (IFF_*).", kByDevice),
    gauge("node_network_iface_id", "Index of a device.", kByDevice),
    gauge("node_network_iface_link", "Index of the device below, its own when there is none.", kByDevice),
    gauge("node_network_iface_link_mode", "Link mode of a device (link_mode).", kByDevice),
    gauge("node_network_mtu_bytes", "The largest packet that a device carries.", kByDevice),
    gauge("node_network_name_assign_type", "Where the name comes from (name_assign_type).", kByDevice),
    gauge("node_network_net_dev_group", "Group of a device (netdev_group).", kByDevice),
    gauge("node_network_transmit_queue_length", "Packets that a device's queue may hold.", kByDevice),
    gauge("node_network_protocol_type", "Hardware type of a device (ARPHRD_*).", kByDevice)};
constexpr auto kClassAll = pointers(kClass);

constexpr std::array kTraffic{
    counter("node_network_receive_packets_total", "Packets that a device received.", kByDevice),
    counter("node_network_transmit_packets_total", "Packets that a device sent.", kByDevice),
    counter("node_network_receive_bytes_total", "Bytes that a device received.", kByDevice),
    counter("node_network_transmit_bytes_total", "Bytes that a device sent.", kByDevice),
    counter("node_network_receive_errs_total", "Packets with an error that came in.", kByDevice),
    counter("node_network_transmit_errs_total", "Packets that could not be sent.", kByDevice),
    counter("node_network_receive_drop_total", "Packets that came in and were dropped.", kByDevice),
    counter("node_network_transmit_drop_total", "Packets that were dropped instead of sent.", kByDevice),
    counter("node_network_receive_multicast_total", "Multicast packets that a device received.", kByDevice),
    counter("node_network_transmit_colls_total", "Collisions while sending.", kByDevice),
    counter("node_network_receive_frame_total", "Packets that came in with a bad length, frame or checksum.",
            kByDevice),
    counter("node_network_receive_fifo_total", "Packets lost since the device's buffer overran.", kByDevice),
    counter("node_network_transmit_carrier_total", "Packets that could not be sent since the carrier failed.",
            kByDevice),
    counter("node_network_transmit_fifo_total", "Packets lost since the device's buffer ran dry.", kByDevice),
    counter("node_network_receive_compressed_total", "Compressed packets that a device received.", kByDevice),
    counter("node_network_transmit_compressed_total", "Compressed packets that a device sent.", kByDevice),
    counter("node_network_receive_nohandler_total", "Packets that came in and nobody wanted.", kByDevice)};
constexpr auto kTrafficAll = pointers(kTraffic);

// The columns of /proc/net/dev, as the kernel sums them (net/core/net-procfs.c).
std::array<std::uint64_t, kTraffic.size()> traffic_of(const LinkStatistics& s) {
  return {s.rx_packets,
          s.tx_packets,
          s.rx_bytes,
          s.tx_bytes,
          s.rx_errors,
          s.tx_errors,
          s.rx_dropped + s.rx_missed_errors,
          s.tx_dropped,
          s.multicast,
          s.collisions,
          s.rx_length_errors + s.rx_over_errors + s.rx_crc_errors + s.rx_frame_errors,
          s.rx_fifo_errors,
          s.tx_carrier_errors + s.tx_aborted_errors + s.tx_window_errors + s.tx_heartbeat_errors,
          s.tx_fifo_errors,
          s.rx_compressed,
          s.tx_compressed,
          s.rx_nohandler};
}

void add_link(const LinkEntry& link, bool without_unknown_speed, SampleBatch& batch) {
  const std::string_view name = link.name;
  batch.add(kClass[0], link.operstate == "up" ? 1 : 0, {name});
  batch.add(kClass[1], 1, {link.address, link.broadcast, name, link.duplex, link.alias, link.operstate});
  // -1: not known. As there, a quotient of whole numbers would be 0.
  if (link.speed && (*link.speed >= 0 || !without_unknown_speed))
    batch.add(kClass[2], static_cast<double>(*link.speed) * 1000 * 1000 / 8, {name});
  const std::array<std::optional<std::int64_t>, 16> rest{link.address_assign_type,
                                                         link.carrier,
                                                         link.carrier_changes,
                                                         link.carrier_up,
                                                         link.carrier_down,
                                                         link.device_id,
                                                         link.dormant,
                                                         link.flags,
                                                         link.index,
                                                         link.link,
                                                         link.link_mode,
                                                         link.mtu,
                                                         link.name_assign_type,
                                                         link.group,
                                                         link.queue_length,
                                                         link.type};
  for (std::size_t i = 0; i < rest.size(); ++i)
    if (rest.at(i)) batch.add(kClass.at(i + 3), static_cast<double>(*rest.at(i)), {name});
}

}  // namespace

Collector netclass_collector(const Root&, const Settings& settings, std::shared_ptr<LinkTable> links) {
  const auto devices = std::make_shared<Filter>("", settings.value("netclass.ignored_devices"));
  const bool strict = settings.flag("netclass.ignore_invalid_speed");
  const auto collect = [links, devices, strict](SampleBatch& batch) -> Result<> {
    return links->with_attributes([&](const LinkEntry& link) {
      if (devices->accepts(link.name)) add_link(link, strict, batch);
    });
  };
  return {"netclass", kClassAll, collect, "rtnetlink, /sys/class/net", kQuick};
}

Collector netdev_collector(const Root&, const Settings& settings, std::shared_ptr<LinkTable> links) {
  const auto devices =
      std::make_shared<Filter>(settings.value("netdev.device_include"), settings.value("netdev.device_exclude"));
  const auto collect = [links, devices](SampleBatch& batch) -> Result<> {
    return links->with_statistics([&](const LinkEntry& link) {
      if (!devices->accepts(link.name)) return;
      const auto values = traffic_of(link.statistics);
      for (std::size_t i = 0; i < values.size(); ++i)
        batch.add(kTraffic.at(i), static_cast<double>(values.at(i)), {link.name});
    });
  };
  return {"netdev", kTrafficAll, collect, "rtnetlink", kQuick};
}

}  // namespace omnitide::discovery
