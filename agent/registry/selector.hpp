// Kubernetes label selectors: "a=b", "a==b", "a!=b", "a in (x,y)", "a notin (x,y)", "a", "!a", joined by commas.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "agent/base/error.hpp"
#include "agent/registry/labels.hpp"

namespace omnitide::registry {

class Selector {
 public:
  // At most 4 KiB and 64 requirements; an empty text selects all. invalid_argument points at what is wrong.
  [[nodiscard]] static Result<Selector> parse(std::string_view text);
  [[nodiscard]] static Selector nothing();  // matches no labels
  // As in Kubernetes, "!=" and "notin" are also true where the key is absent.
  [[nodiscard]] bool matches(const Labels& labels) const;
  [[nodiscard]] bool empty() const { return requirements_.empty(); }

 private:
  friend class SelectorParser;
  enum class Operator : std::uint8_t { in, not_in, exists, absent };
  struct Requirement {
    std::string key;
    Operator operation = Operator::exists;
    std::vector<std::string> values;
  };
  std::vector<Requirement> requirements_;
};

}  // namespace omnitide::registry
