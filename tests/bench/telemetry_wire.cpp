// How many bytes the values that are in Sparkplug take when they are sent at each interval in other ways: as JSON the
// way Telegraf writes it, and by Prometheus' remote write. Reads collections that an agent gave (GET /v1/metrics as
// protobuf), a file each, and prints "METRICS JSON_BYTES REMOTE_WRITE_BYTES" for all of them together.
//
// JSON: one message a collection, series with the same tags in one object, as Telegraf's serializer does with
// metric_batch (https://docs.influxdata.com/telegraf/v1/data_formats/output/json/), MQTT's PUBLISH at QoS 0 around it.
// Remote write 0.1: a WriteRequest in snappy (https://prometheus.io/docs/specs/remote_write_spec/), with the headers
// that the specification demands and the shortest answer.
#include <fmt/format.h>
#include <snappy-c.h>

#include <bit>
#include <cstdint>
#include <fstream>
#include <iterator>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "agent/base/text.hpp"
#include "agent/model/sample_batch.hpp"
#include "agent/telemetry/metric_selector.hpp"
#include "omnitide/node/v1/metrics.pb.h"

namespace {

using namespace omnitide;

constexpr std::string_view kHost = "press-7";

model::MetricType type_of(std::string_view name) {
  if (name == "counter") return model::MetricType::counter;
  if (name == "histogram") return model::MetricType::histogram;
  if (name == "summary") return model::MetricType::summary;
  return name == "gauge" ? model::MetricType::gauge : model::MetricType::unknown;
}

void fill(const node::v1::MetricFamilyList& list, model::SampleBatch& out) {
  for (const node::v1::MetricFamily& family : list.items()) {
    for (const node::v1::MetricValue& value : family.values()) {
      const std::map<std::string, std::string> labels(value.labels().begin(), value.labels().end());
      std::vector<std::string_view> names, values;
      for (const auto& [name, text] : labels) {
        names.push_back(name);
        values.push_back(text);
      }
      const model::MetricDescriptor& descriptor =
          out.describe({family.name(), family.unit(), family.help(), type_of(family.type()), names});
      if (family.type() != "histogram" && family.type() != "summary") {
        out.add(descriptor, value.value(), values);
        continue;
      }
      std::vector<model::Distribution::Point> points;
      for (const node::v1::MetricPoint& point : value.points())
        points.push_back({point.at(), point.value()});
      out.add(descriptor, model::Distribution{points, value.sum(), value.count()}, values);
    }
  }
}

// "family/label=value/part" of "disk:sda" as a Prometheus series: family_part{device="sda", label="value"}.
struct Series {
  std::string name;
  std::map<std::string, std::string> labels;
  double value = 0;
  std::string text;  // of the value
};

std::string decoded(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const auto byte = text[i] == '%' && i + 2 < text.size() ? hex_decode(text.substr(i + 1, 2)) : std::nullopt;
    out += byte ? byte->front() : text[i];
    if (byte) i += 2;
  }
  return out;
}

bool series_of(const telemetry::NamedMetric& metric, Series& out) {
  out = {};
  for (const std::string_view part : split(metric.name, '/')) {
    const std::size_t equals = part.find('=');
    if (equals != std::string_view::npos)
      out.labels[std::string(part.substr(0, equals))] = decoded(part.substr(equals + 1));
    else
      out.name += (out.name.empty() ? "" : "_") + std::string(part);
  }
  const std::size_t colon = metric.device.find(':');
  if (colon != std::string::npos) out.labels["device"] = metric.device.substr(colon + 1);
  return std::visit(
      [&out](const auto& value) {
        using T = std::decay_t<decltype(value)>;
        if constexpr (std::is_arithmetic_v<T>) {
          out.value = static_cast<double>(value);
          out.text = fmt::format("{}", value);
          return true;
        }
        return false;
      },
      metric.value);
}

std::size_t varint_size(std::uint64_t value) { return (static_cast<std::size_t>(std::bit_width(value | 1U)) + 6) / 7; }

// MQTT 3.1.1: fixed header, topic with its length.
std::size_t publish_size(std::string_view topic, std::size_t payload) {
  const std::size_t rest = 2 + topic.size() + payload;
  return 1 + varint_size(rest) + rest;
}

std::size_t json_size(const std::vector<Series>& all) {
  std::size_t out = 0;
  for (const Series& series : all) {
    std::string tags = fmt::format("\"host\":\"{}\"", kHost);
    for (const auto& [name, value] : series.labels)
      tags += fmt::format(",{}:{}", json_quote(name), json_quote(value));
    const std::string_view field = series.name.ends_with("_total") ? "counter" : "gauge";
    const std::string text = fmt::format(R"({{"fields":{{"{}":{}}},"name":{},"tags":{{{}}},"timestamp":1700000000}})",
                                         field, series.text, json_quote(series.name), tags);
    out += publish_size(fmt::format("telegraf/{}/{}", kHost, series.name), text.size());
  }
  return out;
}

std::size_t batched_json_size(const std::vector<Series>& all) {
  std::map<std::map<std::string, std::string>, std::string> fields;  // by tags
  for (const Series& series : all) {
    std::string& text = fields[series.labels];
    text += fmt::format("{}{}:{}", text.empty() ? "" : ",", json_quote(series.name), series.text);
  }
  std::string out;
  for (const auto& [labels, text] : fields) {
    std::string tags = fmt::format("\"host\":\"{}\"", kHost);
    for (const auto& [name, value] : labels)
      tags += fmt::format(",{}:{}", json_quote(name), json_quote(value));
    out += fmt::format(R"({}{{"fields":{{{}}},"name":"prometheus","tags":{{{}}},"timestamp":1700000000}})",
                       out.empty() ? "" : ",", text, tags);
  }
  out = fmt::format(R"({{"metrics":[{}]}})", out);
  return publish_size(fmt::format("telegraf/{}/prometheus", kHost), out.size());
}

void put_varint(std::uint64_t value, std::string& out) {
  for (; value >= 0x80; value >>= 7U)
    out += static_cast<char>(0x80U | (value & 0x7FU));
  out += static_cast<char>(value);
}

void put_bytes(unsigned field, std::string_view bytes, std::string& out) {
  put_varint(field << 3U | 2U, out);
  put_varint(bytes.size(), out);
  out += bytes;
}

void put_label(std::string_view name, std::string_view value, std::string& out) {
  std::string label;
  put_bytes(1, name, label);
  put_bytes(2, value, label);
  put_bytes(1, label, out);
}

std::size_t remote_write_size(const std::vector<Series>& all, std::uint64_t time) {
  std::string request;
  for (const Series& series : all) {
    std::map<std::string, std::string> labels = series.labels;
    labels["__name__"] = series.name;
    labels["instance"] = kHost;
    labels["job"] = "node";
    std::string text, sample;
    for (const auto& [name, value] : labels)
      put_label(name, value, text);
    sample += static_cast<char>(1U << 3U | 1U);  // fixed64
    const auto bits = std::bit_cast<std::uint64_t>(series.value);
    for (unsigned shift = 0; shift < 64; shift += 8)
      sample += static_cast<char>(bits >> shift & 0xFFU);
    put_varint(2U << 3U, sample);
    put_varint(time, sample);
    put_bytes(2, sample, text);
    put_bytes(1, text, request);
  }
  std::size_t size = snappy_max_compressed_length(request.size());
  std::string packed(size, '\0');
  if (snappy_compress(request.data(), request.size(), packed.data(), &size) != SNAPPY_OK) return 0;
  const std::string headers = fmt::format(
      "POST /api/v1/write HTTP/1.1\r\nHost: prometheus.example:9090\r\nContent-Length: {}\r\nContent-Encoding: "
      "snappy\r\n"
      "Content-Type: application/x-protobuf\r\nUser-Agent: node\r\nX-Prometheus-Remote-Write-Version: 0.1.0\r\n\r\n",
      size);
  constexpr std::string_view kAnswer = "HTTP/1.1 204 No Content\r\n\r\n";
  return headers.size() + size + kAnswer.size();
}

}  // namespace

int main(int argc, char* argv[]) {
  telemetry::MetricSelector selector(telemetry::default_selection());
  std::size_t metrics = 0, json = 0, batched = 0, remote_write = 0;
  std::uint64_t time = 1'700'000'000'000;
  for (int i = 1; i < argc; ++i) {
    std::ifstream file(argv[i], std::ios::binary);
    const std::string bytes{std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
    node::v1::MetricFamilyList list;
    if (bytes.empty() || !list.ParseFromString(bytes)) {
      fmt::print(stderr, "telemetry_wire: {} is no collection\n", argv[i]);
      return 1;
    }
    model::SampleBatch batch;
    fill(list, batch);
    const model::SampleBatch* const batches[] = {&batch};
    std::vector<Series> all;
    Series one;
    for (const telemetry::NamedMetric& metric : selector.select(batches))
      if (series_of(metric, one)) all.push_back(one);
    metrics += all.size();
    json += json_size(all);
    batched += batched_json_size(all);
    remote_write += remote_write_size(all, time += 10'000);
  }
  fmt::print("{} {} {} {}\n", metrics, json, batched, remote_write);
  return 0;
}
