// The file: a line with version, next number, number of entries and checksum, then one line for each entry: number,
// type, device, name, unit, with tabs between.
#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "agent/base/file.hpp"
#include "agent/base/text.hpp"
#include "agent/telemetry/metric_name.hpp"
#include "agent/telemetry/metric_set.hpp"

namespace omnitide::telemetry {

namespace {

constexpr std::string_view kMagic = "omnitide-aliases-1";
constexpr std::size_t kLongestUnit = 64;
constexpr std::size_t kLongestLine = kLongestName + kLongestDevice + kLongestUnit + 32;
constexpr std::uint64_t kHighest = std::uint64_t{1} << 62U;
constexpr WallTime kFirstSecond{std::chrono::sys_days{std::chrono::year{2020} / 1 / 1}};

// FNV-1a, 64 bits: against damage, not against malice.
std::uint64_t checksum(std::string_view text) {
  std::uint64_t hash = 0xcbf29ce484222325U;
  for (const char c : text) {
    hash ^= static_cast<unsigned char>(c);
    hash *= 0x100000001b3U;
  }
  return hash;
}

bool fits_a_line(std::string_view text, std::size_t longest) {
  return text.size() <= longest && text.find_first_of("\t\n") == std::string_view::npos;
}

void make_key(std::string& out, std::string_view device, std::string_view name, DataType type) {
  out.clear();
  out.append(device).append("\t").append(name).append("\t");
  out += static_cast<char>(type);
}

std::string first_line(std::uint64_t next, std::size_t count, std::string_view lines) {
  const std::string numbers = fmt::format("{} {}", next, count);
  return fmt::format("{} {} {:016x}\n", kMagic, numbers, checksum(numbers) ^ checksum(lines));
}

}  // namespace

Result<AliasTable> AliasTable::load(std::string path) {
  AliasTable out;
  out.path_ = std::move(path);
  Result<std::string> text = read_file(out.path_, kMost * kLongestLine);
  if (text.has_error()) {
    if (text.error().code == Code::not_found) return out;
    return std::move(text).error().within("cannot read the names of metrics");
  }
  if (Result<> read = out.read_lines(*text); read.has_error()) return read.error();
  return out;
}

AliasTable AliasTable::fresh(std::string path, WallTime now) {
  AliasTable out;
  out.path_ = std::move(path);
  const auto seconds = std::chrono::floor<std::chrono::seconds>(std::max(now, build_time()) - kFirstSecond).count();
  out.next_ = kFirst + static_cast<std::uint64_t>(std::max<std::int64_t>(seconds, 1)) * kMost;
  out.changed_ = true;
  return out;
}

Result<> AliasTable::read_lines(std::string_view text) {
  const auto damaged = [this] {
    return fail(Code::data_loss, fmt::format("the names of metrics in {} are damaged", path_));
  };
  const std::size_t end = text.find('\n');
  if (end == std::string_view::npos) return damaged();
  const std::string_view lines = text.substr(end + 1);
  const std::vector<std::string_view> head = split(text.substr(0, end), ' ');
  const auto next = head.size() == 4 ? parse_number<std::uint64_t>(head[1]) : std::nullopt;
  const auto count = head.size() == 4 ? parse_number<std::uint64_t>(head[2]) : std::nullopt;
  if (!next || !count || *count > kMost || *next > kHighest ||
      text.substr(0, end + 1) != first_line(*next, *count, lines))
    return damaged();
  next_ = *next;
  for (std::string_view rest = lines; !rest.empty();) {
    const std::size_t line_end = rest.find('\n');
    const std::vector<std::string_view> fields = split(rest.substr(0, line_end), '\t');
    if (line_end == std::string_view::npos || fields.size() != 5) return damaged();
    rest.remove_prefix(line_end + 1);
    const auto number = parse_number<std::uint64_t>(fields[0]), type = parse_number<std::uint64_t>(fields[1]);
    if (!number || !type || !is_data_type(*type) || *number >= next_) return damaged();
    Entry entry{std::string(fields[2]), std::string(fields[3]), static_cast<DataType>(*type), std::string(fields[4])};
    make_key(key_, entry.device, entry.name, entry.type);
    if (!by_key_.emplace(key_, *number).second || !entries_.emplace(*number, std::move(entry)).second) return damaged();
  }
  return entries_.size() == *count ? Result<>{} : Result<>{damaged()};
}

Result<std::uint64_t> AliasTable::alias(const NamedMetric& metric) {
  make_key(key_, metric.device, metric.name, metric.type);
  if (const auto known = by_key_.find(key_); known != by_key_.end()) return known->second;
  if (metric.name.empty() || !fits_a_line(metric.name, kLongestName) || !fits_a_line(metric.device, kLongestDevice))
    return fail(Code::invalid_argument,
                fmt::format("'{}' cannot be the name of a metric", printable(metric.name, 128)));
  if (entries_.size() >= kMost)
    return fail(Code::resource_exhausted, fmt::format("there are {} names of metrics already", kMost));
  Entry entry{metric.device, metric.name, metric.type, fits_a_line(metric.unit, kLongestUnit) ? metric.unit : ""};
  entries_.emplace(next_, std::move(entry));
  by_key_.emplace(key_, next_);
  changed_ = true;
  return next_++;
}

Result<> AliasTable::save() {
  std::string lines;
  for (const auto& [number, entry] : entries_)
    lines += fmt::format("{}\t{}\t{}\t{}\t{}\n", number, static_cast<unsigned>(entry.type), entry.device, entry.name,
                         entry.unit);
  Result<> written = write_file_durably(path_, first_line(next_, entries_.size(), lines) + lines);
  if (written.has_error()) return std::move(written).error().within("cannot save the names of metrics");
  changed_ = false;
  return {};
}

const AliasTable::Entry* AliasTable::find(std::uint64_t alias) const {
  const auto at = entries_.find(alias);
  return at == entries_.end() ? nullptr : &at->second;
}

void AliasTable::keep_only(std::span<const std::uint64_t> used) {
  std::vector<std::uint64_t> sorted(used.begin(), used.end());
  std::ranges::sort(sorted);
  const std::size_t before = entries_.size();
  std::erase_if(entries_, [&sorted](const auto& entry) { return !std::ranges::binary_search(sorted, entry.first); });
  std::erase_if(by_key_, [&sorted](const auto& entry) { return !std::ranges::binary_search(sorted, entry.second); });
  changed_ = changed_ || entries_.size() != before;
}

}  // namespace omnitide::telemetry
