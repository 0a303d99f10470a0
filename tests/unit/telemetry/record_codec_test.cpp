#include <cmath>
#include <limits>

#include "agent/telemetry/metric_set.hpp"
#include "tests/harness/catch.hpp"
#include "tests/harness/sparkplug_edge.hpp"

using namespace omnitide;
using namespace omnitide::telemetry;

namespace {

bool same(const Report& a, const Report& b) {
  if (a.device != b.device || a.time != b.time || a.values.size() != b.values.size()) return false;
  for (std::size_t i = 0; i < a.values.size(); ++i) {
    if (a.values[i].alias != b.values[i].alias || a.values[i].type != b.values[i].type ||
        a.values[i].value != b.values[i].value)
      return false;
  }
  return true;
}

Report typical() {
  return {"disk:sda",
          test::at_ms(1'700'000'000'123),
          {{16, DataType::double_, 1.5},
           {17, DataType::uint64, ~std::uint64_t{0}},
           {5, DataType::int64, std::numeric_limits<std::int64_t>::min()},
           {~std::uint64_t{0}, DataType::boolean, true},
           {0, DataType::boolean, false},
           {20, DataType::string, std::string("text\0with a zero", 16)},
           {21, DataType::string, std::string()},
           {22, DataType::double_, MetricValue{}},
           {23, DataType::string, MetricValue{}}}};
}

}  // namespace

TEST_CASE("records: come back as they went") {
  for (const Report& report : {typical(), Report{}, Report{"", test::at_ms(-5), {{1, DataType::double_, -0.0}}}}) {
    const Result<Report> read = decode_record(encode_record(report));
    REQUIRE(read);
    CHECK(same(*read, report));
  }
}

TEST_CASE("records: are small") {
  Report report{"", test::at_ms(1'700'000'000'000), {}};
  for (std::uint64_t i = 0; i < 100; ++i)
    report.values.push_back({16 + i, DataType::uint64, std::uint64_t{1'000'000} + i});
  CHECK(encode_record(report).size() < 100 * 6);
}

TEST_CASE("records: damaged ones are data_loss and take no memory for what they claim") {
  const std::string good = encode_record(typical());
  for (std::size_t cut = 0; cut < good.size(); ++cut) {
    const Result<Report> read = decode_record(good.substr(0, cut));
    REQUIRE(read.has_error());
    CHECK(read.error().code == Code::data_loss);
  }
  CHECK(decode_record(good + "x").has_error());
  CHECK(decode_record(std::string("\x01\x00\x00\xff\xff\xff\xff\xff\xff\xff\xff\x7f\x00\x0a", 14)).has_error());
  CHECK(decode_record(std::string("\x02\x00\x00\x00", 4)).has_error());
  CHECK(decode_record(std::string("\x01\x00\x00\x01\x02\x09\x00", 7)).has_error());  // a type that is not used
  CHECK(decode_record(std::string("\x01\x00\x00\x01\x02\x89", 6)).has_error());      // also as null
  for (std::size_t at = 0; at < good.size(); ++at) {
    std::string flipped = good;
    flipped[at] = static_cast<char>(flipped[at] ^ 0x55);
    (void)decode_record(flipped);  // may be read as something else, and must not do more
  }
}
