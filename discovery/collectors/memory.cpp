// /proc/meminfo and /proc/vmstat: their families are the files' own names.
#include <fmt/format.h>

#include "discovery/collectors/collectors.hpp"
#include "discovery/collectors/families.hpp"
#include "discovery/collectors/filter.hpp"
#include "discovery/collectors/learned.hpp"
#include "discovery/collectors/scan.hpp"

namespace omnitide::discovery {

namespace {

using model::MetricDescriptor;
using model::MetricType;
using model::SampleBatch;

constexpr std::array<const MetricDescriptor*, 0> kMemoryNoneKnown{};

// "Active(anon)" -> "Active_anon"; with its unit "kB" a number of bytes.
LearnedFamilies::Texts memory_texts(std::string_view field, bool bytes) {
  std::string name = "node_memory_";
  for (const char c : field) {
    if (c == ')') continue;
    name += c == '(' ? '_' : c;
  }
  if (bytes) name += "_bytes";
  const MetricType type = name.ends_with("_total") ? MetricType::counter : MetricType::gauge;
  return {std::move(name), fmt::format("{} of /proc/meminfo.", printable(field, 64)), type};
}

Result<> add_memory(std::string_view text, LearnedFamilies& families, SampleBatch& batch) {
  families.rewind();
  bool good = true;
  each_line(text, [&](std::string_view line) {
    if (line.empty()) return;
    const std::string_view field = cut(line, ':');
    Words words(line);
    const std::optional<double> value = value_of(words.next());
    if (!value) {
      good = false;
      return;
    }
    const bool kilobytes = words.next() == "kB";
    const MetricDescriptor* family =
        families.find(field, [kilobytes](std::string_view name) { return memory_texts(name, kilobytes); });
    if (family != nullptr) batch.add(*family, kilobytes ? *value * 1024 : *value);
  });
  if (!good) return fail(Code::invalid_argument, "/proc/meminfo has a line without a number");
  return {};
}

}  // namespace

Collector meminfo_collector(const Root& root) {
  const auto families = std::make_shared<LearnedFamilies>();
  return file_collector(
      "meminfo", kMemoryNoneKnown, root, "/proc/meminfo",
      [families](std::string_view text, SampleBatch& batch) -> Result<> { return add_memory(text, *families, batch); });
}

Collector vmstat_collector(const Root& root, const Settings& settings) {
  struct State {
    LearnedFamilies families;
    Filter fields;
  };
  const auto state = std::make_shared<State>();
  state->fields = Filter(settings.value("vmstat.fields"), "");
  const auto parse = [state](std::string_view text, SampleBatch& batch) -> Result<> {
    state->families.rewind();
    bool good = true;
    each_line(text, [&](std::string_view line) {
      Words words(line);
      const std::string_view field = words.next();
      if (field.empty()) return;
      const MetricDescriptor* family = state->families.find(field, [&](std::string_view name) {
        if (!state->fields.accepts(name)) return LearnedFamilies::Texts{};
        return LearnedFamilies::Texts{fmt::format("node_vmstat_{}", name),
                                      fmt::format("{} of /proc/vmstat.", printable(name, 64)), MetricType::unknown};
      });
      if (family == nullptr) return;
      const std::optional<double> value = value_of(words.next());
      if (value)
        batch.add(*family, *value);
      else
        good = false;
    });
    state->fields.forget();
    if (!good) return fail(Code::invalid_argument, "/proc/vmstat has a line without a number");
    return {};
  };
  return file_collector("vmstat", kMemoryNoneKnown, root, "/proc/vmstat", parse);
}

}  // namespace omnitide::discovery
