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

const LearnedFamilies::Field* LearnedFamilies::next(std::string_view field) {
  if (cursor_ < fields_.size() && fields_[cursor_].text == field) return &fields_[cursor_++];
  const auto known = index_.find(field);
  if (known == index_.end()) return nullptr;
  cursor_ = known->second + 1;
  return &fields_[known->second];
}

const model::MetricDescriptor* LearnedFamilies::learn(std::string_view field, Texts texts) {
  if (fields_.size() >= kMaxFields || field.size() > kLongestName) return nullptr;
  std::unique_ptr<Family> family;
  if (is_metric_name(texts.name)) {
    family = std::make_unique<Family>();
    family->name = std::move(texts.name);
    family->help = std::move(texts.help);
    family->descriptor = {family->name, unit_of(family->name), family->help, texts.type, {}};
  }
  const Field& kept = fields_.emplace_back(Field{std::string(field), std::move(family)});
  cursor_ = fields_.size();
  index_.emplace(kept.text, fields_.size() - 1);
  return kept.family ? &kept.family->descriptor : nullptr;
}

}  // namespace omnitide::discovery
