// How long 1,500 samples take to become text, and to be compressed: as many and as long as node_exporter's on a machine
// with ten disks and interfaces.
#include <array>
#include <chrono>
#include <string>

#include "agent/metrics/gzip.hpp"
#include "agent/metrics/render.hpp"
#include "tests/bench/rows.hpp"

using namespace omnitide;

namespace {

constexpr std::array<std::string_view, 1> kDevice{"device"};
constexpr std::array<std::string_view, 2> kMode{"cpu", "mode"};

model::SampleBatch make_batch() {
  model::SampleBatch out;
  for (int i = 0; i < 300; ++i) {
    const std::string name = fmt::format("node_memory_Something{}_like_this_bytes", i * 7919 % 300);
    out.add(out.describe({name, "bytes", "Memory information field Something_bytes.", model::MetricType::gauge, {}}),
            4096.0 * i * i);
  }
  std::vector<const model::MetricDescriptor*> fields;
  for (int i = 0; i < 70; ++i) {
    const std::string name = fmt::format("node_network_receive_field{}_total", i * 31 % 70);
    fields.push_back(
        &out.describe({name, "", "Network device statistic receive field.", model::MetricType::counter, kDevice}));
  }
  for (int device = 0; device < 15; ++device)
    for (std::size_t i = 0; i < fields.size(); ++i)
      out.add(*fields[i], 1000003.0 * static_cast<double>(i), {fmt::format("enp{}s0", device)});
  const model::MetricDescriptor& cpu = out.describe(
      {"node_cpu_seconds_total", "seconds", "Seconds the CPUs spent in each mode.", model::MetricType::counter, kMode});
  for (int i = 0; i < 150; ++i)
    out.add(cpu, i * 0.37, {std::to_string(i / 8), fmt::format("mode{}", i % 8)});
  return out;
}

double microseconds(const std::function<void()>& work) {
  std::vector<double> times;
  for (int i = 0; i < 300; ++i) {
    const auto before = std::chrono::steady_clock::now();
    work();
    times.push_back(std::chrono::duration<double, std::micro>(std::chrono::steady_clock::now() - before).count());
  }
  std::sort(times.begin(), times.end());
  return times[times.size() / 2];
}

}  // namespace

int main() {
  const model::SampleBatch batch = make_batch();
  const std::array batches{&batch};
  const auto time = [&batches](metrics::TextFormat format) {
    return microseconds([&batches, format] { (void)metrics::render(batches, format).text.size(); });
  };
  const std::string text = metrics::render(batches).text;
  bench::row("samples", std::to_string(batch.size()));
  bench::row("text", fmt::format("{} KB", text.size() / 1024));
  bench::row("render, text 0.0.4", time(metrics::TextFormat::prometheus) / 1000, 0.3);
  bench::row("render, OpenMetrics", time(metrics::TextFormat::openmetrics) / 1000, 0.3);
  const double gzip = microseconds([&text] {
    metrics::Gzip out;
    out.write(text);
    (void)out.finish();
  });
  bench::row("gzip", gzip / 1000, 1);
}
