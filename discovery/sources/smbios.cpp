#include "discovery/sources/smbios.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <utility>

#include "agent/base/text.hpp"
#include "discovery/sources/smbios_names.hpp"

namespace omnitide::discovery {

namespace {

constexpr std::size_t kHeader = 4;            // type, length, handle
constexpr std::size_t kMaxStructures = 8192;  // handles are 16 bits; real tables have some hundred
constexpr std::size_t kMaxDimms = 1024;
constexpr std::size_t kMaxString = 256;

enum Type : std::uint8_t {
  kBios = 0,
  kSystem = 1,
  kBaseboard = 2,
  kChassis = 3,
  kMemoryDevice = 17,
  kEndOfTable = 127
};

std::uint64_t little_endian(std::string_view bytes) {
  std::uint64_t value = 0;
  for (std::size_t i = bytes.size(); i > 0; --i) {
    value = (value << 8U) | static_cast<unsigned char>(bytes[i - 1]);
  }
  return value;
}

// One structure: its formatted area and the strings behind it. A field beyond the structure's length reads as absent,
// since older versions of the specification have shorter structures.
class Structure {
 public:
  Structure(std::string_view formatted, std::string_view strings) : formatted_(formatted), strings_(strings) {}

  [[nodiscard]] std::uint8_t type() const { return static_cast<std::uint8_t>(formatted_[0]); }
  [[nodiscard]] std::optional<std::uint32_t> number(std::size_t offset, std::size_t width) const {
    if (formatted_.size() < offset + width) return std::nullopt;
    return static_cast<std::uint32_t>(little_endian(formatted_.substr(offset, width)));
  }
  [[nodiscard]] std::string_view bytes(std::size_t offset, std::size_t width) const {
    return formatted_.size() < offset + width ? std::string_view{} : formatted_.substr(offset, width);
  }
  // Fields hold the number of a string, from 1; 0 means none.
  [[nodiscard]] std::string text(std::size_t offset) const {
    std::uint32_t index = number(offset, 1).value_or(0);
    if (index == 0) return {};
    std::string_view rest = strings_;
    while (--index > 0) {
      const std::size_t end = rest.find('\0');
      if (end == std::string_view::npos) return {};
      rest.remove_prefix(end + 1);
    }
    return without_filler(rest.substr(0, rest.find('\0')).substr(0, kMaxString));
  }

 private:
  std::string_view formatted_, strings_;
};

// Section 7.2.1: the first three fields are little-endian from version 2.6 on. All zero or all one means "not set".
std::string uuid_text(std::string_view b, SmbiosVersion version) {
  if (b.size() != 16 || b.find_first_not_of(b.front()) == std::string_view::npos) return {};
  std::string bytes(b);
  if (version >= SmbiosVersion{2, 6}) {
    std::reverse(bytes.begin(), bytes.begin() + 4);
    std::reverse(bytes.begin() + 4, bytes.begin() + 6);
    std::reverse(bytes.begin() + 6, bytes.begin() + 8);
  }
  const std::string hex = hex_encode(bytes);
  const std::string_view h = hex;
  return fmt::format("{}-{}-{}-{}-{}", h.substr(0, 8), h.substr(8, 4), h.substr(12, 4), h.substr(16, 4), h.substr(20));
}

// Sections 7.18 and 7.18.5: MiB, or KiB when bit 15 is set; 0x7fff refers to the extended size, in MiB.
std::uint64_t dimm_bytes(const Structure& device) {
  const std::uint64_t size = device.number(0x0c, 2).value_or(0);
  if (size == 0xffff) return 0;  // unknown
  if (size == 0x7fff) return std::uint64_t{device.number(0x1c, 4).value_or(0) & 0x7fffffffU} << 20U;
  return (size & 0x8000U) != 0 ? (size & 0x7fffU) << 10U : size << 20U;
}

// Megatransfers a second; 0 unknown, 0xffff refers to the extended field (section 7.18.4).
std::uint32_t transfer_rate(const Structure& device, std::size_t offset, std::size_t extended_offset) {
  const std::uint32_t rate = device.number(offset, 2).value_or(0);
  return rate == 0xffff ? device.number(extended_offset, 4).value_or(0) & 0x7fffffffU : rate;
}

void take_memory_device(const Structure& device, std::vector<model::Dimm>& dimms) {
  const std::uint64_t size = dimm_bytes(device);
  // A slot without a module has size 0; an unknown size (0xffff) is a module all the same.
  if (dimms.size() >= kMaxDimms || device.number(0x0c, 2).value_or(0) == 0) return;
  dimms.push_back({.locator = device.text(0x10),
                   .bank = device.text(0x11),
                   .type = smbios_memory_type(device.number(0x12, 1).value_or(0)),
                   .form_factor = smbios_form_factor(device.number(0x0e, 1).value_or(0)),
                   .manufacturer = device.text(0x17),
                   .part_number = device.text(0x1a),
                   .serial = device.text(0x18),
                   .size_bytes = size,
                   .speed_megatransfers = transfer_rate(device, 0x15, 0x54),
                   .configured_megatransfers = transfer_rate(device, 0x20, 0x58)});
}

void take_system(const Structure& system, SmbiosVersion version, model::DmiFacts& dmi) {
  dmi.system_vendor = system.text(0x04);
  dmi.product_name = system.text(0x05);
  dmi.product_version = system.text(0x06);
  dmi.product_serial = system.text(0x07);
  dmi.product_uuid = uuid_text(system.bytes(0x08, 16), version);
  dmi.product_family = system.text(0x1a);
}

void take_bios(const Structure& bios, model::DmiFacts& dmi) {
  dmi.bios_vendor = bios.text(0x04);
  dmi.bios_version = bios.text(0x05);
  dmi.bios_date = bios.text(0x08);
}

void take_baseboard(const Structure& board, model::DmiFacts& dmi) {
  dmi.board_vendor = board.text(0x04);
  dmi.board_name = board.text(0x05);
}

// The next structure, taken off the front of `table`; nullopt at its end, or when it does not fit.
std::optional<Structure> next(std::string_view& table, bool& truncated) {
  if (table.empty()) return std::nullopt;
  truncated = true;
  if (table.size() < kHeader) return std::nullopt;
  const std::size_t length = static_cast<unsigned char>(table[1]);
  if (length < kHeader || length > table.size()) return std::nullopt;
  // Strings end in NUL, their list in one more; without strings there are two NULs.
  const std::size_t end = table.find(std::string_view("\0\0", 2), length);
  if (end == std::string_view::npos) return std::nullopt;
  truncated = false;
  const Structure structure(table.substr(0, length), table.substr(length, end - length));
  table.remove_prefix(end + 2);
  return structure;
}

}  // namespace

std::optional<SmbiosVersion> parse_smbios_entry_point(std::string_view bytes) {
  const auto at = [bytes](std::size_t offset) {
    return static_cast<unsigned>(static_cast<unsigned char>(bytes[offset]));
  };
  if (bytes.starts_with("_SM3_") && bytes.size() >= 0x18) return SmbiosVersion{at(7), at(8)};
  if (bytes.starts_with("_SM_") && bytes.size() >= 0x1f) return SmbiosVersion{at(6), at(7)};
  return std::nullopt;
}

SmbiosFacts parse_smbios(std::string_view table, SmbiosVersion version) {
  SmbiosFacts facts;
  std::array<bool, 4> seen{};
  while (facts.structures < kMaxStructures) {
    const std::optional<Structure> structure = next(table, facts.truncated);
    if (!structure) break;
    ++facts.structures;
    const std::uint8_t type = structure->type();
    if (type == kEndOfTable) break;
    if (type == kMemoryDevice) take_memory_device(*structure, facts.dimms);
    if (type >= seen.size() || std::exchange(seen[type], true)) continue;
    if (type == kBios) take_bios(*structure, facts.dmi);
    if (type == kSystem) take_system(*structure, version, facts.dmi);
    if (type == kBaseboard) take_baseboard(*structure, facts.dmi);
    if (type == kChassis)  // bit 7 says that there is a lock
      facts.dmi.chassis_type = smbios_chassis_type(structure->number(0x05, 1).value_or(0) & 0x7fU);
  }
  return facts;
}

}  // namespace omnitide::discovery
