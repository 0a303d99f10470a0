#include "discovery/sources/nvme.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/nvme_ioctl.h>
#include <sys/ioctl.h>
#include <sys/stat.h>

#include <cerrno>

#include "discovery/sources/sysfs.hpp"

namespace omnitide::discovery {

namespace {

constexpr std::uint8_t kGetLogPage = 0x02, kIdentify = 0x06;
constexpr std::uint32_t kIdentifyController = 1, kSmartLog = 2, kAllNamespaces = 0xFFFFFFFF;
constexpr std::uint32_t kTimeoutMilliseconds = 500;
constexpr double kZeroCelsiusInKelvin = 273;  // as the specification counts: whole kelvins

// Little-endian, up to 16 bytes.
double number(std::string_view page, std::size_t at, std::size_t bytes) {
  double value = 0;
  for (std::size_t i = bytes; i > 0; --i)
    value = value * 256 + static_cast<unsigned char>(page[at + i - 1]);
  return value;
}

std::string field(std::string_view page, std::size_t at, std::size_t bytes) {
  const std::string_view text = page.substr(at, bytes);
  return device_text(text.substr(0, text.find('\0')));
}

Result<std::string> ask(const Root& root, const std::string& controller, nvme_admin_cmd command, std::size_t bytes) {
  const std::string path = fmt::format("/dev/{}", controller);
  const Result<UniqueFd> fd = root.open_at(path, O_RDONLY);
  if (fd.has_error()) return fd.error();
  struct stat info {};
  if (::fstat(fd->get(), &info) != 0 || !S_ISCHR(info.st_mode))
    return fail(Code::invalid_argument, fmt::format("{} is no device", path));
  std::string page(bytes, '\0');
  command.addr = reinterpret_cast<std::uint64_t>(page.data());
  command.data_len = static_cast<std::uint32_t>(bytes);
  command.timeout_ms = kTimeoutMilliseconds;
  const int status = ::ioctl(fd->get(), NVME_IOCTL_ADMIN_CMD, &command);
  if (status < 0) return fail_errno(errno, fmt::format("{} does not answer", path));
  if (status > 0) return fail(Code::unavailable, fmt::format("{} refuses with status {:#x}", path, status));
  return page;
}

}  // namespace

std::optional<NvmeController> decode_nvme_identify(std::string_view page) {
  if (page.size() < kNvmeIdentifyBytes) return std::nullopt;
  return NvmeController{.model = field(page, 24, 40),
                        .serial = field(page, 4, 20),
                        .firmware = field(page, 64, 8),
                        .nqn = field(page, 768, 256)};
}

std::optional<NvmeSmartLog> decode_nvme_smart(std::string_view page) {
  if (page.size() < kNvmeSmartBytes) return std::nullopt;
  constexpr double kDataUnit = 1000.0 * 512;  // "thousands of 512 byte units"
  constexpr double kMinute = 60, kHour = 3600;
  NvmeSmartLog log;
  log.critical_warning = static_cast<std::uint8_t>(page[0]);
  log.temperature_celsius = number(page, 1, 2) - kZeroCelsiusInKelvin;
  log.available_spare_ratio = number(page, 3, 1) / 100;
  log.spare_threshold_ratio = number(page, 4, 1) / 100;
  log.used_ratio = number(page, 5, 1) / 100;
  log.read_bytes = number(page, 32, 16) * kDataUnit;
  log.written_bytes = number(page, 48, 16) * kDataUnit;
  log.read_commands = number(page, 64, 16);
  log.write_commands = number(page, 80, 16);
  log.busy_seconds = number(page, 96, 16) * kMinute;
  log.power_cycles = number(page, 112, 16);
  log.power_on_seconds = number(page, 128, 16) * kHour;
  log.unsafe_shutdowns = number(page, 144, 16);
  log.media_errors = number(page, 160, 16);
  log.error_log_entries = number(page, 176, 16);
  log.warning_temperature_seconds = number(page, 192, 4) * kMinute;
  log.critical_temperature_seconds = number(page, 196, 4) * kMinute;
  for (std::size_t i = 0; i < log.sensors_celsius.size(); ++i) {
    const double kelvin = number(page, 200 + 2 * i, 2);
    if (kelvin > 0) log.sensors_celsius[i] = kelvin - kZeroCelsiusInKelvin;
  }
  return log;
}

Result<std::string> read_nvme_identify(const Root& root, const std::string& controller) {
  nvme_admin_cmd command{};
  command.opcode = kIdentify;
  command.cdw10 = kIdentifyController;
  return ask(root, controller, command, kNvmeIdentifyBytes);
}

Result<std::string> read_nvme_smart(const Root& root, const std::string& controller) {
  nvme_admin_cmd command{};
  command.opcode = kGetLogPage;
  command.nsid = kAllNamespaces;
  constexpr std::uint32_t kLastDword = kNvmeSmartBytes / 4 - 1;
  command.cdw10 = kSmartLog | kLastDword << 16U;
  return ask(root, controller, command, kNvmeSmartBytes);
}

}  // namespace omnitide::discovery
