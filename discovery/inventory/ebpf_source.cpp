#include "discovery/inventory/ebpf_source.hpp"

#include <utility>
#include <vector>

#include "ebpf/loader/probe.hpp"

namespace omnitide::discovery {

Source ebpf_source(std::string cache_file, bool force) {
  Source source;
  source.name = "ebpf";
  source.deadline = std::chrono::milliseconds(5000);
  source.background = true;
  source.read = [cache_file = std::move(cache_file), force](const Root& root) -> Result<Report> {
    if (!root.is_machine()) return Report{};
    const std::string boot_id = root.attribute("/proc/sys/kernel/random/boot_id");
    std::vector<model::EbpfFeature> features = ebpf::probe_cached(cache_file, boot_id, force);
    return Report{.patch = [features = std::move(features)](model::NodeFacts& facts) { facts.system.ebpf = features; },
                  .samples = {},
                  .problems = {}};
  };
  return source;
}

}  // namespace omnitide::discovery
