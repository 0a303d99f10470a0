// What an ATA disk says of its health. Decoding is pure; ATA/ATAPI Command Set 4 (ACS-4), SCSI/ATA Translation 4
// (SAT-4).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "agent/base/error.hpp"

namespace omnitide::health {

inline constexpr std::size_t kAtaPageBytes = 512;

struct AtaAttribute {
  std::uint8_t id = 0, value = 0, worst = 0;  // normalised: from 200, 100 or 253 downwards
  std::uint64_t raw = 0;                      // 48 bits, whose meaning is the maker's
};

struct AtaHealth {
  std::optional<bool> failing;        // the disk itself expects to fail
  std::optional<double> used_ratio;   // of an SSD's rated life; may exceed 1
  std::optional<double> bad_sectors;  // that wait to be replaced, or cannot be read
};

// SMART READ DATA: the attributes that there are. nullopt when the page is short or its checksum is wrong.
[[nodiscard]] std::optional<std::vector<AtaAttribute>> decode_ata_attributes(std::string_view page);
// Page 7 of the Device Statistics log: "Percentage Used Endurance Indicator"; nullopt where the disk does not say.
[[nodiscard]] std::optional<double> decode_ata_endurance(std::string_view page);
// SMART RETURN STATUS: the descriptor in the sense data that the translation layer gives. nullopt when it has none.
[[nodiscard]] std::optional<bool> decode_ata_status(std::string_view sense);
// The attributes' share, where makers agree on their meaning: wear where the endurance is not stated, sectors.
void add_attributes(const std::vector<AtaAttribute>& attributes, AtaHealth& out);

// Asks the disk, e.g. "/dev/sda", by SG_IO; needs CAP_SYS_RAWIO. Waits for two seconds at most for each question.
[[nodiscard]] Result<AtaHealth> read_ata_health(const std::string& path);

}  // namespace omnitide::health
