// A record of Stream::sparkplug on disk: version, milliseconds since 1970 (zigzag), device, number of values, and for
// each value the step from the alias before (zigzag), a byte of type and null flag, and the value.
#include <fmt/format.h>

#include <bit>
#include <type_traits>

#include "agent/base/wire.hpp"
#include "agent/telemetry/metric_name.hpp"
#include "agent/telemetry/metric_set.hpp"

namespace omnitide::telemetry {

namespace {

constexpr std::uint64_t kVersion = 1;
constexpr std::uint8_t kNull = 0x80;
constexpr std::size_t kLeastValue = 2;  // bytes that a value takes at least

std::uint64_t zigzag(std::int64_t value) {
  return (static_cast<std::uint64_t>(value) << 1U) ^ static_cast<std::uint64_t>(value >> 63);
}
std::int64_t unzigzag(std::uint64_t value) { return static_cast<std::int64_t>((value >> 1U) ^ (~(value & 1U) + 1U)); }

void put_bytes(std::string& out, std::string_view text) {
  put_varint(out, text.size());
  out += text;
}

Error damaged() { return fail(Code::data_loss, "a record of metrics is damaged"); }

std::optional<std::string_view> read_bytes(WireReader& from) {
  const std::optional<std::uint64_t> length = from.varint();
  return length ? from.bytes(*length) : std::nullopt;
}

std::optional<MetricValue> read_value(WireReader& from, DataType type) {
  std::optional<std::uint64_t> number;
  switch (type) {
    case DataType::int64:
      number = from.varint();
      return number ? std::optional<MetricValue>(unzigzag(*number)) : std::nullopt;
    case DataType::uint64: number = from.varint(); return number ? std::optional<MetricValue>(*number) : std::nullopt;
    case DataType::double_:
      number = from.fixed(8);
      return number ? std::optional<MetricValue>(std::bit_cast<double>(*number)) : std::nullopt;
    case DataType::boolean:
      number = from.fixed(1);
      return number && *number <= 1 ? std::optional<MetricValue>(*number == 1) : std::nullopt;
    case DataType::string: {
      const std::optional<std::string_view> text = read_bytes(from);
      return text ? std::optional<MetricValue>(std::string(*text)) : std::nullopt;
    }
  }
  return std::nullopt;
}

}  // namespace

std::string encode_record(const Report& report) {
  std::string out;
  put_varint(out, kVersion);
  put_varint(out, zigzag(report.time.time_since_epoch().count()));
  put_bytes(out, report.device);
  put_varint(out, report.values.size());
  std::uint64_t before = 0;
  for (const ReportedValue& value : report.values) {
    put_varint(out, zigzag(static_cast<std::int64_t>(value.alias - before)));
    before = value.alias;
    const bool null = std::holds_alternative<std::monostate>(value.value);
    out += static_cast<char>(static_cast<std::uint8_t>(value.type) | (null ? kNull : 0));
    std::visit(
        [&out](const auto& held) {
          using T = std::remove_cvref_t<decltype(held)>;
          if constexpr (std::is_same_v<T, bool>)
            out += static_cast<char>(held ? 1 : 0);
          else if constexpr (std::is_same_v<T, std::int64_t>)
            put_varint(out, zigzag(held));
          else if constexpr (std::is_same_v<T, std::uint64_t>)
            put_varint(out, held);
          else if constexpr (std::is_same_v<T, double>)
            put_little_endian(out, std::bit_cast<std::uint64_t>(held));
          else if constexpr (std::is_same_v<T, std::string>)
            put_bytes(out, held);
        },
        value.value);
  }
  return out;
}

Result<Report> decode_record(std::string_view payload) {
  WireReader from(payload);
  Report out;
  if (from.varint() != kVersion) return damaged();
  const std::optional<std::uint64_t> time = from.varint();
  const std::optional<std::string_view> device = time ? read_bytes(from) : std::nullopt;
  const std::optional<std::uint64_t> count = device ? from.varint() : std::nullopt;
  if (!count || *count > from.left() / kLeastValue) return damaged();
  out.time = WallTime{std::chrono::milliseconds{unzigzag(*time)}};
  out.device = *device;
  out.values.reserve(*count);
  std::uint64_t alias = 0;
  for (std::uint64_t i = 0; i < *count; ++i) {
    const std::optional<std::uint64_t> step = from.varint();
    const std::optional<std::uint64_t> kind = step ? from.fixed(1) : std::nullopt;
    if (!kind || !is_data_type(*kind & ~std::uint64_t{kNull})) return damaged();
    alias += static_cast<std::uint64_t>(unzigzag(*step));
    const auto type = static_cast<DataType>(*kind & ~std::uint64_t{kNull});
    std::optional<MetricValue> value;
    if ((*kind & kNull) != 0)
      value = MetricValue{};
    else
      value = read_value(from, type);
    if (!value) return damaged();
    out.values.push_back({alias, type, std::move(*value)});
  }
  if (from.left() != 0) return damaged();
  return out;
}

}  // namespace omnitide::telemetry
