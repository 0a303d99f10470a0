// Which objects policy is made of, by apiVersion and kind. Inside this room only.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "agent/policy/objects.hpp"

namespace omnitide::policy {

struct Sort {
  std::optional<ObjectKey::Kind> kind;  // nothing: another kind of object, to be skipped
  std::string message, hint;            // not empty: cannot be read as that, or as anything
};

[[nodiscard]] Sort sort_of(std::string_view api_version, std::string_view kind);
// "List", "NetworkPolicyList".
[[nodiscard]] bool is_list_kind(std::string_view kind);

}  // namespace omnitide::policy
