// Block I/O by disk and operation.
#include "ebpf/abi/block.h"

#include <array>
#include <cstring>
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

constexpr std::array<std::string_view, 2> kBlockLabels{"device", "operation"};
constexpr MetricDescriptor kBlockLatency{"omnitide_block_io_latency_seconds", "seconds",
                                         "From the making of a request to its completion, by disk and operation.",
                                         MetricType::histogram, kBlockLabels};
constexpr MetricDescriptor kSize{"omnitide_block_io_size_bytes", "bytes",
                                 "Sizes of completed requests, by disk and operation.", MetricType::histogram,
                                 kBlockLabels};
constexpr MetricDescriptor kErrors{"omnitide_block_io_errors_total", "",
                                   "Requests that completed with an error, by disk and operation.", MetricType::counter,
                                   kBlockLabels};
constexpr std::array kBlockFamilies{&kBlockLatency, &kSize, &kErrors};
constexpr std::array<std::string_view, BLOCK_OPERATIONS> kOperations{"read", "write", "flush", "discard", "other"};

using BlockRows = HashRows<block_key, block_row>;

struct BlockState {
  Object object;
  BlockRows rows;
};

std::string name_of(const block_key& key) {
  const std::string_view name(&key.name[0], ::strnlen(&key.name[0], sizeof key.name));
  return name.empty() ? "unknown" : printable(name);
}

void add(model::SampleBatch& batch, const block_key& key, const block_row& row) {
  if (key.operation >= BLOCK_OPERATIONS) return;
  const std::string device = name_of(key);
  const std::array<std::string_view, 2> labels{device, kOperations[key.operation]};
  const Histogram latency(row.latencies, row.latency_ns, {BLOCK_LATENCY_FIRST, kNanosecond});
  batch.add(kBlockLatency, latency.distribution(), labels);
  const Histogram size(row.sizes, row.bytes, {BLOCK_SIZE_FIRST, kByte});
  batch.add(kSize, size.distribution(), labels);
  batch.add(kErrors, static_cast<double>(row.errors), labels);
}

block_key merged_block(const block_key& key) {
  block_key out{};
  std::memcpy(&out.name[0], "other", 5);
  out.operation = key.operation;
  return out;
}

}  // namespace

Families block_families() { return kBlockFamilies; }

Result<Collect> open_block(const Setup& setup) {
  Result<Object> object = Object::open("block", ebpf::block_object());
  if (object.has_error()) return object.error();
  if (Result<> done = object->resize("cpus", setup.cpus); done.has_error()) return done.error();
  if (Result<> done = object->load(); done.has_error()) return done.error();
  const Result<int> values = object->map("values");
  if (values.has_error()) return values.error();
  if (Result<> done = put_on_board(*object, setup, "ebpf.block", {"block_complete"}, false, true); done.has_error())
    return done.error();
  if (Result<> done = object->attach(); done.has_error()) return done.error();
  auto state = std::make_shared<BlockState>(
      BlockState{std::move(*object), BlockRows(*values, setup.cpus, BLOCK_ROWS, merged_block)});
  return Collect([state](model::SampleBatch& batch) {
    return state->rows.read([&batch](const block_key& key, const block_row& row) { add(batch, key, row); });
  });
}

}  // namespace omnitide::collectors
