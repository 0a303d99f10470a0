// The forms that sysfs uses everywhere: links of classes to devices, uevent files, PCI addresses.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "discovery/sources/reader.hpp"

namespace omnitide::discovery {

// "../../devices/pci0000:00/0000:00:03.0/net/eth0" -> "/sys/devices/pci0000:00/0000:00:03.0/net/eth0". Empty when the
// text is no such link. Classes link to devices by relative paths (Documentation/admin-guide/sysfs-rules.rst).
[[nodiscard]] std::string device_path(std::string_view link_target);

[[nodiscard]] std::string_view parent_path(std::string_view path);  // empty when there is no slash
[[nodiscard]] std::string_view base_name(std::string_view path);

[[nodiscard]] bool is_pci_address(std::string_view text);  // "0000:00:02.0"; VMD's domains have more than four digits
// The path down to its deepest PCI function, or empty.
[[nodiscard]] std::string_view pci_ancestor(std::string_view path);
// Where the device of this parent path sits on its bus: the parent's name, for virtio the name of the transport below
// it
// ("0000:00:03.0" for virtio2). Empty for virtual devices.
[[nodiscard]] std::string bus_address(std::string_view parent);

// The value of KEY in the "KEY=value" lines of a uevent file; empty when absent.
[[nodiscard]] std::string_view property(std::string_view uevent, std::string_view key);

// numa_node of a device folder; the kernel's -1 means that it does not know.
[[nodiscard]] std::optional<std::int32_t> numa_node(Reader& reader, std::string_view device);

// What a device says about itself, as valid UTF-8 without control bytes and of bounded length.
[[nodiscard]] std::string device_text(std::string_view text);

}  // namespace omnitide::discovery
