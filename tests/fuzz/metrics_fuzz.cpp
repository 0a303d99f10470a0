// Headers of a scraper, and what devices say, as text: no header may trouble the choice of the format, and whatever a
// label, a help text or a number is, a strict reader takes what we write.
#include <array>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <string_view>

#include "agent/io/http.hpp"
#include "agent/metrics/negotiate.hpp"
#include "agent/metrics/render.hpp"
#include "tests/harness/openmetrics.hpp"

using namespace omnitide;

namespace {

// What stands before the next zero byte.
std::string_view take(std::string_view& rest) {
  const std::size_t end = std::min(rest.find('\0'), rest.size());
  const std::string_view out = rest.substr(0, end);
  rest.remove_prefix(std::min(end + 1, rest.size()));
  return out;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  std::string_view rest(reinterpret_cast<const char*>(data), size);
  const std::string_view header = take(rest);
  (void)metrics::choose_format(header);
  (void)metrics::wants_html(header);
  (void)metrics::takes_gzip(header);
  io::HttpRequest request;
  request.query_text = take(rest);
  if (request.query_values("collect[]").size() > request.query_text.size() + 1) std::abort();

  const std::string_view name = take(rest), label = take(rest), help = take(rest), first = take(rest);
  const std::array labels{label};
  model::SampleBatch batch;
  for (const model::MetricType type : {model::MetricType::gauge, model::MetricType::counter}) {
    const model::MetricDescriptor& family = batch.describe({name, take(rest), help, type, labels});
    double value = 0;
    std::memcpy(&value, rest.data(), std::min(rest.size(), sizeof value));
    batch.add(family, value, {first});
    batch.add(family, value, {take(rest)});
  }
  const std::array batches{&std::as_const(batch)};
  (void)test::parse_openmetrics(metrics::render(batches, metrics::TextFormat::openmetrics).text);
  (void)metrics::render(batches);
  return 0;
}
