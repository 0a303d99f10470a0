// Samples as Sparkplug metrics: which ones, under which names, and which of them changed enough to be told.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "agent/base/clock.hpp"
#include "agent/base/error.hpp"
#include "agent/model/sample_batch.hpp"

namespace omnitide::telemetry {

// The data types of Sparkplug that the agent uses, with the specification's numbers.
enum class DataType : std::uint8_t { int64 = 4, uint64 = 8, double_ = 10, boolean = 11, string = 12 };
[[nodiscard]] constexpr bool is_data_type(std::uint64_t number) {
  return number == 4 || number == 8 || (number >= 10 && number <= 12);
}
// monostate: the metric is known and has no value now (is_null).
using MetricValue = std::variant<std::monostate, std::int64_t, std::uint64_t, double, bool, std::string>;

struct NamedMetric {
  std::string device;  // "" : of the node itself; else "disk:sda", "nic:eth0", "gpu:0", ...
  std::string name;    // family/label=value/..., see docs/sparkplug.md
  DataType type = DataType::double_;
  MetricValue value;
  std::string unit;  // property "engUnit"; empty: none
  bool operator==(const NamedMetric&) const = default;
};

struct KnownMetric {
  std::uint64_t alias = 0;
  NamedMetric metric;
};

// What is told of one moment. Aliases are of the AliasTable.
struct ReportedValue {
  std::uint64_t alias = 0;
  DataType type = DataType::double_;
  MetricValue value;
};
struct Report {
  std::string device;
  WallTime time{};
  std::vector<ReportedValue> values;
};

// Names and their numbers. An alias once given keeps its meaning for good, over restarts too: records in the spool
// carry aliases only. Bounded; saved durably before a new alias is used.
class AliasTable {
 public:
  static constexpr std::size_t kMost = 16'384;
  static constexpr std::uint64_t kFirst = 16;  // smaller ones are of sparkplug_control.hpp
  struct Entry {
    std::string device, name;
    DataType type = DataType::double_;
    std::string unit;
  };
  // A missing file is an empty table; data_loss for a damaged one: then what the spool has under aliases has no meaning
  // any more, and fresh() goes on.
  [[nodiscard]] static Result<AliasTable> load(std::string path);
  // An empty table for the place of a damaged one. Its numbers are none that the damaged one gave: they begin at a
  // block of their own for each second of `now` (never before the program was built).
  [[nodiscard]] static AliasTable fresh(std::string path, WallTime now);
  // The alias of the metric: the old one if device, name and type are known. resource_exhausted beyond kMost;
  // invalid_argument for a name or device that is empty or too long, or has a line end or a tab.
  [[nodiscard]] Result<std::uint64_t> alias(const NamedMetric& metric);
  [[nodiscard]] bool changed() const { return changed_; }  // since save()
  [[nodiscard]] Result<> save();  // blocks: for a worker, or for the few times that a name is new
  [[nodiscard]] const Entry* find(std::uint64_t alias) const;  // null: unknown
  [[nodiscard]] std::size_t size() const { return entries_.size(); }
  // Forgets all names that are not in `used`; only while no record carries others. Their numbers are not used again.
  void keep_only(std::span<const std::uint64_t> used);

 private:
  [[nodiscard]] Result<> read_lines(std::string_view text);

  std::string path_;
  std::map<std::uint64_t, Entry> entries_;
  std::map<std::string, std::uint64_t, std::less<>> by_key_;
  std::string key_;  // reused
  std::uint64_t next_ = kFirst;
  bool changed_ = false;
};

// A record of Stream::sparkplug.
[[nodiscard]] std::string encode_record(const Report& report);
[[nodiscard]] Result<Report> decode_record(std::string_view payload);

}  // namespace omnitide::telemetry
