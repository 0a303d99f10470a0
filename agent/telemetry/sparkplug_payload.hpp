// Payloads of Sparkplug B. Field numbers are those of the schema in chapter 6 of the specification 3.0; what the agent
// never sends (data sets, templates, files, metadata) is passed over when read.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "agent/base/clock.hpp"
#include "agent/base/error.hpp"
#include "agent/telemetry/metric_set.hpp"

namespace omnitide::telemetry {

// The numbers of the schema.
namespace sparkplug_field {
inline constexpr std::uint32_t kTimestamp = 1, kMetrics = 2, kSeq = 3;
inline constexpr std::uint32_t kName = 1, kAlias = 2, kMetricTimestamp = 3, kDataType = 4, kIsHistorical = 5,
                               kIsNull = 7, kProperties = 9, kInt = 10, kLong = 11, kFloat = 12, kDouble = 13,
                               kBoolean = 14, kString = 15;
inline constexpr std::uint32_t kKeys = 1, kValues = 2, kPropertyType = 1, kPropertyString = 8;
}  // namespace sparkplug_field

// Times are milliseconds since 1970 in UTC; a time before 1970 becomes 0.
class PayloadWriter {
 public:
  struct Metric {
    std::string_view name;  // empty: by alias only
    std::optional<std::uint64_t> alias;
    std::optional<WallTime> time;
    std::optional<DataType> type;  // births only
    bool historical = false;
    const MetricValue* value = nullptr;  // null or monostate: is_null
    std::string_view unit;               // property engUnit; empty: none
  };
  explicit PayloadWriter(std::optional<WallTime> time);
  void add(const Metric& metric);
  [[nodiscard]] std::size_t size() const { return out_.size(); }
  [[nodiscard]] std::string finish(std::optional<std::uint8_t> seq) &&;

 private:
  std::string out_, metric_;
};

// A payload as read. Texts point into what was read.
struct PayloadView {
  // A value of a kind that the agent does not use: data set, template, bytes, extension.
  struct Other {
    bool operator==(const Other&) const = default;
  };
  using Value =
      std::variant<std::monostate, std::uint32_t, std::uint64_t, float, double, bool, std::string_view, Other>;
  struct Metric {
    std::optional<std::string_view> name;
    std::optional<std::uint64_t> alias, timestamp;
    std::optional<std::uint32_t> datatype;
    bool historical = false, null = false;
    Value value;
    std::string_view unit;
  };
  std::optional<std::uint64_t> timestamp, seq;
  std::vector<Metric> metrics;
};

// invalid_argument for what is no payload, has a text that is no UTF-8, or holds more than `most` metrics. Takes memory
// in proportion to the text; the caller bounds its length.
[[nodiscard]] Result<PayloadView> read_payload(std::string_view text, std::size_t most);

// The value as the type has it: an int64 comes as an unsigned field. invalid_argument: the field is another one.
[[nodiscard]] Result<MetricValue> value_as(const PayloadView::Metric& metric, DataType type);

}  // namespace omnitide::telemetry
