// One opener for each collector: loads and attaches its programs. `setup` is not kept, what it points to may be. An
// error is the reason why the collector is off.
#pragma once

#include "agent/base/error.hpp"
#include "agent/model/collector.hpp"
#include "ebpf/collectors/ebpf_collector.hpp"

namespace omnitide::collectors {

using Collect = std::function<Result<>(model::SampleBatch&)>;

[[nodiscard]] Result<Collect> open_runq(const Setup& setup);
[[nodiscard]] Result<Collect> open_block(const Setup& setup);
[[nodiscard]] Result<Collect> open_tcp(const Setup& setup);
[[nodiscard]] Result<Collect> open_listen(const Setup& setup);
[[nodiscard]] Result<Collect> open_drops(const Setup& setup);
[[nodiscard]] Result<Collect> open_dns(const Setup& setup);
[[nodiscard]] Result<Collect> open_process(const Setup& setup);
[[nodiscard]] Result<Collect> open_throttle(const Setup& setup);
[[nodiscard]] Result<Collect> open_irq(const Setup& setup);
[[nodiscard]] Result<Collect> open_programs(const Setup& setup);

using Families = std::span<const model::MetricDescriptor* const>;
[[nodiscard]] Families runq_families();
[[nodiscard]] Families block_families();
[[nodiscard]] Families tcp_families();
[[nodiscard]] Families listen_families();
[[nodiscard]] Families drops_families();
[[nodiscard]] Families dns_families();
[[nodiscard]] Families process_families();
[[nodiscard]] Families throttle_families();
[[nodiscard]] Families irq_families();
[[nodiscard]] Families programs_families();

}  // namespace omnitide::collectors
