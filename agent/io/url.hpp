// Percent-encoding and queries, RFC 3986, for this room.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace omnitide::io {

[[nodiscard]] std::optional<std::string> percent_decode(std::string_view text);  // nothing when malformed
[[nodiscard]] std::optional<std::map<std::string, std::string>> parse_query(std::string_view text);
// Every value of one parameter, in order; malformed ones are left out.
[[nodiscard]] std::vector<std::string> query_values(std::string_view text, std::string_view name);

}  // namespace omnitide::io
