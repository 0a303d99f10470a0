#include "discovery/sources/uevent.hpp"

#include <linux/netlink.h>

#include <algorithm>

namespace omnitide::discovery {

namespace {

constexpr std::uint32_t kKernelGroup = 1;  // group 2 carries what udev sends on
constexpr std::size_t kMaxEvents = 1024;

}  // namespace

std::optional<Uevent> parse_uevent(std::string_view message) {
  if (message.empty() || message.back() != '\0') return std::nullopt;
  const std::string_view header = message.substr(0, message.find('\0'));
  const std::size_t at = header.find('@');
  if (at == std::string_view::npos || at == 0 || at + 1 >= header.size() || header[at + 1] != '/') return std::nullopt;
  Uevent out;
  out.action = header.substr(0, at);
  out.devpath = header.substr(at + 1);
  message.remove_prefix(header.size() + 1);
  while (!message.empty()) {
    const std::string_view field = message.substr(0, message.find('\0'));
    message.remove_prefix(field.size() + 1);
    const std::size_t equals = field.find('=');
    if (equals == std::string_view::npos || equals == 0) return std::nullopt;
    const std::string_view key = field.substr(0, equals), value = field.substr(equals + 1);
    if (key == "SUBSYSTEM") out.subsystem = value;
    if (key == "DEVNAME") out.devname = value;
    if ((key == "ACTION" && value != out.action) || (key == "DEVPATH" && value != out.devpath)) return std::nullopt;
  }
  if (out.subsystem.empty()) return std::nullopt;
  return out;
}

Result<UeventMonitor> UeventMonitor::open() {
  Result<NetlinkSocket> socket = NetlinkSocket::open(NETLINK_KOBJECT_UEVENT, kKernelGroup);
  if (socket.has_error()) return std::move(socket.error()).within("uevents");
  return UeventMonitor(std::move(*socket));
}

Result<UeventBatch> UeventMonitor::drain() {
  UeventBatch out;
  while (out.events.size() + out.malformed < kMaxEvents) {
    const Result<std::string_view> message = socket_.receive();
    if (message.has_error()) {
      if (message.error().code != Code::resource_exhausted) return message.error();
      if (std::exchange(out.overflow, true)) break;
      continue;
    }
    if (message->empty()) break;
    if (std::optional<Uevent> event = parse_uevent(*message)) {
      out.events.push_back(std::move(*event));
    } else {
      ++out.malformed;
    }
  }
  return out;
}

}  // namespace omnitide::discovery
