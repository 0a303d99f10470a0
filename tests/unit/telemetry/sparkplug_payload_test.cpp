#include "agent/telemetry/sparkplug_payload.hpp"

#include <limits>

#include "agent/base/wire.hpp"
#include "tests/harness/catch.hpp"
#include "tests/harness/sparkplug_edge.hpp"

using namespace omnitide;
using namespace omnitide::telemetry;

namespace {

std::string payload_of(const PayloadWriter::Metric& metric, std::optional<std::uint8_t> seq = {}) {
  PayloadWriter out(test::at_ms(1'700'000'000'123));
  out.add(metric);
  return std::move(out).finish(seq);
}

std::string metric_field(std::string_view inner) {
  std::string out;
  put_field(out, 2, inner);
  return out;
}

Code fault_of(std::string_view text, std::size_t most = 10) {
  const Result<PayloadView> read = read_payload(text, most);
  return read.has_error() ? read.error().code : Code::internal;
}

}  // namespace

TEST_CASE("payload: what the writer writes, the reader reads") {
  const MetricValue value = 1.25;
  const std::string text = payload_of({.name = "node_load1",
                                       .alias = 300,
                                       .time = test::at_ms(5),
                                       .type = DataType::double_,
                                       .historical = true,
                                       .value = &value,
                                       .unit = "celsius"},
                                      255);
  const Result<PayloadView> read = read_payload(text, 10);
  REQUIRE(read);
  CHECK(read->timestamp == 1'700'000'000'123U);
  CHECK(read->seq == 255U);
  REQUIRE(read->metrics.size() == 1);
  const PayloadView::Metric& metric = read->metrics[0];
  CHECK(metric.name == std::optional<std::string_view>("node_load1"));
  CHECK(metric.alias == 300U);
  CHECK(metric.timestamp == 5U);
  CHECK(metric.datatype == 10U);
  CHECK(metric.historical);
  CHECK_FALSE(metric.null);
  CHECK(metric.unit == "celsius");
  CHECK(value_as(metric, DataType::double_).value() == value);
  CHECK(value_as(metric, DataType::uint64).has_error());
}

TEST_CASE("payload: the bytes are those of the schema") {
  const MetricValue value = std::uint64_t{150};
  const std::string text = payload_of({.name = "a",
                                       .alias = 1,
                                       .time = test::at_ms(2),
                                       .type = DataType::uint64,
                                       .historical = false,
                                       .value = &value,
                                       .unit = {}},
                                      7);
  std::string expected;
  expected += "\x08\xfb\xd0\x95\xff\xbc\x31";  // 1: timestamp
  expected +=
      std::string("\x12\x0c\x0a\x01\x61\x10\x01\x18\x02\x20\x08\x58\x96\x01", 14);  // 2: name alias time type value
  expected += "\x18\x07";                                                           // 3: seq
  CHECK(text == expected);
}

TEST_CASE("payload: null, signed numbers, times before 1970") {
  const MetricValue below = std::int64_t{-2};
  const Result<PayloadView> read = read_payload(payload_of({.name = "x",
                                                            .alias = {},
                                                            .time = test::at_ms(-5),
                                                            .type = DataType::int64,
                                                            .historical = false,
                                                            .value = &below,
                                                            .unit = {}}),
                                                10);
  REQUIRE(read);
  CHECK(read->metrics[0].timestamp == 0U);
  CHECK(value_as(read->metrics[0], DataType::int64).value() == below);
  const std::string text =
      payload_of({.name = "x", .alias = {}, .time = {}, .type = {}, .historical = false, .value = nullptr, .unit = {}});
  const Result<PayloadView> null = read_payload(text, 10);
  REQUIRE(null);
  CHECK(null->metrics[0].null);
  CHECK(value_as(null->metrics[0], DataType::string).value() == MetricValue{});
}

TEST_CASE("payload: fields that are not known are passed over, repeated ones count once more") {
  std::string metric;
  put_field(metric, 1, std::string_view("first"));
  put_field(metric, 1, std::string_view("last"));
  put_field(metric, 8, std::string_view("metadata"));
  put_field(metric, 77, std::uint64_t{5});
  put_key(metric, 78, Wire::fixed32);
  metric.append("abcd");
  put_field(metric, 12, std::string_view());
  CHECK(fault_of(metric_field(metric)) == Code::invalid_argument);  // 12 is a float
  metric.clear();
  put_field(metric, 1, std::string_view("first"));
  put_field(metric, 1, std::string_view("last"));
  put_field(metric, 17, std::string_view("a data set"));
  std::string text = metric_field(metric);
  put_field(text, 4, std::string_view("uuid"));
  put_field(text, 5, std::string_view("body"));
  put_field(text, 900, 1.5);
  const Result<PayloadView> read = read_payload(text, 10);
  REQUIRE(read);
  CHECK(read->metrics[0].name == std::optional<std::string_view>("last"));
  CHECK(std::holds_alternative<PayloadView::Other>(read->metrics[0].value));
  CHECK(value_as(read->metrics[0], DataType::string).has_error());
}

TEST_CASE("payload: what is damaged, too much or of another type is refused") {
  const MetricValue value = std::string("text");
  const std::string good = payload_of({.name = "name",
                                       .alias = 1,
                                       .time = test::at_ms(1),
                                       .type = DataType::string,
                                       .historical = false,
                                       .value = &value,
                                       .unit = "bytes"},
                                      1);
  REQUIRE(read_payload(good, 10));
  std::size_t refused = 0;
  for (std::size_t cut = 1; cut < good.size(); ++cut)
    refused += read_payload(good.substr(0, cut), 10).has_error() ? 1U : 0U;
  CHECK(refused >= good.size() - 5);  // a few cuts fall between two fields
  CHECK(fault_of(good + good, 1) == Code::invalid_argument);
  CHECK(read_payload(good + good, 2));
  for (const std::string& bad : {
           std::string("\x0b\x08\x01\x0c"),                              // a group
           std::string("\x00\x01", 2),                                   // field 0
           std::string("\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02"),  // more than 64 bits
           std::string("\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"),
           std::string("\x12\xff\xff\xff\xff\x0f"),  // a length beyond the end
           std::string("\x0a\x01x"),                 // a timestamp that is a text
           std::string("\x1d\x01\x01\x01\x01"),      // a seq that is fixed32
           std::string("\x10\x05"),                  // metrics that are a number
           metric_field("\x0a\x02\xff\xfe"),         // a name that is no UTF-8
           metric_field("\x7a\x01\xff"),             // a text that is no UTF-8
           metric_field("\x08\x01"),                 // a name that is a number
           metric_field("\x4a\x03\x0a\x01k"),        // a key without value
           metric_field("\x4a\x05\x0a"),
       })
    CHECK(fault_of(bad) == Code::invalid_argument);
  CHECK(read_payload("", 10)->metrics.empty());
}

TEST_CASE("wire: numbers of each length") {
  for (unsigned bits = 0; bits <= 64; ++bits) {
    const std::uint64_t value = bits == 64 ? ~std::uint64_t{0} : (std::uint64_t{1} << bits) - 1;
    std::string text;
    put_varint(text, value);
    CHECK(text.size() == varint_size(value));
    WireReader reader(text);
    CHECK(reader.varint() == value);
    CHECK(reader.left() == 0);
  }
}
