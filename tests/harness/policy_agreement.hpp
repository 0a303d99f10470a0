// Holds a plan against the oracle, and two plans against each other.
#pragma once

#include <map>
#include <optional>
#include <string>

#include "agent/policy/compiler.hpp"
#include "agent/policy/verdict.hpp"
#include "tests/harness/policy_random.hpp"

namespace omnitide::policy::agreement {

using Objects = std::map<ObjectKey, ObjectRef>;

[[nodiscard]] std::vector<ObjectRef> list(const Objects& objects);
[[nodiscard]] Changes all_of(const Objects& objects);
[[nodiscard]] Plan plan_of(const Compiler& compiler);

// What the plan says otherwise than the oracle, in words; nothing when they agree. Asks about at most `most` packets
// for each endpoint and direction, chosen by `seed`; 0: about all.
[[nodiscard]] std::optional<std::string> disagreement(const Plan& plan, const Objects& objects,
                                                      const std::string& node_name, std::uint64_t seed, unsigned most);

// How the two differ apart from the numbers of sets, identities and origins; nothing when they do not. Rows are
// compared for each identity that an address has.
[[nodiscard]] std::optional<std::string> difference(const Plan& left, const Compiler& of_left, const Plan& right,
                                                    const Compiler& of_right);

// What lies in the plan without being used: sets of no endpoint, rows of no address. Nothing when all is in use.
[[nodiscard]] std::optional<std::string> waste(const Plan& plan);

// For people, when a test fails.
[[nodiscard]] std::string text(const Objects& objects);

}  // namespace omnitide::policy::agreement
