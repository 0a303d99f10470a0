#include "discovery/collectors/learned.hpp"

#include <algorithm>
#include <utility>

#include "discovery/collectors/families.hpp"

namespace omnitide::discovery {

namespace {

constexpr std::size_t kMaxFields = 4096;
constexpr std::size_t kLongestName = 256;

}  // namespace

bool is_metric_name(std::string_view name) {
  const auto letter = [](char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_'; };
  return !name.empty() && name.size() <= kLongestName && letter(name.front()) &&
         std::ranges::all_of(name, [letter](char c) { return letter(c) || (c >= '0' && c <= '9'); });
}

LearnedFamilies::Family* LearnedFamilies::next(std::string_view field) {
  if (cursor_ < families_.size() && families_[cursor_]->field == field) return families_[cursor_++].get();
  const auto known = index_.find(field);
  if (known == index_.end()) return nullptr;
  cursor_ = known->second + 1;
  return families_[known->second].get();
}

const model::MetricDescriptor* LearnedFamilies::learn(std::string_view field, Texts texts) {
  if (families_.size() >= kMaxFields || field.size() > kLongestName) return nullptr;
  auto family = std::make_unique<Family>();
  family->field = field;
  family->name = std::move(texts.name);
  family->help = std::move(texts.help);
  family->use = is_metric_name(family->name);
  family->descriptor = {family->name, unit_of(family->name), family->help, texts.type, {}};
  families_.push_back(std::move(family));
  cursor_ = families_.size();
  Family& kept = *families_.back();
  index_.emplace(kept.field, families_.size() - 1);
  return kept.use ? &kept.descriptor : nullptr;
}

}  // namespace omnitide::discovery
