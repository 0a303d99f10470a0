// The kernel's device events. Kernel: lib/kobject_uevent.c.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "agent/base/error.hpp"
#include "agent/base/netlink.hpp"

namespace omnitide::discovery {

struct Uevent {
  std::string action;     // "add", "remove", "change", "move", "online", "offline", "bind", "unbind"
  std::string subsystem;  // "block", "net", ...
  std::string devpath;    // below /sys: "/devices/virtual/block/loop0"
  std::string devname;    // below /dev; empty when the device has no node
};

// A message as the kernel sends it: "ACTION@DEVPATH", then KEY=value fields, each ended by NUL. nullopt for anything
// else, such as udev's own messages or fields that contradict the header.
[[nodiscard]] std::optional<Uevent> parse_uevent(std::string_view message);

struct UeventBatch {
  std::vector<Uevent> events;
  bool overflow = false;      // events were lost: everything may have changed
  std::size_t malformed = 0;  // messages that were left out
};

// A non-blocking socket that hears the kernel's events. Messages of processes are dropped.
class UeventMonitor {
 public:
  [[nodiscard]] static Result<UeventMonitor> open();
  [[nodiscard]] int fd() const { return socket_.fd(); }  // wait until readable, then drain
  // What happened since the last call, at most 1024 events; the descriptor stays readable when there are more.
  [[nodiscard]] Result<UeventBatch> drain();

 private:
  explicit UeventMonitor(NetlinkSocket socket) : socket_(std::move(socket)) {}
  NetlinkSocket socket_;
};

}  // namespace omnitide::discovery
