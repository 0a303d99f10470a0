// What the functions that read values share: what is wrong said in one form, and the syntax of names. Inside of the
// room.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "agent/base/characters.hpp"
#include "agent/config/document.hpp"
#include "agent/config/values.hpp"

namespace omnitide::config {

[[nodiscard]] std::string quote(std::string_view text);  // printable, in quotes
void add(Problems& problems, const Value& value, std::string field, std::string message, std::string hint);
// The scalar's text, or nothing after having said what was there instead.
[[nodiscard]] std::optional<std::string_view> scalar(const Value& value, std::string_view right, Problems& problems,
                                                     const std::string& field = {});
// Whether it is one, with at most kMaxListItems; else what is wrong has been said.
[[nodiscard]] bool is_list(const Value& value, std::string_view right, Problems& problems);
[[nodiscard]] bool is_map(const Value& value, std::string_view right, Problems& problems);

// RFC 1123 host name: labels of letters, digits and inner '-', dots between them. Underscores are accepted, as nodes
// in the field have them.
[[nodiscard]] bool is_host_name(std::string_view text);
[[nodiscard]] bool is_address(int family, std::string_view text);

struct HostPort {
  std::string_view host;  // without brackets
  std::optional<std::string_view> port;
  bool bracketed = false;
};
// "HOST", "HOST:PORT" or "[ADDRESS]:PORT"; nothing when the brackets are wrong.
[[nodiscard]] std::optional<HostPort> split_host_port(std::string_view text);

[[nodiscard]] std::string choices(std::span<const std::string> allowed);
[[nodiscard]] std::string choice_hint(std::string_view word, std::span<const std::string> allowed);

}  // namespace omnitide::config
