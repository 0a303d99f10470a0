// Time in interrupts: software ones by vector, those of devices by number and name.
#include "ebpf/abi/irq.h"

#include <array>
#include <cstring>
#include <string>

#include "agent/base/text.hpp"
#include "ebpf/collectors/hash_rows.hpp"
#include "ebpf/collectors/openers.hpp"
#include "ebpf/collectors/samples.hpp"
#include "ebpf/programs/irq.bpf.hpp"

namespace omnitide::collectors {

namespace {

using model::MetricDescriptor;
using model::MetricType;

constexpr std::array<std::string_view, 1> kVector{"vector"};
constexpr std::array<std::string_view, 2> kInterrupt{"irq", "name"};
constexpr MetricDescriptor kSoft{"omnitide_softirq_seconds", "seconds",
                                 "Time in handlers of software interrupts, by vector; a sample of very many.",
                                 MetricType::histogram, kVector};
constexpr MetricDescriptor kHard{"omnitide_irq_seconds", "seconds",
                                 "Time in handlers of devices' interrupts, by number and name; a sample of very many.",
                                 MetricType::histogram, kInterrupt};
constexpr std::array kIrqFamilies{&kSoft, &kHard};
constexpr std::array<std::string_view, IRQ_VECTORS> kVectors{"HI",       "TIMER",   "NET_TX", "NET_RX",  "BLOCK",
                                                             "IRQ_POLL", "TASKLET", "SCHED",  "HRTIMER", "RCU"};
constexpr Scale kScale{IRQ_FIRST, kNanosecond};
constexpr std::size_t kSoftWord = offsetof(irq_cpu, soft) / sizeof(std::uint64_t);
constexpr std::size_t kRowWords = sizeof(irq_row) / sizeof(std::uint64_t);

using IrqRows = HashRows<irq_key, irq_row>;

struct IrqState {
  Object object;
  MappedArray cpus;
  IrqRows rows;
};

Result<> collect(IrqState& state, model::SampleBatch& batch) {
  for (std::size_t vector = 0; vector < kVectors.size(); ++vector) {
    const std::size_t first = kSoftWord + vector * kRowWords;
    std::array<unsigned long long, IRQ_BUCKETS> times{};
    for (std::size_t i = 0; i < times.size(); ++i)
      times[i] = sum_of(state.cpus, first + 1 + i);
    const Histogram histogram(times, sum_of(state.cpus, first), kScale);
    if (histogram.empty()) continue;
    const std::array<std::string_view, 1> labels{kVectors[vector]};
    batch.add(kSoft, histogram.distribution(), labels);
  }
  return state.rows.read([&batch](const irq_key& key, const irq_row& row) {
    const std::string name = printable({&key.name[0], ::strnlen(&key.name[0], sizeof key.name)});
    const std::string number = name == "other" ? std::string() : std::to_string(key.irq);
    const std::array<std::string_view, 2> labels{number, name};
    batch.add(kHard, Histogram(row.times, row.ns, kScale).distribution(), labels);
  });
}

irq_key merged_irq(irq_key /*key*/) { return {.irq = 0, .name = "other", .reserved = 0}; }

}  // namespace

Families irq_families() { return kIrqFamilies; }

Result<Collect> open_irq(const Setup& setup) {
  Result<Object> object = Object::open("irq", ebpf::irq_object());
  if (object.has_error()) return object.error();
  if (Result<> done = object->resize("cpus", setup.cpus); done.has_error()) return done.error();
  if (Result<> done = object->load(); done.has_error()) return done.error();
  const Result<int> values = object->map("values");
  if (values.has_error()) return values.error();
  const Result<MappedArray> cpus = object->array("cpus");
  if (cpus.has_error()) return cpus.error();
  const std::vector<std::string_view> programs{"irq_soft_entry", "irq_soft_exit", "irq_hard_entry", "irq_hard_exit"};
  if (Result<> done = put_on_board(*object, setup, "ebpf.irq", programs, false, true); done.has_error())
    return done.error();
  if (Result<> done = object->attach(); done.has_error()) return done.error();
  auto state = std::make_shared<IrqState>(
      IrqState{std::move(*object), *cpus, IrqRows(*values, setup.cpus, IRQ_ROWS, merged_irq)});
  return Collect([state](model::SampleBatch& batch) { return collect(*state, batch); });
}

}  // namespace omnitide::collectors
