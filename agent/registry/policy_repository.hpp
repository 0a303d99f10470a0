// Statements: policies, their history and the versions of desired state. As in repository.hpp.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include "agent/registry/database.hpp"
#include "agent/registry/records.hpp"

namespace omnitide::registry {

inline constexpr std::size_t kRevisionsKept = 10;          // of each name
inline constexpr std::uint64_t kHistoryKept = 64U << 20U;  // bytes of texts that are no longer current
inline constexpr std::size_t kGoneKept = 1000;             // revisions of names that have no document any more
inline constexpr std::size_t kVersionsKept = 1000;

[[nodiscard]] Result<std::vector<PolicyRecord>> load_policies(Database& database);  // the current ones, by name
[[nodiscard]] Result<std::optional<PolicyRecord>> find_policy(Database& database, std::string_view name);
[[nodiscard]] Result<std::optional<PolicyRecord>> find_revision(Database& database, std::string_view name,
                                                                std::uint64_t revision);
// Newest first, without texts.
[[nodiscard]] Result<std::vector<PolicyRecord>> policy_history(Database& database, std::string_view name);
struct PolicyTotals {
  std::uint64_t documents = 0, bytes = 0;
};
[[nodiscard]] Result<PolicyTotals> policy_totals(Database& database);  // of the current ones
// A new revision, current unless `deleted`; gives the record its number and forgets history that is too old.
[[nodiscard]] Result<> save_policy(Database& database, PolicyRecord& record);

[[nodiscard]] Result<std::vector<VersionRecord>> load_versions(Database& database);  // newest first
// The number of a content: the one that it has, or the next one.
[[nodiscard]] Result<std::uint64_t> number_version(Database& database, const VersionRecord& record);

[[nodiscard]] Result<std::vector<std::pair<std::string, AppliedRecord>>> load_applied(Database& database);
// Nothing when the node is gone.
[[nodiscard]] Result<> save_applied(Database& database, std::string_view node_id, const AppliedRecord& applied);

}  // namespace omnitide::registry
