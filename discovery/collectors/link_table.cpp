#include "discovery/collectors/link_table.hpp"

#include <fmt/format.h>
#include <linux/if.h>
#include <linux/rtnetlink.h>

#include <algorithm>
#include <array>

#include "agent/base/text.hpp"
#include "discovery/collectors/collectors.hpp"
#include "discovery/collectors/kept_file.hpp"

namespace omnitide::discovery {

namespace {

constexpr std::size_t kMaxLinks = 16384;
// Of include/uapi/linux/if_link.h, newer than the oldest headers that this is built with.
constexpr std::uint16_t kAllMulti = 61;  // IFLA_ALLMULTI, since Linux 6.0

void set_address(std::string& out, std::string_view bytes) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  out.clear();
  for (const char byte : bytes) {
    if (!out.empty()) out += ':';
    out += kDigits[static_cast<unsigned char>(byte) >> 4U];
    out += kDigits[static_cast<unsigned char>(byte) & 15U];
  }
}

template <class T>
std::optional<std::int64_t> whole(std::string_view payload) {
  const std::optional<T> value = netlink_value<T>(payload);
  return value ? std::optional<std::int64_t>(*value) : std::nullopt;
}

// Decimal, or hexadecimal with 0x.
std::optional<std::int64_t> attribute(Folder& folder, const char* name) {
  const std::optional<std::string_view> text = folder.text(name);
  if (!text) return std::nullopt;
  return parse_number<std::int64_t>(*text, text->starts_with("0x") ? 16 : 10);
}

struct Counter {
  const char* name;
  __u64 LinkStatistics::*member;
};
constexpr std::array<Counter, 24> kCounters{{{"rx_packets", &LinkStatistics::rx_packets},
                                             {"tx_packets", &LinkStatistics::tx_packets},
                                             {"rx_bytes", &LinkStatistics::rx_bytes},
                                             {"tx_bytes", &LinkStatistics::tx_bytes},
                                             {"rx_errors", &LinkStatistics::rx_errors},
                                             {"tx_errors", &LinkStatistics::tx_errors},
                                             {"rx_dropped", &LinkStatistics::rx_dropped},
                                             {"tx_dropped", &LinkStatistics::tx_dropped},
                                             {"multicast", &LinkStatistics::multicast},
                                             {"collisions", &LinkStatistics::collisions},
                                             {"rx_length_errors", &LinkStatistics::rx_length_errors},
                                             {"rx_over_errors", &LinkStatistics::rx_over_errors},
                                             {"rx_crc_errors", &LinkStatistics::rx_crc_errors},
                                             {"rx_frame_errors", &LinkStatistics::rx_frame_errors},
                                             {"rx_fifo_errors", &LinkStatistics::rx_fifo_errors},
                                             {"rx_missed_errors", &LinkStatistics::rx_missed_errors},
                                             {"tx_aborted_errors", &LinkStatistics::tx_aborted_errors},
                                             {"tx_carrier_errors", &LinkStatistics::tx_carrier_errors},
                                             {"tx_fifo_errors", &LinkStatistics::tx_fifo_errors},
                                             {"tx_heartbeat_errors", &LinkStatistics::tx_heartbeat_errors},
                                             {"tx_window_errors", &LinkStatistics::tx_window_errors},
                                             {"rx_compressed", &LinkStatistics::rx_compressed},
                                             {"tx_compressed", &LinkStatistics::tx_compressed},
                                             {"rx_nohandler", &LinkStatistics::rx_nohandler}}};

void read_entry(Folder& folder, LinkEntry& out) {
  out.address = folder.label("address");
  out.broadcast = folder.label("broadcast");
  out.duplex = folder.label("duplex");
  out.alias = folder.label("ifalias");
  out.operstate = folder.label("operstate");
  out.index = attribute(folder, "ifindex").value_or(0);
  out.link = attribute(folder, "iflink");
  out.flags = attribute(folder, "flags");
  out.mtu = attribute(folder, "mtu");
  out.type = attribute(folder, "type");
  out.group = attribute(folder, "netdev_group");
  out.queue_length = attribute(folder, "tx_queue_len");
  out.link_mode = attribute(folder, "link_mode");
  out.carrier = attribute(folder, "carrier");
  out.dormant = attribute(folder, "dormant");
  out.carrier_changes = attribute(folder, "carrier_changes");
  out.carrier_up = attribute(folder, "carrier_up_count");
  out.carrier_down = attribute(folder, "carrier_down_count");
  out.address_assign_type = attribute(folder, "addr_assign_type");
  out.name_assign_type = attribute(folder, "name_assign_type");
  out.device_id = attribute(folder, "dev_id");
  out.speed = attribute(folder, "speed");
}

}  // namespace

bool parse_link_entry(std::string_view payload, LinkEntry& out) {
  const std::optional<ifinfomsg> head = netlink_value<ifinfomsg>(payload);
  if (!head) return false;
  out.index = head->ifi_index;
  out.link = head->ifi_index;  // IFLA_LINK is there only when it is another one
  out.type = head->ifi_type;
  const bool up = (head->ifi_flags & IFF_UP) != 0;
  if (up) out.dormant = (head->ifi_flags & IFF_DORMANT) != 0 ? 1 : 0;
  // sysfs shows the bits as the kernel keeps them: without what is computed for the asking.
  std::uint32_t flags = head->ifi_flags & ~static_cast<std::uint32_t>(IFF_RUNNING | IFF_LOWER_UP | IFF_DORMANT);
  const auto set_flag = [&flags](std::uint32_t bit, bool on) { flags = on ? flags | bit : flags & ~bit; };
  NetlinkAttributes attributes(payload.substr(NLMSG_ALIGN(sizeof(ifinfomsg))));
  while (const std::optional<NetlinkAttribute> each = attributes.next()) {
    switch (each->type) {
      case IFLA_IFNAME: out.name = netlink_text(each->payload); break;
      case IFLA_ADDRESS: set_address(out.address, each->payload); break;
      case IFLA_BROADCAST: set_address(out.broadcast, each->payload); break;
      case IFLA_IFALIAS: out.alias = valid_utf8(netlink_text(each->payload)); break;
      case IFLA_LINK: out.link = whole<std::uint32_t>(each->payload); break;
      case IFLA_MTU: out.mtu = whole<std::uint32_t>(each->payload); break;
      case IFLA_GROUP: out.group = whole<std::uint32_t>(each->payload); break;
      case IFLA_TXQLEN: out.queue_length = whole<std::uint32_t>(each->payload); break;
      case IFLA_LINKMODE: out.link_mode = whole<std::uint8_t>(each->payload); break;
      case IFLA_OPERSTATE:
        out.operstate = operstate_name(netlink_value<std::uint8_t>(each->payload).value_or(0));
        break;
      case IFLA_CARRIER:
        if (up) out.carrier = whole<std::uint8_t>(each->payload);
        break;
      case IFLA_CARRIER_CHANGES: out.carrier_changes = whole<std::uint32_t>(each->payload); break;
      case IFLA_CARRIER_UP_COUNT: out.carrier_up = whole<std::uint32_t>(each->payload); break;
      case IFLA_CARRIER_DOWN_COUNT: out.carrier_down = whole<std::uint32_t>(each->payload); break;
      case IFLA_PROMISCUITY: set_flag(IFF_PROMISC, netlink_value<std::uint32_t>(each->payload).value_or(0) > 0); break;
      case kAllMulti: set_flag(IFF_ALLMULTI, netlink_value<std::uint32_t>(each->payload).value_or(0) > 0); break;
      case IFLA_STATS64:
        // Older kernels give fewer counters; the rest stays 0.
        std::memcpy(&out.statistics, each->payload.data(), std::min(each->payload.size(), sizeof out.statistics));
        break;
      default: break;
    }
  }
  out.flags = flags;
  return !attributes.malformed() && !out.name.empty();
}

LinkEntry& LinkTable::fresh() {
  if (count_ == links_.size()) links_.emplace_back();
  LinkEntry& out = links_[count_++];
  const auto cleared = [](std::string& text) -> std::string&& {
    text.clear();
    return std::move(text);
  };
  // The strings keep their memory.
  LinkEntry next;
  next.name = cleared(out.name);
  next.address = cleared(out.address);
  next.broadcast = cleared(out.broadcast);
  next.operstate = cleared(out.operstate);
  out = std::move(next);
  return out;
}

Result<> LinkTable::dump() {
  if (!socket_) {
    Result<NetlinkSocket> opened = NetlinkSocket::open(NETLINK_ROUTE);
    if (opened.has_error()) return std::move(opened).error();
    socket_ = std::move(*opened);
  }
  ifinfomsg all{};
  all.ifi_family = AF_UNSPEC;
  std::size_t malformed = 0;
  const NetlinkSocket::Take take = [this, &malformed](const NetlinkMessage& message) {
    if (message.type != RTM_NEWLINK || count_ >= kMaxLinks) return;
    if (parse_link_entry(message.payload, fresh())) return;
    --count_;
    ++malformed;
  };
  for (int attempt = 0;; ++attempt) {
    count_ = 0;
    Result<> done = socket_->request(RTM_GETLINK, NLM_F_DUMP, bytes_of(all), take);
    if (done.has_value()) break;
    // A device came or went meanwhile. What was read the last time is taken, in the end.
    if (done.error().code == Code::aborted && attempt < 3) continue;
    if (done.error().code == Code::aborted) break;
    socket_.reset();  // what is left of the answer must not be taken for the next one
    return done;
  }
  if (malformed > 0) return fail(Code::data_loss, fmt::format("{} links of rtnetlink are malformed", malformed));
  return {};
}

Result<> LinkTable::read_files() {
  const Result<std::vector<std::string>> names = root_.list("/sys/class/net", kMaxLinks);
  if (names.has_error()) return names.error();
  count_ = 0;
  for (const std::string& name : *names) {
    const std::string path = "/sys/class/net/" + name;
    Result<Folder> folder = Folder::open(root_, path);
    if (folder.has_error()) continue;  // bonding_masters is a file
    LinkEntry& link = fresh();
    link.name = name;
    read_entry(*folder, link);
    Result<Folder> statistics = Folder::open(root_, path + "/statistics");
    if (statistics.has_error()) continue;
    for (const Counter& counter : kCounters) {
      const auto text = statistics->text(counter.name);
      if (text) link.statistics.*counter.member = parse_number<std::uint64_t>(*text).value_or(0);
    }
  }
  return {};
}

void LinkTable::add_attributes(LinkEntry& link) {
  const auto place = std::ranges::lower_bound(fixed_, link.index, {}, &std::pair<std::int64_t, Fixed>::first);
  const bool known = place != fixed_.end() && place->first == link.index && place->second.name == link.name &&
                     place->second.address == link.address;
  const bool up = (link.flags.value_or(0) & IFF_UP) != 0;
  if (known) {
    link.address_assign_type = place->second.address_assign_type;
    link.name_assign_type = place->second.name_assign_type;
    link.device_id = place->second.device_id;
    if (!up) return;
  }
  Result<Folder> folder = Folder::open(root_, "/sys/class/net/" + link.name);
  if (folder.has_error()) return;  // gone meanwhile
  if (up) {
    link.speed = attribute(*folder, "speed");
    link.duplex = folder->label("duplex");
  }
  if (known) return;
  link.address_assign_type = attribute(*folder, "addr_assign_type");
  link.name_assign_type = attribute(*folder, "name_assign_type");
  link.device_id = attribute(*folder, "dev_id");
  const Fixed fixed{link.name, link.address, link.address_assign_type, link.name_assign_type, link.device_id};
  if (place != fixed_.end() && place->first == link.index)
    place->second = fixed;
  else
    fixed_.emplace(place, link.index, fixed);
}

Result<> LinkTable::refresh(bool attributes) {
  const auto now = std::chrono::steady_clock::now();
  if (now - read_ > std::chrono::milliseconds{20}) {
    complete_ = false;
    if (const Result<> read = root_.is_machine() ? dump() : read_files(); read.has_error()) return read;
    read_ = now;
  }
  if (!attributes || complete_ || !root_.is_machine()) return {};
  for (std::size_t i = 0; i < count_; ++i)
    add_attributes(links_[i]);
  if (fixed_.size() > count_ + 64) fixed_.clear();  // of devices that have gone: read anew
  complete_ = true;
  return {};
}

std::shared_ptr<LinkTable> make_link_table(const Root& root) { return std::make_shared<LinkTable>(root); }

}  // namespace omnitide::discovery
