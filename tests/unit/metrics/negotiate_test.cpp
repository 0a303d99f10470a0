#include "agent/metrics/negotiate.hpp"

#include <zlib.h>

#include <string>

#include "agent/metrics/gzip.hpp"
#include "tests/harness/catch.hpp"

using namespace omnitide;
using metrics::choose_format;
using metrics::TextFormat;

namespace {

std::string inflated(const std::string& bytes, std::size_t size) {
  std::string out(size + 1, '\0');
  z_stream stream{};
  REQUIRE(::inflateInit2(&stream, 15 + 16) == Z_OK);
  stream.next_in = reinterpret_cast<unsigned char*>(const_cast<char*>(bytes.data()));
  stream.avail_in = static_cast<unsigned>(bytes.size());
  stream.next_out = reinterpret_cast<unsigned char*>(out.data());
  stream.avail_out = static_cast<unsigned>(out.size());
  CHECK(::inflate(&stream, Z_FINISH) == Z_STREAM_END);
  out.resize(stream.total_out);
  ::inflateEnd(&stream);
  return out;
}

}  // namespace

TEST_CASE("the format is the one that the client likes best of those that there are") {
  const auto open = TextFormat::openmetrics, plain = TextFormat::prometheus;
  // Prometheus 2.42 and 3.x
  CHECK(choose_format("application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,"
                      "text/plain;version=0.0.4;q=0.5,*/*;q=0.1") == open);
  CHECK(choose_format("application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5,"
                      "application/openmetrics-text;version=0.0.1;q=0.4,text/plain;version=1.0.0;q=0.3,"
                      "text/plain;version=0.0.4;q=0.2,*/*;q=0.1") == open);
  CHECK(choose_format("") == plain);
  CHECK(choose_format("*/*") == plain);
  CHECK(choose_format("text/plain") == plain);
  CHECK(choose_format("application/openmetrics-text") == open);
  CHECK(choose_format("Application/OpenMetrics-Text ; Version=\"1.0.0\" ; charset=utf-8") == open);
  CHECK(choose_format("application/openmetrics-text;version=0.0.1") == plain);
  CHECK(choose_format("application/openmetrics-text;version=2.0.0, text/plain;q=0.1") == plain);
  CHECK(choose_format("application/openmetrics-text;q=0.4, text/plain;q=0.5") == plain);
  CHECK(choose_format("text/plain;q=0.001, application/openmetrics-text;q=0.002") == open);
  CHECK(choose_format("text/plain, application/openmetrics-text") == plain);
  CHECK(choose_format("application/openmetrics-text;q=0") == plain);
  CHECK(choose_format("application/openmetrics-text;q=nonsense,*/*;q=0.1") == plain);
  CHECK(choose_format("application/openmetrics-text;q=1.5,*/*;q=0.1") == open);  // more than all is all
  CHECK(choose_format(",,;;,\"a,b\",=;q=,application/openmetrics-text,\"") == open);
  CHECK(choose_format("text/plain;x=\"application/openmetrics-text,\";q=0.5") == plain);
}

TEST_CASE("HTML is for those who ask for it by name") {
  CHECK(metrics::wants_html("text/html,application/xhtml+xml,*/*;q=0.8"));
  CHECK_FALSE(metrics::wants_html("*/*"));
  CHECK_FALSE(metrics::wants_html(""));
  CHECK_FALSE(metrics::wants_html("text/html;q=0, */*"));
}

TEST_CASE("gzip is for those who take it") {
  CHECK(metrics::takes_gzip("gzip"));
  CHECK(metrics::takes_gzip("deflate, GZIP;q=0.5"));
  CHECK(metrics::takes_gzip("br, *;q=0.1"));
  CHECK_FALSE(metrics::takes_gzip(""));
  CHECK_FALSE(metrics::takes_gzip("identity"));
  CHECK_FALSE(metrics::takes_gzip("gzip;q=0, *"));
  CHECK_FALSE(metrics::takes_gzip("gzip;q=0.000"));
}

TEST_CASE("what was compressed piece by piece comes back whole") {
  std::string text;
  metrics::Gzip gzip;
  for (int i = 0; i < 20000; ++i) {
    const std::string piece = "node_disk_io{device=\"sd" + std::to_string(i * 7919 % 1000) + "\"} " +
                              std::to_string(i * 104729 % 99991) + "\n";
    text += piece;
    gzip.write(piece);
  }
  const std::string bytes = gzip.finish();
  CHECK(bytes.size() < text.size() / 3);
  CHECK(inflated(bytes, text.size()) == text);
  gzip.write("another text\n");
  CHECK(inflated(gzip.finish(), 13) == "another text\n");
  CHECK(inflated(metrics::Gzip().finish(), 0).empty());
}
