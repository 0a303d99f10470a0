// Which devices, fields or mounts a collector gives: an include and an exclude expression, answered from memory. The
// matcher itself, which learns with each name and takes up to 200 KB, is there only while new names come.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <unordered_map>

#include "agent/base/pattern.hpp"

namespace omnitide::discovery {

class Filter {
 public:
  Filter() = default;
  // Expressions that do not compile are no filter: configuration is checked before it comes here.
  Filter(const std::string& include, const std::string& exclude);

  [[nodiscard]] bool accepts(std::string_view name);
  // For those who ask once for each name, when they have asked.
  void forget();

 private:
  struct Hash {
    using is_transparent = void;
    std::size_t operator()(std::string_view text) const { return std::hash<std::string_view>{}(text); }
  };
  void prepare();

  std::string include_text_, exclude_text_;  // empty: none
  Pattern include_, exclude_;
  std::size_t answered_ = 0;                                            // from memory, since the last new name
  std::unordered_map<std::string, bool, Hash, std::equal_to<>> known_;  // emptied when it grows over a bound
};

}  // namespace omnitide::discovery
