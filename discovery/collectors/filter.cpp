#include "discovery/collectors/filter.hpp"

namespace omnitide::discovery {

namespace {

constexpr std::size_t kMaxKnown = 8192;

Pattern compiled(const std::string& text) {
  Result<Pattern> pattern = Pattern::compile(text);
  return pattern.has_value() ? std::move(*pattern) : Pattern{};
}

}  // namespace

Filter::Filter(const std::string& include, const std::string& exclude)
    : include_(compiled(include)), exclude_(compiled(exclude)) {}

bool Filter::accepts(std::string_view name) {
  if (include_.empty() && exclude_.empty()) return true;
  if (const auto known = known_.find(name); known != known_.end()) return known->second;
  std::string text(name);
  const bool good = (include_.empty() || include_.matches(text)) && (exclude_.empty() || !exclude_.matches(text));
  if (known_.size() >= kMaxKnown) known_.clear();
  known_.emplace(std::move(text), good);
  return good;
}

}  // namespace omnitide::discovery
