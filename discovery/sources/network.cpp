// Network interfaces. On the machine: one rtnetlink dump of links and one of addresses, ethtool, and /sys/class/net for
// what stands behind a link. Under another root: /sys/class/net and /proc/net/vlan alone.
#include <fmt/format.h>
#include <linux/if_arp.h>

#include <algorithm>
#include <array>
#include <map>

#include "agent/base/text.hpp"
#include "discovery/sources/catalogue.hpp"
#include "discovery/sources/ethtool.hpp"
#include "discovery/sources/reader.hpp"
#include "discovery/sources/rtnetlink.hpp"
#include "discovery/sources/sysfs.hpp"

namespace omnitide::discovery {

namespace {

using model::NetworkInterface;
using Interfaces = std::vector<NetworkInterface>;

constexpr std::size_t kMaxInterfaces = 4096;
constexpr std::uint64_t kBitsPerMegabit = 1'000'000;

std::string class_folder(const std::string& name) { return fmt::format("/sys/class/net/{}", name); }

// The folder of the device that the interface belongs to; empty for virtual ones.
std::string parent_device(const Root& root, const std::string& name) {
  const std::string link = device_path(root.link_target(class_folder(name)));
  if (link.empty() || link.starts_with("/sys/devices/virtual/")) return {};
  return std::string(parent_path(parent_path(link)));  // PARENT/net/eth0
}

// The kernel answers EINVAL while a link is down and -1 when the driver does not know.
void read_speed(const Root& root, const std::string& folder, NetworkInterface& out) {
  if (const auto megabits = parse_number<std::uint32_t>(root.attribute(folder + "/speed"));
      megabits && *megabits > 0 && *megabits != UINT32_MAX)
    out.speed_bits_per_second = *megabits * kBitsPerMegabit;
  const std::string duplex = root.attribute(folder + "/duplex");
  if (duplex == "full" || duplex == "half") out.duplex = duplex;
}

void read_parent(Reader& reader, const std::string& parent, NetworkInterface& out) {
  if (parent.empty()) return;
  out.bus_address = bus_address(parent);
  out.driver = device_text(reader.root().link_name(parent + "/driver"));
  const std::string_view function = pci_ancestor(parent);
  out.numa_node = numa_node(reader, function);
  if (function != parent) return;  // a virtio or USB device has no virtual functions
  out.sriov_total = reader.number<std::uint32_t>(parent + "/sriov_totalvfs");
  if (out.sriov_total) out.sriov_current = reader.number<std::uint32_t>(parent + "/sriov_numvfs");
}

// ---- the machine ----

struct Context {
  Reader& reader;
  Ethtool* ethtool = nullptr;  // null where there is none
  const std::map<std::uint32_t, std::uint64_t>* xdp = nullptr;
  std::map<std::uint32_t, std::string> names;                   // by index
  std::map<std::uint32_t, std::vector<std::string>> ports;      // by index of the master
  std::map<std::uint32_t, std::vector<std::string>> addresses;  // by index
};

// sysfs shows the network namespace of whoever mounted it, which need not be ours.
bool sysfs_shows(Reader& reader, const Link& link) {
  const std::string uevent = reader.file(class_folder(link.name) + "/uevent").value_or("");
  return parse_number<std::uint32_t>(property(uevent, "IFINDEX")) == link.index;
}

std::string index_name(const Context& context, std::uint32_t index) {
  const auto found = context.names.find(index);
  return found == context.names.end() ? fmt::format("if{}", index) : found->second;
}

void read_features(const Context& context, const Link& link, NetworkInterface& out) {
  if (context.ethtool != nullptr) {
    out.offloads = context.ethtool->offloads(link.name);
    Ethtool::Driver driver = context.ethtool->driver(link.name);
    if (out.driver.empty()) out.driver = std::move(driver.name);
    out.driver_version = std::move(driver.version);
    if (driver.firmware != "N/A") out.firmware_version = std::move(driver.firmware);
    Ethtool::Settings settings = context.ethtool->settings(link.name);
    out.speed_bits_per_second = settings.bits_per_second;
    out.duplex = std::move(settings.duplex);
    out.auto_negotiation = settings.auto_negotiation;
  }
  if (context.xdp != nullptr) {
    const auto found = context.xdp->find(link.index);
    if (found != context.xdp->end()) out.xdp_features = xdp_feature_names(found->second);
  } else if (link.xdp_attached == "native" || link.xdp_attached == "generic") {
    out.xdp_features = {link.xdp_attached};  // what runs now is what this kernel lets us know
  }
}

std::string kind_of(const Link& link, const std::string& parent) {
  if (!link.kind.empty()) return printable(link.kind, 64);
  if (link.loopback) return "loopback";
  return parent.empty() && link.parent_device.empty() ? "virtual" : "physical";
}

NetworkInterface read_link(const Context& context, const Link& link) {
  NetworkInterface out;
  out.name = printable(link.name, 64);
  out.index = link.index;
  out.mac = link.mac;
  out.permanent_mac = link.permanent_mac;
  out.mtu = link.mtu;
  out.flags = link.flags;
  out.state = link.state;
  out.carrier = link.carrier;
  out.rx_queues = link.rx_queues;
  out.tx_queues = link.tx_queues;
  out.vlan_id = link.vlan_id;
  if (link.master != 0) out.master = index_name(context, link.master);
  if (const auto ports = context.ports.find(link.index); ports != context.ports.end()) out.stands_on = ports->second;
  if (link.lower != 0 && link.lower != link.index)
    out.stands_on.push_back(link.lower_elsewhere ? fmt::format("if{}", link.lower) : index_name(context, link.lower));
  if (const auto own = context.addresses.find(link.index); own != context.addresses.end()) out.addresses = own->second;
  std::string parent;
  if (!link.loopback) {
    const bool has_device = link.kind.empty() || !link.parent_device.empty();
    if (has_device && sysfs_shows(context.reader, link)) parent = parent_device(context.reader.root(), link.name);
    read_parent(context.reader, parent, out);
    read_features(context, link, out);
  }
  if (out.bus_address.empty() && !link.parent_device.empty() && link.parent_bus != "virtio")
    out.bus_address = printable(link.parent_device, 64);
  out.kind = kind_of(link, parent);
  std::sort(out.stands_on.begin(), out.stands_on.end());
  return out;
}

void read_machine(Reader& reader, RtnetlinkDump& dump, Interfaces& out) {
  if (dump.left_out > 0) reader.problem(fmt::format("{} links or addresses were left out", dump.left_out));
  Result<Ethtool> ethtool = Ethtool::open();
  if (ethtool.has_error()) reader.problem(ethtool.error().text());
  const auto xdp = dump_xdp_features();
  if (xdp.has_error() && xdp.error().code != Code::not_found)
    reader.problem(Error(xdp.error()).within("XDP features").text());
  Context context{reader, ethtool.has_value() ? &*ethtool : nullptr, xdp.has_value() ? &*xdp : nullptr, {}, {}, {}};
  std::sort(dump.links.begin(), dump.links.end(), [](const Link& a, const Link& b) { return a.index < b.index; });
  for (const Link& link : dump.links) {
    context.names.emplace(link.index, printable(link.name, 64));
    if (link.master != 0) context.ports[link.master].push_back(printable(link.name, 64));
  }
  for (Address& address : dump.addresses)
    context.addresses[address.index].push_back(std::move(address.text));
  for (auto& [index, addresses] : context.addresses)
    std::sort(addresses.begin(), addresses.end());
  for (const Link& link : dump.links)
    out.push_back(read_link(context, link));
}

// ---- another root ----

std::size_t count_queues(const std::vector<std::string>& queues, std::string_view prefix) {
  return static_cast<std::size_t>(std::count_if(
      queues.begin(), queues.end(), [prefix](const std::string& name) { return name.starts_with(prefix); }));
}

std::string sysfs_kind(Reader& reader, const std::vector<std::string>& entries, const std::string& uevent,
                       const std::string& folder, const NetworkInterface& interface) {
  const auto has = [&entries](std::string_view entry) {
    return std::binary_search(entries.begin(), entries.end(), entry);
  };
  if (reader.number<std::uint32_t>(folder + "/type").value_or(0) == ARPHRD_LOOPBACK) return "loopback";
  if (has("device")) return "physical";
  if (const std::string_view type = property(uevent, "DEVTYPE"); !type.empty()) return printable(type, 64);
  if (has("bridge")) return "bridge";
  if (has("bonding")) return "bond";
  if (has("tun_flags")) return "tun";
  // Drivers of virtual links have no type in sysfs. A veth is the one that stands on another link.
  const auto peer = reader.number<std::uint32_t>(folder + "/iflink");
  return peer && *peer != interface.index ? "veth" : "virtual";
}

std::optional<std::uint32_t> proc_vlan_id(Reader& reader, const std::string& name) {
  const std::string text = reader.file(fmt::format("/proc/net/vlan/{}", name)).value_or("");
  const std::size_t at = text.find("VID: ");
  if (at == std::string::npos) return std::nullopt;
  const std::vector<std::string_view> words = split_words(std::string_view(text).substr(at + 5, 16));
  return words.empty() ? std::nullopt : parse_number<std::uint32_t>(words[0]);
}

NetworkInterface read_sysfs_interface(Reader& reader, const std::string& name) {
  const std::string folder = class_folder(name);
  const std::vector<std::string> entries = reader.names(folder);
  const std::string uevent = reader.file(folder + "/uevent").value_or("");
  NetworkInterface out;
  out.name = printable(name, 64);
  out.index = reader.number<std::uint32_t>(folder + "/ifindex").value_or(0);
  out.kind = sysfs_kind(reader, entries, uevent, folder, out);
  out.mac = device_text(reader.attribute(folder + "/address"));
  out.permanent_mac = device_text(reader.attribute(folder + "/bonding_slave/perm_hwaddr"));
  out.mtu = reader.number<std::uint32_t>(folder + "/mtu").value_or(0);
  out.state = device_text(reader.attribute(folder + "/operstate"));
  if (const std::string carrier = reader.root().attribute(folder + "/carrier"); !carrier.empty())
    out.carrier = carrier == "1";
  const std::vector<std::string> queues = reader.names(folder + "/queues");
  out.rx_queues = static_cast<std::uint32_t>(count_queues(queues, "rx-"));
  out.tx_queues = static_cast<std::uint32_t>(count_queues(queues, "tx-"));
  out.master = device_text(reader.root().link_name(folder + "/master"));
  for (const std::string& entry : entries) {
    if (entry.starts_with("lower_")) out.stands_on.push_back(printable(entry.substr(6), 64));
  }
  if (out.kind == "vlan") out.vlan_id = proc_vlan_id(reader, name);
  if (out.kind != "loopback") {
    read_speed(reader.root(), folder, out);
    read_parent(reader, parent_device(reader.root(), name), out);
  }
  return out;
}

Result<> read_sysfs(Reader& reader, Interfaces& out) {
  const Result<std::vector<std::string>> names = reader.root().list("/sys/class/net");
  if (names.has_error() && names.error().code != Code::not_found) return names.error();
  if (names.has_error()) return {};
  for (const std::string& name : *names) {
    if (!reader.root().exists(class_folder(name) + "/ifindex")) continue;  // bonding_masters is a file
    if (out.size() >= kMaxInterfaces) {
      reader.problem(fmt::format("more than {} interfaces, leaving the rest out", kMaxInterfaces));
      break;
    }
    out.push_back(read_sysfs_interface(reader, name));
  }
  const auto by_index = [](const auto& a, const auto& b) { return a.index < b.index; };
  std::stable_sort(out.begin(), out.end(), by_index);
  return {};
}

Result<Report> read_network(const Root& root) {
  Reader reader(root);
  Interfaces interfaces;
  bool whole = false;
  if (root.is_machine()) {
    Result<RtnetlinkDump> dump = dump_rtnetlink();
    whole = dump.has_value();
    if (whole) read_machine(reader, *dump, interfaces);
    if (dump.has_error()) reader.problem(fmt::format("{}, using sysfs alone", dump.error().text()));
  }
  if (!whole) {
    if (Result<> read = read_sysfs(reader, interfaces); read.has_error()) return read.error();
  }
  Report report;
  report.problems = std::move(reader).take_problems();
  report.patch = [interfaces = std::move(interfaces)](model::NodeFacts& facts) { facts.network = interfaces; };
  return report;
}

}  // namespace

Source network_source() {
  Source source;
  source.name = "network";
  source.subsystems = {"net"};
  source.on_rtnetlink = true;
  source.read = read_network;
  return source;
}

}  // namespace omnitide::discovery
