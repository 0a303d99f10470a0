#include "discovery/sources/idsdb.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <optional>

#include "agent/base/fd.hpp"
#include "agent/base/text.hpp"
#include "discovery/sources/sysfs.hpp"

namespace omnitide::discovery {

namespace {

constexpr std::size_t kMaxDatabase = 16U << 20U;  // pci.ids has about 1.4 MB
constexpr std::size_t kChunk = 64U << 10U;

// "8086  Intel Corporation" -> the number of `digits` hexadecimal digits and the name.
struct Entry {
  std::uint32_t id;
  std::string_view name;
};
std::optional<Entry> parse_entry(std::string_view line, std::size_t digits) {
  if (line.size() < digits + 3 || line.substr(digits, 2) != "  ") return std::nullopt;
  const auto id = parse_number<std::uint32_t>(line.substr(0, digits), 16);
  if (!id) return std::nullopt;
  return Entry{*id, line.substr(digits + 2)};
}

std::string found(const std::map<std::uint32_t, std::string>& names, std::uint32_t key) {
  const auto at = names.find(key);
  return at == names.end() ? std::string{} : at->second;
}

void set_wanted(std::map<std::uint32_t, std::string>& names, std::uint32_t key, std::string_view name) {
  const auto at = names.find(key);
  if (at != names.end() && at->second.empty()) at->second = device_text(name);
}

std::uint32_t pair_key(std::uint32_t vendor, std::uint32_t device) {
  return (vendor & 0xFFFFU) << 16U | (device & 0xFFFFU);
}

}  // namespace

void IdNames::want(std::uint32_t vendor, std::uint32_t device) {
  vendors_.try_emplace(vendor);
  devices_.try_emplace(pair_key(vendor, device));
}

void IdNames::want_class(std::uint32_t code) {
  classes_.try_emplace(code >> 16U);
  subclasses_.try_emplace(code >> 8U);
}

std::string IdNames::vendor(std::uint32_t vendor) const { return found(vendors_, vendor); }
std::string IdNames::device(std::uint32_t vendor, std::uint32_t device) const {
  return found(devices_, pair_key(vendor, device));
}
std::string IdNames::class_name(std::uint32_t code) const {
  const std::string name = found(subclasses_, code >> 8U);
  return name.empty() ? found(classes_, code >> 16U) : name;
}

void IdNames::scan_top(std::string_view line) {
  section_ = Section::other;
  const bool is_class = line.starts_with("C ");
  const auto entry = is_class ? parse_entry(line.substr(2), 2) : parse_entry(line, 4);
  if (!entry) return;
  auto& names = is_class ? classes_ : vendors_;
  if (names.find(entry->id) == names.end()) return;
  set_wanted(names, entry->id, entry->name);
  section_ = is_class ? Section::device_class : Section::vendor;
  current_ = entry->id;
}

void IdNames::scan_nested(std::string_view line) {
  if (section_ == Section::vendor) {
    if (const auto entry = parse_entry(line, 4)) set_wanted(devices_, pair_key(current_, entry->id), entry->name);
  } else if (const auto entry = parse_entry(line, 2)) {
    set_wanted(subclasses_, current_ << 8U | entry->id, entry->name);
  }
}

void IdNames::scan(std::string_view lines) {
  while (!lines.empty()) {
    const std::string_view line = lines.substr(0, lines.find('\n'));
    lines.remove_prefix(std::min(lines.size(), line.size() + 1));
    if (line.empty() || line[0] == '#') continue;
    if (line[0] != '\t') {
      scan_top(line);
    } else if (section_ != Section::other && line.size() > 1 && line[1] != '\t') {
      scan_nested(line.substr(1));
    }
  }
}

// Read, not mapped: a file that shrinks under a mapping would be a signal, not an error.
void IdNames::load(Reader& reader, std::string_view file) {
  if (vendors_.empty() && classes_.empty()) return;
  constexpr std::array<std::string_view, 2> kFolders{"/usr/share/misc", "/usr/share/hwdata"};
  UniqueFd fd;
  std::string path;
  for (const std::string_view folder : kFolders) {
    path = fmt::format("{}/{}", folder, file);
    Result<UniqueFd> opened = reader.root().open_at(path, O_RDONLY);
    if (opened.has_error()) continue;
    struct stat info {};
    if (::fstat(opened->get(), &info) != 0 || !S_ISREG(info.st_mode)) continue;
    fd = std::move(*opened);
    break;
  }
  if (!fd) return;
  std::string buffer(kChunk, '\0');
  std::size_t kept = 0, total = 0;
  while (total <= kMaxDatabase) {
    const ssize_t got = ::read(fd.get(), buffer.data() + kept, buffer.size() - kept);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return reader.problem(fail_errno(errno, fmt::format("cannot read {}", path)).text());
    if (got == 0) return scan(std::string_view(buffer).substr(0, kept));
    total += static_cast<std::size_t>(got);
    const std::string_view text = std::string_view(buffer).substr(0, kept + static_cast<std::size_t>(got));
    const std::size_t end = text.rfind('\n');
    if (end == std::string_view::npos && text.size() == buffer.size())
      return reader.problem(fmt::format("{} has a line of more than {} bytes, skipping the rest", path, kChunk));
    const std::size_t whole = end == std::string_view::npos ? 0 : end + 1;
    scan(text.substr(0, whole));
    kept = text.size() - whole;
    std::copy_n(buffer.begin() + static_cast<std::ptrdiff_t>(whole), kept, buffer.begin());
  }
  reader.problem(fmt::format("{} is longer than {} bytes, skipping the rest", path, kMaxDatabase));
}

}  // namespace omnitide::discovery
