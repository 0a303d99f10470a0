#include "discovery/sources/cpu_set.hpp"

#include "agent/base/text.hpp"

namespace omnitide::discovery {

std::optional<CpuSet> parse_cpu_list(std::string_view text) {
  CpuSet set;
  text = trim(text);
  while (!text.empty()) {
    const std::size_t comma = text.find(',');
    const std::string_view range = text.substr(0, comma);
    const std::size_t dash = range.find('-');
    const std::optional<std::size_t> first = parse_number<std::size_t>(range.substr(0, dash));
    const std::optional<std::size_t> last =
        dash == std::string_view::npos ? first : parse_number<std::size_t>(range.substr(dash + 1));
    if (!first || !last || *first > *last || *last >= kMaxCpus) return std::nullopt;
    for (std::size_t cpu = *first; cpu <= *last; ++cpu) {
      set.set(cpu);
    }
    if (comma == std::string_view::npos) break;
    text.remove_prefix(comma + 1);
    if (text.empty()) return std::nullopt;
  }
  return set;
}

}  // namespace omnitide::discovery
