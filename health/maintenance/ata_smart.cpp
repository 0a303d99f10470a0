#include "health/maintenance/ata_smart.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <scsi/sg.h>
#include <sys/ioctl.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <numeric>

#include "agent/base/fd.hpp"

namespace omnitide::health {

namespace {

constexpr unsigned kTimeoutMilliseconds = 2000;
constexpr std::size_t kAttributes = 30, kAttributeBytes = 12, kFirstAttribute = 2;
constexpr std::uint8_t kReadLogExt = 0x2F, kSmart = 0xB0;
constexpr std::uint8_t kSmartReadData = 0xD0, kSmartReturnStatus = 0xDA;
constexpr std::uint8_t kSmartMid = 0x4F, kSmartHigh = 0xC2;  // what each SMART command has to say

std::uint8_t byte(std::string_view bytes, std::size_t at) { return static_cast<std::uint8_t>(bytes[at]); }

std::uint64_t little_endian(std::string_view bytes, std::size_t at, std::size_t count) {
  std::uint64_t out = 0;
  for (std::size_t i = count; i > 0; --i)
    out = out << 8U | byte(bytes, at + i - 1);
  return out;
}

// One command of 28 or 48 bits; its page, and the sense data where `status` asks for the registers.
struct Ata {
  std::uint8_t command = 0, feature = 0, lba_low = 0, lba_mid = 0, lba_high = 0;
  std::uint8_t page = 0;  // of a log: the low byte of LBA (15:8)
  bool extended = false;  // 48 bits
  bool status = false;    // no data, but the registers
};

// ATA PASS-THROUGH (16), SAT-4 12.2.3.
std::array<unsigned char, 16> pass_through(const Ata& ata) {
  constexpr unsigned char kNoData = 3, kPioIn = 4;
  std::array<unsigned char, 16> out{};
  out[0] = 0x85;
  out[1] = static_cast<unsigned char>((ata.status ? kNoData : kPioIn) << 1U | (ata.extended ? 1U : 0U));
  out[2] = ata.status ? 0x20 : 0x0E;  // CK_COND; or one block, from the device, counted in the sector field
  out[4] = ata.feature;
  out[6] = ata.status ? 0 : 1;
  out[8] = ata.lba_low;
  out[10] = ata.extended ? ata.page : ata.lba_mid;
  out[12] = ata.lba_high;
  out[14] = ata.command;
  return out;
}

struct Answered {
  std::string page, sense;
};

Result<Answered> ask(int fd, const std::string& path, const Ata& ata) {
  std::array<unsigned char, 16> command = pass_through(ata);
  Answered out{std::string(ata.status ? 0 : kAtaPageBytes, '\0'), std::string(64, '\0')};
  sg_io_hdr_t io{};
  io.interface_id = 'S';
  io.cmdp = command.data();
  io.cmd_len = command.size();
  io.dxfer_direction = ata.status ? SG_DXFER_NONE : SG_DXFER_FROM_DEV;
  io.dxferp = out.page.data();
  io.dxfer_len = static_cast<unsigned>(out.page.size());
  io.sbp = reinterpret_cast<unsigned char*>(out.sense.data());
  io.mx_sb_len = static_cast<unsigned char>(out.sense.size());
  io.timeout = kTimeoutMilliseconds;
  if (::ioctl(fd, SG_IO, &io) != 0) return fail_errno(errno, path + " does not answer");
  if (io.host_status != 0)
    return fail(Code::unavailable, fmt::format("{} does not answer: host status {}", path, io.host_status));
  if (!ata.status && io.status != 0)
    return fail(Code::unimplemented, fmt::format("{} refuses with status {:#x}", path, io.status));
  out.sense.resize(io.sb_len_wr);
  return out;
}

}  // namespace

std::optional<std::vector<AtaAttribute>> decode_ata_attributes(std::string_view page) {
  if (page.size() < kAtaPageBytes) return std::nullopt;
  // All bytes together are 0.
  const unsigned sum = std::accumulate(page.begin(), page.begin() + kAtaPageBytes, 0U,
                                       [](unsigned a, char c) { return a + static_cast<unsigned char>(c); });
  if ((sum & 0xFFU) != 0) return std::nullopt;
  std::vector<AtaAttribute> out;
  for (std::size_t i = 0; i < kAttributes; ++i) {
    const std::string_view each = page.substr(kFirstAttribute + i * kAttributeBytes, kAttributeBytes);
    if (each[0] != 0) out.push_back({byte(each, 0), byte(each, 3), byte(each, 4), little_endian(each, 5, 6)});
  }
  return out;
}

// Each statistic is eight bytes, with whether it is supported and valid in the upper two bits; ACS-4 9.5.10.
std::optional<double> decode_ata_endurance(std::string_view page) {
  constexpr std::uint64_t kSupportedAndValid = 0xC000000000000000;
  constexpr std::size_t kEndurance = 8;
  if (page.size() < kAtaPageBytes || byte(page, 2) != 7) return std::nullopt;
  const std::uint64_t statistic = little_endian(page, kEndurance, 8);
  if ((statistic & kSupportedAndValid) != kSupportedAndValid) return std::nullopt;
  return static_cast<double>(statistic & 0xFFU) / 100;
}

// Descriptor format (72h) with an ATA Status Return descriptor (09h); SAT-4 12.2.2.7.
std::optional<bool> decode_ata_status(std::string_view sense) {
  constexpr std::size_t kHeader = 8, kDescriptor = 14;
  if (sense.size() < kHeader + kDescriptor || (byte(sense, 0) & 0x7FU) != 0x72 || byte(sense, kHeader) != 0x09)
    return std::nullopt;
  const std::uint8_t mid = byte(sense, kHeader + 9), high = byte(sense, kHeader + 11);
  if (mid == kSmartMid && high == kSmartHigh) return false;
  if (mid == 0xF4 && high == 0x2C) return true;
  return std::nullopt;
}

void add_attributes(const std::vector<AtaAttribute>& attributes, AtaHealth& out) {
  // Those whose normalised value is the percentage of life that is left: Samsung and others, Micron, SandForce, Intel.
  constexpr std::array<std::uint8_t, 4> kLifeLeft{177, 202, 231, 233};
  constexpr std::uint8_t kPending = 197, kUncorrectable = 198;
  for (const AtaAttribute& each : attributes) {
    if (!out.used_ratio && std::ranges::find(kLifeLeft, each.id) != kLifeLeft.end() && each.value <= 100)
      out.used_ratio = (100.0 - each.value) / 100;
    if (each.id == kPending || each.id == kUncorrectable)
      out.bad_sectors = std::max(out.bad_sectors.value_or(0), static_cast<double>(each.raw & 0xFFFFFFFFU));
  }
}

Result<AtaHealth> read_ata_health(const std::string& path) {
  const UniqueFd fd(::open(path.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC | O_NOCTTY));
  if (!fd) return fail_errno(errno, "cannot open " + path);
  AtaHealth out;
  Ata status{.command = kSmart, .feature = kSmartReturnStatus, .lba_mid = kSmartMid, .lba_high = kSmartHigh};
  status.status = true;
  const Result<Answered> said = ask(fd.get(), path, status);
  if (said.has_error()) return said.error();
  out.failing = decode_ata_status(said->sense);
  Ata statistics{.command = kReadLogExt, .lba_low = 0x04, .page = 7};
  statistics.extended = true;
  if (const Result<Answered> page = ask(fd.get(), path, statistics); page.has_value())
    out.used_ratio = decode_ata_endurance(page->page);
  const Ata data{.command = kSmart, .feature = kSmartReadData, .lba_mid = kSmartMid, .lba_high = kSmartHigh};
  if (const Result<Answered> page = ask(fd.get(), path, data); page.has_value())
    if (const auto attributes = decode_ata_attributes(page->page)) add_attributes(*attributes, out);
  return out;
}

}  // namespace omnitide::health
