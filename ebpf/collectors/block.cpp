// Block I/O by disk and operation.
#include "ebpf/abi/block.h"

#include <array>
#include <map>
#include <string>

#include "agent/base/text.hpp"
#include "ebpf/collectors/hash_rows.hpp"
#include "ebpf/collectors/openers.hpp"
#include "ebpf/collectors/samples.hpp"
#include "ebpf/programs/block.bpf.hpp"

namespace omnitide::collectors {

namespace {

using model::MetricDescriptor;
using model::MetricType;

constexpr std::array<std::string_view, 2> kLabels{"device", "operation"};
constexpr MetricDescriptor kLatency{"omnitide_block_io_latency_seconds", "seconds",
                                    "From the driver's taking of a request to its completion, by disk and operation.",
                                    MetricType::histogram, kLabels};
constexpr MetricDescriptor kSize{"omnitide_block_io_size_bytes", "bytes",
                                 "Sizes of completed requests, by disk and operation.", MetricType::histogram, kLabels};
constexpr MetricDescriptor kErrors{"omnitide_block_io_errors_total", "",
                                   "Requests that completed with an error, by disk and operation.", MetricType::counter,
                                   kLabels};
constexpr std::array kFamilies{&kLatency, &kSize, &kErrors};
constexpr std::array<std::string_view, BLOCK_OPERATIONS> kOperations{"read", "write", "flush", "discard", "other"};

using Rows = HashRows<block_key, block_row>;

struct State {
  Object object;
  Rows rows;
};

std::string name_of(const block_key& key) {
  const std::string_view name(&key.name[0], ::strnlen(&key.name[0], sizeof key.name));
  return name.empty() ? "unknown" : printable(name);
}

void add(model::SampleBatch& batch, const block_key& key, const block_row& row, const block_row& failed) {
  const std::string device = name_of(key);
  const std::array<std::string_view, 2> labels{device, kOperations[key.operation]};
  std::array<unsigned long long, BLOCK_LATENCIES> latencies{};
  std::array<unsigned long long, BLOCK_SIZES> sizes{};
  std::uint64_t errors = 0;
  for (std::size_t i = 0; i < latencies.size(); ++i) {
    latencies[i] = row.latencies[i] + failed.latencies[i];
    errors += failed.latencies[i];
  }
  for (std::size_t i = 0; i < sizes.size(); ++i)
    sizes[i] = row.sizes[i] + failed.sizes[i];
  const Histogram latency(latencies, row.latency_ns + failed.latency_ns, {BLOCK_LATENCY_FIRST, kNanosecond});
  batch.add(kLatency, latency.distribution(), labels);
  const Histogram size(sizes, row.bytes + failed.bytes, {BLOCK_SIZE_FIRST, kByte});
  batch.add(kSize, size.distribution(), labels);
  batch.add(kErrors, static_cast<double>(errors), labels);
}

Result<> collect(State& state, model::SampleBatch& batch) {
  // Good and failed ones of a disk and operation are one histogram.
  struct Pair {
    block_key key{};
    block_row outcomes[2]{};
  };
  std::map<std::string, Pair> all;
  const Result<> done = state.rows.read([&all](const block_key& key, const block_row& row) {
    if (key.operation >= BLOCK_OPERATIONS) return;
    Pair& pair = all[name_of(key) + '\n' + std::string(kOperations[key.operation])];
    pair.key = key;
    pair.outcomes[key.failed != 0 ? 1 : 0] = row;
  });
  if (done.has_error()) return done;
  for (const auto& [name, pair] : all)
    add(batch, pair.key, pair.outcomes[0], pair.outcomes[1]);
  return {};
}

block_key merged(block_key key) {
  key = {.name = "other", .operation = key.operation, .failed = key.failed};
  return key;
}

}  // namespace

Families block_families() { return kFamilies; }

Result<Collect> open_block(const Setup& setup) {
  Result<Object> object = Object::open("block", ebpf::block_object());
  if (object.has_error()) return object.error();
  // Before Linux 5.11 the request was the second argument of its issue.
  const bool queue_first = setup.types.arguments("block_rq_issue") > 1;
  if (Result<> done = object->set("issue_argument", queue_first ? 1 : 0); done.has_error()) return done.error();
  if (Result<> done = object->resize("cpus", setup.cpus); done.has_error()) return done.error();
  if (Result<> done = object->load(); done.has_error()) return done.error();
  const Result<int> values = object->map("values");
  if (values.has_error()) return values.error();
  if (Result<> done = put_on_board(*object, setup, "ebpf.block", {"block_issue", "block_complete"}, false, true);
      done.has_error())
    return done.error();
  if (Result<> done = object->attach(); done.has_error()) return done.error();
  auto state = std::make_shared<State>(std::move(*object), Rows(*values, setup.cpus, BLOCK_ROWS, merged));
  return Collect([state](model::SampleBatch& batch) { return collect(*state, batch); });
}

}  // namespace omnitide::collectors
