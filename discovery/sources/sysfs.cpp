#include "discovery/sources/sysfs.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "agent/base/text.hpp"

namespace omnitide::discovery {

namespace {

bool all_hex(std::string_view text) {
  return !text.empty() && text.find_first_not_of("0123456789abcdefABCDEF") == std::string_view::npos;
}

}  // namespace

std::string device_path(std::string_view link_target) {
  while (link_target.starts_with("../"))
    link_target.remove_prefix(3);
  if (!link_target.starts_with("devices/") || link_target.find("/../") != std::string_view::npos) return {};
  return fmt::format("/sys/{}", link_target);
}

std::string_view parent_path(std::string_view path) {
  const std::size_t slash = path.rfind('/');
  return slash == std::string_view::npos ? std::string_view{} : path.substr(0, slash);
}

std::string_view base_name(std::string_view path) { return path.substr(path.rfind('/') + 1); }

bool is_pci_address(std::string_view text) {
  const std::size_t colon = text.find(':');
  if (colon == std::string_view::npos || colon < 4 || colon > 8 || text.size() != colon + 8) return false;
  return all_hex(text.substr(0, colon)) && all_hex(text.substr(colon + 1, 2)) && text[colon + 3] == ':' &&
         all_hex(text.substr(colon + 4, 2)) && text[colon + 6] == '.' && all_hex(text.substr(colon + 7));
}

std::string_view pci_ancestor(std::string_view path) {
  while (!path.empty() && !is_pci_address(base_name(path)))
    path = parent_path(path);
  return path;
}

std::string bus_address(std::string_view parent) {
  if (parent.empty() || parent.starts_with("/sys/devices/virtual")) return {};
  if (base_name(parent).starts_with("virtio")) parent = parent_path(parent);
  return printable(base_name(parent), 64);
}

std::string_view property(std::string_view uevent, std::string_view key) {
  while (!uevent.empty()) {
    const std::string_view line = uevent.substr(0, uevent.find('\n'));
    if (line.size() > key.size() && line.starts_with(key) && line[key.size()] == '=')
      return line.substr(key.size() + 1);
    uevent.remove_prefix(std::min(uevent.size(), line.size() + 1));
  }
  return {};
}

std::optional<std::int32_t> numa_node(Reader& reader, std::string_view device) {
  if (device.empty()) return std::nullopt;
  const auto node = reader.number<std::int32_t>(fmt::format("{}/numa_node", device));
  return node && *node >= 0 ? node : std::nullopt;
}

std::string device_text(std::string_view text) { return printable(trim(text), 256); }

}  // namespace omnitide::discovery
