// The network devices of this namespace, read once for all collectors of a collection.
#pragma once

#include <linux/if_link.h>

#include <chrono>
#include <cstdint>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "agent/base/netlink.hpp"
#include "agent/base/root.hpp"

namespace omnitide::discovery {

using LinkStatistics = rtnl_link_stats64;

// A device. What is absent is what sysfs refuses to say: the speed and the carrier of a device that is down, ...
struct LinkEntry {
  std::string name, address, broadcast, duplex, alias, operstate;
  std::int64_t index = 0;
  std::optional<std::int64_t> link, flags, mtu, type, group, queue_length, link_mode, carrier, dormant;
  std::optional<std::int64_t> carrier_changes, carrier_up, carrier_down;
  std::optional<std::int64_t> address_assign_type, name_assign_type, device_id;
  std::optional<std::int64_t> speed;  // megabits a second, -1: not known
  LinkStatistics statistics{};
};

// Safe for use by several threads.
class LinkTable {
 public:
  explicit LinkTable(Root root) : root_(std::move(root)) {}

  // Calls take(entry) for every device. Attributes that only sysfs has are filled in for the first of the two.
  template <class Take>
  [[nodiscard]] Result<> with_attributes(Take&& take) {
    return with(true, take);
  }
  template <class Take>
  [[nodiscard]] Result<> with_statistics(Take&& take) {
    return with(false, take);
  }

 private:
  // What does not change as long as a device has the same index, name and address.
  struct Fixed {
    std::string name, address;
    std::optional<std::int64_t> address_assign_type, name_assign_type, device_id;
  };
  template <class Take>
  [[nodiscard]] Result<> with(bool attributes, Take& take) {
    const std::lock_guard lock(mutex_);
    if (const Result<> read = refresh(attributes); read.has_error()) return read;
    for (std::size_t i = 0; i < count_; ++i)
      take(static_cast<const LinkEntry&>(links_[i]));
    return {};
  }
  [[nodiscard]] Result<> refresh(bool attributes);
  [[nodiscard]] Result<> dump();
  [[nodiscard]] Result<> read_files();
  void add_attributes(LinkEntry& link);
  [[nodiscard]] LinkEntry& fresh();

  Root root_;
  std::mutex mutex_;
  std::optional<NetlinkSocket> socket_;
  std::vector<LinkEntry> links_;  // the first count_ are in use
  std::size_t count_ = 0;
  std::vector<std::pair<std::int64_t, Fixed>> fixed_;  // by index, sorted
  std::chrono::steady_clock::time_point read_{};
  bool complete_ = false;  // with what only sysfs has
};

// The payload of an RTM_NEWLINK into an entry that is fresh; false when it is malformed.
[[nodiscard]] bool parse_link_entry(std::string_view payload, LinkEntry& out);

}  // namespace omnitide::discovery
