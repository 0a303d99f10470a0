#include "agent/telemetry/sparkplug_payload.hpp"

#include <fmt/format.h>

#include <bit>
#include <type_traits>

#include "agent/base/text.hpp"
#include "agent/base/wire.hpp"

namespace omnitide::telemetry {

namespace field = sparkplug_field;

namespace {

std::uint64_t milliseconds(WallTime time) {
  const auto count = time.time_since_epoch().count();
  return count < 0 ? 0 : static_cast<std::uint64_t>(count);
}

void put_value(std::string& out, const MetricValue& value) {
  std::visit(
      [&out](const auto& held) {
        using T = std::remove_cvref_t<decltype(held)>;
        if constexpr (std::is_same_v<T, std::monostate>)
          put_field(out, field::kIsNull, std::uint64_t{1});
        else if constexpr (std::is_same_v<T, bool>)
          put_field(out, field::kBoolean, std::uint64_t{held});
        else if constexpr (std::is_same_v<T, double>)
          put_field(out, field::kDouble, held);
        else if constexpr (std::is_same_v<T, std::string>)
          put_field(out, field::kString, std::string_view(held));
        else
          put_field(out, field::kLong, static_cast<std::uint64_t>(held));
      },
      value);
}

// A property set of one text: {engUnit: unit}.
void put_unit(std::string& out, std::string_view unit) {
  std::string value, set;
  put_field(value, field::kPropertyType, static_cast<std::uint64_t>(DataType::string));
  put_field(value, field::kPropertyString, unit);
  put_field(set, field::kKeys, std::string_view("engUnit"));
  put_field(set, field::kValues, std::string_view(value));
  put_field(out, field::kProperties, std::string_view(set));
}

bool is_utf8(std::string_view text) { return valid_utf8(text) == text; }

Error garbage(std::string_view what) {
  return fail(Code::invalid_argument, fmt::format("is no Sparkplug payload: {}", what));
}

// The engUnit of a property set, empty when it has none.
Result<std::string_view> unit_of(std::string_view set) {
  std::vector<std::string_view> keys, values;
  WireReader reader(set);
  while (const std::optional<WireReader::Field> at = reader.next()) {
    if (at->wire != Wire::bytes) continue;
    if (at->number == field::kKeys) keys.push_back(at->bytes);
    if (at->number == field::kValues) values.push_back(at->bytes);
  }
  if (!reader.good() || keys.size() != values.size()) return garbage("a property set is damaged");
  for (std::size_t i = 0; i < keys.size(); ++i) {
    if (keys[i] != "engUnit") continue;
    WireReader value(values[i]);
    while (const std::optional<WireReader::Field> at = value.next()) {
      if (at->number == field::kPropertyString && at->wire == Wire::bytes && is_utf8(at->bytes)) return at->bytes;
    }
  }
  return std::string_view{};
}

// The wire type that the schema gives to a field of a metric; nothing: passed over.
std::optional<Wire> wire_of(std::uint32_t number) {
  switch (number) {
    case field::kAlias:
    case field::kMetricTimestamp:
    case field::kDataType:
    case field::kIsHistorical:
    case field::kIsNull:
    case field::kInt:
    case field::kLong:
    case field::kBoolean: return Wire::varint;
    case field::kFloat: return Wire::fixed32;
    case field::kDouble: return Wire::fixed64;
    case field::kName:
    case field::kString:
    case field::kProperties: return Wire::bytes;
    default: return std::nullopt;
  }
}

Result<> take(PayloadView::Metric& out, const WireReader::Field& at) {
  switch (at.number) {
    case field::kName: out.name = at.bytes; break;
    case field::kAlias: out.alias = at.value; break;
    case field::kMetricTimestamp: out.timestamp = at.value; break;
    case field::kDataType: out.datatype = static_cast<std::uint32_t>(at.value); break;
    case field::kIsHistorical: out.historical = at.value != 0; break;
    case field::kIsNull: out.null = at.value != 0; break;
    case field::kInt: out.value = static_cast<std::uint32_t>(at.value); break;
    case field::kLong: out.value = at.value; break;
    case field::kFloat: out.value = std::bit_cast<float>(static_cast<std::uint32_t>(at.value)); break;
    case field::kDouble: out.value = std::bit_cast<double>(at.value); break;
    case field::kBoolean: out.value = at.value != 0; break;
    case field::kString: out.value = at.bytes; break;
    case field::kProperties: {
      const Result<std::string_view> unit = unit_of(at.bytes);
      if (unit.has_error()) return unit.error();
      out.unit = *unit;
      break;
    }
    default: break;
  }
  return {};
}

Result<PayloadView::Metric> read_metric(std::string_view text) {
  constexpr std::uint32_t kFirstOther = 16, kLastOther = 19;  // bytes, data set, template, extension
  PayloadView::Metric out;
  WireReader reader(text);
  while (const std::optional<WireReader::Field> at = reader.next()) {
    if (at->number >= kFirstOther && at->number <= kLastOther) out.value = PayloadView::Other{};
    const std::optional<Wire> wire = wire_of(at->number);
    if (!wire) continue;
    if (at->wire != *wire) return garbage(fmt::format("field {} of a metric is of another type", at->number));
    if ((at->number == field::kName || at->number == field::kString) && !is_utf8(at->bytes))
      return garbage("a text is not UTF-8");
    if (const Result<> taken = take(out, *at); taken.has_error()) return taken.error();
  }
  if (!reader.good()) return garbage("a metric is damaged");
  return out;
}

}  // namespace

PayloadWriter::PayloadWriter(std::optional<WallTime> time) {
  if (time) put_field(out_, field::kTimestamp, milliseconds(*time));
}

void PayloadWriter::add(const Metric& metric) {
  metric_.clear();
  if (!metric.name.empty()) put_field(metric_, field::kName, metric.name);
  if (metric.alias) put_field(metric_, field::kAlias, *metric.alias);
  if (metric.time) put_field(metric_, field::kMetricTimestamp, milliseconds(*metric.time));
  if (metric.type) put_field(metric_, field::kDataType, static_cast<std::uint64_t>(*metric.type));
  if (metric.historical) put_field(metric_, field::kIsHistorical, std::uint64_t{1});
  if (!metric.unit.empty()) put_unit(metric_, metric.unit);
  put_value(metric_, metric.value == nullptr ? MetricValue{} : *metric.value);
  put_field(out_, field::kMetrics, std::string_view(metric_));
}

std::string PayloadWriter::finish(std::optional<std::uint8_t> seq) && {
  if (seq) put_field(out_, field::kSeq, std::uint64_t{*seq});
  return std::move(out_);
}

Result<PayloadView> read_payload(std::string_view text, std::size_t most) {
  PayloadView out;
  WireReader reader(text);
  while (const std::optional<WireReader::Field> at = reader.next()) {
    if (at->number == field::kMetrics && at->wire == Wire::bytes) {
      if (out.metrics.size() == most) return garbage(fmt::format("it has more than {} metrics", most));
      Result<PayloadView::Metric> metric = read_metric(at->bytes);
      if (metric.has_error()) return metric.error();
      out.metrics.push_back(*metric);
    } else if (at->number <= field::kSeq && at->wire != Wire::varint) {
      return garbage(fmt::format("field {} is of another type", at->number));
    } else if (at->number == field::kTimestamp) {
      out.timestamp = at->value;
    } else if (at->number == field::kSeq) {
      out.seq = at->value;
    } else if (at->number == field::kMetrics) {
      return garbage("field 2 is of another type");
    }
  }
  if (!reader.good()) return garbage("it breaks off or is damaged");
  return out;
}

Result<MetricValue> value_as(const PayloadView::Metric& metric, DataType type) {
  if (metric.null) return MetricValue{};
  const auto wrong = [] { return fail(Code::invalid_argument, "the value is of another type"); };
  const auto number = [&metric]() -> std::optional<std::uint64_t> {
    if (const auto* value = std::get_if<std::uint64_t>(&metric.value)) return *value;
    if (const auto* value = std::get_if<std::uint32_t>(&metric.value)) return *value;
    return std::nullopt;
  };
  switch (type) {
    case DataType::int64:
      if (number()) return MetricValue{static_cast<std::int64_t>(*number())};
      break;
    case DataType::uint64:
      if (number()) return MetricValue{*number()};
      break;
    case DataType::double_:
      if (const auto* value = std::get_if<double>(&metric.value)) return MetricValue{*value};
      if (const auto* value = std::get_if<float>(&metric.value)) return MetricValue{double{*value}};
      break;
    case DataType::boolean:
      if (const auto* value = std::get_if<bool>(&metric.value)) return MetricValue{*value};
      break;
    case DataType::string:
      if (const auto* value = std::get_if<std::string_view>(&metric.value)) return MetricValue{std::string(*value)};
      break;
  }
  return wrong();
}

}  // namespace omnitide::telemetry
