// Whether the agents of a cluster take a policy object, as a condition on its status. All of them find the same of one
// text: the first one writes it, and only what was once refused has it. Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "agent/base/clock.hpp"
#include "agent/base/error.hpp"

namespace omnitide::kubernetes {

inline constexpr std::string_view kAcceptedType = "omnitide.io/Accepted";

struct Acceptance {
  std::string uid;
  std::int64_t generation = 0;   // of the object as it is
  std::optional<bool> accepted;  // what its status says; nothing: nothing
  std::int64_t observed = 0;     // the generation that it says it of
  // Whether that it is refused, or is taken again, is news. Of one generation the word that it is refused is the last:
  // agents of two versions do not take turns.
  [[nodiscard]] bool refusal_is_news() const { return !(accepted == false && observed == generation); }
  [[nodiscard]] bool acceptance_is_news() const { return accepted == false && observed < generation; }
};

// Of the object's JSON.
[[nodiscard]] Result<Acceptance> acceptance_of(std::string_view object);

struct Verdict {
  bool accepted = false;
  std::string reason, message;
};
// The body of an apply to the object's status.
[[nodiscard]] std::string acceptance_body(std::string_view api, std::string_view kind, std::string_view name,
                                          std::int64_t generation, const Verdict& verdict, WallTime now);

}  // namespace omnitide::kubernetes
