#include "discovery/collectors/filter.hpp"

namespace omnitide::discovery {

namespace {

constexpr std::size_t kMaxKnown = 8192;
constexpr std::size_t kQuiet = 16;  // so many names without a new one: there will be none

void compile(std::string& text, Pattern& out) {
  if (text.empty() || !out.empty()) return;
  Result<Pattern> pattern = Pattern::compile(text);
  if (pattern.has_value()) out = std::move(*pattern);
  if (out.empty()) text.clear();
}

}  // namespace

Filter::Filter(const std::string& include, const std::string& exclude)
    : include_text_(include), exclude_text_(exclude) {}

void Filter::prepare() {
  compile(include_text_, include_);
  compile(exclude_text_, exclude_);
  answered_ = 0;
}

void Filter::forget() {
  include_ = exclude_ = Pattern{};
  known_.clear();
}

bool Filter::accepts(std::string_view name) {
  if (include_text_.empty() && exclude_text_.empty()) return true;
  if (const auto known = known_.find(name); known != known_.end()) {
    if (++answered_ == kQuiet) include_ = exclude_ = Pattern{};
    return known->second;
  }
  prepare();
  std::string text(name);
  const bool good =
      (include_text_.empty() || include_.matches(text)) && (exclude_text_.empty() || !exclude_.matches(text));
  if (known_.size() >= kMaxKnown) known_.clear();
  known_.emplace(std::move(text), good);
  return good;
}

}  // namespace omnitide::discovery
