// Lists in pages.
#pragma once

#include <iterator>
#include <optional>
#include <string>

#include "agent/base/text.hpp"
#include "agent/registry/handlers.hpp"
#include "agent/registry/wire.hpp"

namespace omnitide::registry {

inline constexpr std::size_t kPageSize = 500;

// Pages over a map, by the key of the last entry. Answers with the next page's token, empty at the end.
template <class Map, class Take>
[[nodiscard]] Result<std::string> page(const Map& all, const io::HttpRequest& request, const Take& take) {
  const std::optional<std::string> after = base64_decode(query(request, "pageToken"));
  if (!after) return invalid("pageToken", "pageToken is not one that a list gave");
  auto at = after->empty() ? all.begin() : all.upper_bound(*after);
  for (std::size_t count = 0; at != all.end() && count < kPageSize; ++at, ++count)
    take(at->second);
  return at == all.end() ? std::string() : base64_encode(std::prev(at)->first);
}

}  // namespace omnitide::registry
