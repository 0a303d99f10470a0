#include "discovery/sources/idsdb.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <iterator>
#include <memory>
#include <optional>
#include <utility>

#include "agent/base/fd.hpp"
#include "agent/base/text.hpp"
#include "discovery/sources/sysfs.hpp"

namespace omnitide::discovery {

namespace {

constexpr std::size_t kMaxDatabase = 16U << 20U;  // pci.ids has about 1.4 MB
constexpr std::size_t kChunk = 64U << 10U, kSearchChunk = 16U << 10U;

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

namespace {

// The order in which both databases name their top entries: vendors by number, classes, then other tables. Nothing: no
// top entry.
constexpr std::uint32_t kClassOrder = 0x10000, kOtherOrder = 0x20000;
std::optional<std::uint32_t> order_of(std::string_view line) {
  if (line.empty() || line[0] == '#' || line[0] == '\t') return std::nullopt;
  const bool is_class = line.starts_with("C ");
  const auto entry = is_class ? parse_entry(line.substr(2), 2) : parse_entry(line, 4);
  if (!entry) return kOtherOrder;
  return entry->id + (is_class ? kClassOrder : 0);
}

// Lines of a file from any byte on, a chunk at a time. Read, not mapped: a file that shrinks under a mapping would be a
// signal, not an error.
class Lines {
 public:
  Lines(int fd, std::uint64_t offset, std::size_t chunk)
      : fd_(fd), next_(offset), size_(chunk), buffer_(std::make_unique_for_overwrite<char[]>(chunk)) {}

  // Without its end; nothing at the end of the file, or when failed() says why.
  std::optional<std::string_view> next() {
    while (true) {
      const std::string_view text(buffer_.get() + begin_, end_ - begin_);
      const std::size_t stop = text.find('\n');
      if (stop != std::string_view::npos) {
        begin_ += stop + 1;
        return text.substr(0, stop);
      }
      if (!fill()) break;
    }
    if (begin_ == end_ || !failed_.empty()) return std::nullopt;
    const std::string_view rest(buffer_.get() + begin_, end_ - begin_);
    begin_ = end_;
    return rest;
  }
  [[nodiscard]] std::uint64_t offset() const { return next_ - (end_ - begin_); }  // of the line that comes next
  [[nodiscard]] const std::string& failed() const { return failed_; }

 private:
  bool fill() {
    std::copy_n(buffer_.get() + begin_, end_ - begin_, buffer_.get());
    end_ -= begin_;
    begin_ = 0;
    if (end_ == size_) failed_ = fmt::format("has a line of more than {} bytes", size_);
    if (next_ > kMaxDatabase) failed_ = fmt::format("is longer than {} bytes", kMaxDatabase);
    if (!failed_.empty()) return false;
    ssize_t got = 0;
    do
      got = ::pread(fd_, buffer_.get() + end_, size_ - end_, static_cast<off_t>(next_));
    while (got < 0 && errno == EINTR);
    if (got < 0) failed_ = fail_errno(errno, "cannot be read").text();
    if (got <= 0) return false;
    next_ += static_cast<std::uint64_t>(got);
    end_ += static_cast<std::size_t>(got);
    return true;
  }

  int fd_;
  std::uint64_t next_;  // byte of the file that is read next
  std::size_t size_;
  std::unique_ptr<char[]> buffer_;
  std::size_t begin_ = 0, end_ = 0;  // what of the buffer is not yet given
  std::string failed_;
};

// Where the top entries of a sorted file stand, as far as somebody looked.
class TopIndex {
 public:
  TopIndex(int fd, std::uint64_t size) : fd_(fd), size_(size) {}

  // The start of a line, after which the entry of this order comes soon if the file is sorted and has it.
  std::uint64_t before(std::uint32_t order) {
    const auto above = tops_.upper_bound(order);
    std::uint64_t low = above == tops_.begin() ? 0 : std::prev(above)->second;
    std::uint64_t high = above == tops_.end() ? size_ : above->second;
    while (high > low + kSearchChunk) {
      const std::uint64_t middle = low + (high - low) / 2;
      const auto met = first_from(middle, high);
      if (met && met->first <= order) {
        low = met->second;
      } else {
        high = middle;
      }
    }
    return low;
  }

 private:
  // The first top entry after a byte and before another: its order and its place.
  std::optional<std::pair<std::uint32_t, std::uint64_t>> first_from(std::uint64_t byte, std::uint64_t end) {
    Lines lines(fd_, byte, kSearchChunk);
    (void)lines.next();  // the rest of a line
    for (std::uint64_t at = lines.offset(); at < end; at = lines.offset()) {
      const auto line = lines.next();
      if (!line) break;
      if (const auto order = order_of(*line)) return *tops_.insert_or_assign(*order, at).first;
    }
    return std::nullopt;
  }

  int fd_;
  std::uint64_t size_;
  std::map<std::uint32_t, std::uint64_t> tops_;
};

}  // namespace

bool IdNames::scan_entry(int fd, std::uint64_t start, std::uint32_t order) {
  Lines lines(fd, start, kSearchChunk);
  bool inside = false;
  for (auto line = lines.next(); line; line = lines.next()) {
    const std::optional<std::uint32_t> met = order_of(*line);
    if (met && inside) return true;
    if (met && *met > order) return false;
    inside = inside || met == order;
    if (inside) scan(*line);
  }
  return inside;
}

bool IdNames::scan_sorted(int fd, std::uint64_t size) {
  bool all = true;
  TopIndex index(fd, size);
  for (const auto& [vendor, name] : vendors_)
    all = all && scan_entry(fd, index.before(vendor), vendor);
  for (const auto& [code, name] : classes_)
    all = all && scan_entry(fd, index.before(kClassOrder + code), kClassOrder + code);
  return all;
}

void IdNames::load(Reader& reader, std::string_view file) {
  if (vendors_.empty() && classes_.empty()) return;
  constexpr std::array<std::string_view, 2> kFolders{"/usr/share/misc", "/usr/share/hwdata"};
  for (const std::string_view folder : kFolders) {
    const std::string path = fmt::format("{}/{}", folder, file);
    const Result<UniqueFd> opened = reader.root().open_at(path, O_RDONLY);
    if (opened.has_error()) continue;
    struct stat info {};
    if (::fstat(opened->get(), &info) != 0 || !S_ISREG(info.st_mode)) continue;
    // A few reads find what a sorted file holds; one that lacks something, or is in another order, is read whole.
    if (scan_sorted(opened->get(), static_cast<std::uint64_t>(info.st_size))) return;
    section_ = Section::other;
    Lines lines(opened->get(), 0, kChunk);
    for (auto line = lines.next(); line; line = lines.next())
      scan(*line);
    if (!lines.failed().empty()) reader.problem(fmt::format("{} {}, skipping the rest", path, lines.failed()));
    return;
  }
}

}  // namespace omnitide::discovery
