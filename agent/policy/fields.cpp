#include "agent/policy/fields.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "agent/base/text.hpp"
#include "agent/policy/words.hpp"

namespace omnitide::policy {

namespace {

constexpr std::size_t kMostFaults = 50;  // of one object

std::string_view name_of_type(const Field& field) {
  if (field.is_map()) return "a map";
  if (field.is_list()) return "a list";
  if (!field.is_scalar() || !field.is_plain()) return "text";
  switch (type_of_word(field.word())) {
    case WordType::boolean: return "true or false";
    case WordType::integer:
    case WordType::fraction: return "a number";
    default: return "text";
  }
}

}  // namespace

Field Field::operator[](std::string_view key) const {
  if (!is_map()) return {};
  for (const Field entry : *this) {
    if (entry.key() == key) return entry;
  }
  return {};
}

Reader::Reader(const Tree& tree, std::string file, std::string object)
    : tree_(tree), file_(std::move(file)), object_(std::move(object)) {}

void Reader::add(Fault fault) {
  if (!fault.applied) good_ = false;
  if (faults_.size() < kMostFaults) faults_.push_back(std::move(fault));
}

void Reader::fault_at(std::uint32_t line, std::string field, std::string message, std::string hint) {
  add({.file = file_,
       .line = line,
       .object = object_,
       .field = std::move(field),
       .message = std::move(message),
       .hint = std::move(hint)});
}

void Reader::fault(const Field& at, std::string message, std::string hint) {
  fault_at(at.line(), at.path(), std::move(message), std::move(hint));
}

void Reader::remark(const Field& at, std::string message, std::string hint) {
  add({.file = file_,
       .line = at.line(),
       .object = object_,
       .field = at.path(),
       .message = std::move(message),
       .hint = std::move(hint),
       .applied = true});
}

void Reader::missing(const Field& parent, std::string_view name, std::string hint) {
  const std::string path = parent.path();
  fault_at(parent.line(), path.empty() ? std::string(name) : fmt::format("{}.{}", path, name), "is required",
           std::move(hint));
}

void Reader::wrong_type(const Field& at, std::string_view wanted) {
  const bool quote = wanted == "text" && at.is_scalar();
  const bool unquote = wanted != "text" && at.is_scalar() && !at.is_plain();
  fault(at, fmt::format("must be {} and is {}", wanted, name_of_type(at)),
        quote     ? fmt::format("put it in quotes: \"{}\"", printable(at.word(), kLongestShown))
        : unquote ? "take the quotes away"
                  : "");
}

bool Reader::map(const Field& field) {
  if (!field) return false;
  if (field.is_map()) return true;
  wrong_type(field, "a map");
  return false;
}

bool Reader::list(const Field& field) {
  if (!field) return false;
  if (field.is_list()) return true;
  wrong_type(field, "a list");
  return false;
}

std::optional<std::string_view> Reader::text(const Field& field) {
  if (!field) return std::nullopt;
  if (field.is_scalar() && (!field.is_plain() || type_of_word(field.word()) == WordType::text)) return field.word();
  wrong_type(field, "text");
  return std::nullopt;
}

std::optional<bool> Reader::truth(const Field& field) {
  if (!field) return std::nullopt;
  if (field.is_scalar() && field.is_plain()) {
    if (const auto value = boolean_of(field.word())) return value;
  }
  wrong_type(field, "true or false");
  return std::nullopt;
}

std::optional<std::int64_t> Reader::number(const Field& field, std::int64_t least, std::int64_t most) {
  if (!field) return std::nullopt;
  const bool plain = field.is_scalar() && field.is_plain();
  const WordType type = plain ? type_of_word(field.word()) : WordType::text;
  if (type != WordType::integer) {
    type == WordType::fraction ? fault(field, fmt::format("must be a whole number from {} to {}", least, most))
                               : wrong_type(field, "a number");
    return std::nullopt;
  }
  const auto value = integer_of(field.word());
  if (value && *value >= least && *value <= most) return value;
  fault(field, fmt::format("must be from {} to {}", least, most));
  return std::nullopt;
}

bool Reader::map_of(const Field& field, std::initializer_list<std::string_view> names) {
  if (!map(field)) return false;
  for (const Field entry : field) {
    if (std::find(names.begin(), names.end(), entry.key()) != names.end()) continue;
    const std::vector<std::string> known(names.begin(), names.end());
    const std::string_view near = nearest(entry.key(), known);
    fault(entry, "is not known here",
          near.empty() ? fmt::format("known are {}", fmt::join(known, ", ")) : fmt::format("did you mean {}?", near));
  }
  return true;
}

bool Reader::full_list(const Field& field, std::size_t most) {
  if (!list(field)) return false;
  if (field.size() > most) fault(field, fmt::format("has {} items; {} is the limit", field.size(), most));
  bool full = field.size() <= most;
  for (const Field item : field) {
    if (item) continue;
    fault(item, "is empty", "write the item, or take its '-' away");
    full = false;
  }
  return full;
}

}  // namespace omnitide::policy
