// One YAML file as a plain tree. Only what a configuration needs is accepted: maps with word keys, lists and scalars.
// Anchors, aliases, tags, several documents in a file and deep nesting are refused.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace omnitide::config {

inline constexpr std::size_t kMaxDepth = 32;      // nesting of maps and lists
inline constexpr std::size_t kMaxValues = 4'096;  // in one file
inline constexpr std::size_t kMaxFileBytes = 1U << 20U;

struct Entry;

struct Value {
  enum class Kind : std::uint8_t { null, scalar, list, map };
  Kind kind = Kind::null;
  bool quoted = false;  // a scalar that was written in quotes: text, never a boolean
  unsigned line = 0;    // 1-based; 0 when it did not come from a file
  std::string text;
  std::vector<Value> items;
  std::vector<Entry> entries;

  [[nodiscard]] static Value scalar(std::string text, bool quoted = false);
  // Same content; lines and quotes do not count.
  [[nodiscard]] bool same(const Value& other) const;
};

struct Entry {
  std::string key;
  unsigned line = 0;
  Value value;
};

// What is wrong with a value: `field` is a dotted path, empty for the file as a whole.
struct Problem {
  unsigned line = 0;
  std::string field, message, hint;
};

struct Document {
  Value root;  // a map, or null when the file is empty; what could be read when there are problems
  std::vector<Problem> problems;
};

// Parses one file's text, or the YAML flow value of an environment variable. Never throws.
[[nodiscard]] Document parse_document(std::string_view text);

[[nodiscard]] std::string_view kind_name(const Value& value);  // "a list", "a map", "nothing", "a value"

}  // namespace omnitide::config
