// Statements: records in and out of the database. Every function runs on the thread that owns the connection, inside
// whatever transaction the caller has.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "agent/registry/clone.hpp"
#include "agent/registry/database.hpp"
#include "agent/registry/records.hpp"

namespace omnitide::registry {

// The next number of the one counter that orders all changes.
[[nodiscard]] Result<std::uint64_t> next_resource_version(Database& database);
[[nodiscard]] Result<std::uint64_t> last_resource_version(Database& database);
[[nodiscard]] Result<> raise_resource_version(Database& database, std::uint64_t at_least);

[[nodiscard]] Result<std::vector<NodeRecord>> load_nodes(Database& database);
[[nodiscard]] Result<std::optional<NodeRecord>> find_node(Database& database, std::string_view node_id);
// Inserts or replaces; gives the record the next resource version.
[[nodiscard]] Result<> save_node(Database& database, NodeRecord& node);
[[nodiscard]] Result<> delete_node(Database& database, std::string_view node_id);  // with all that belongs to it
struct Touch {
  std::string node_id;
  WallTime last_seen{};
  bool certificate_used = false;
  std::optional<AppliedRecord> applied;  // when it is another than before
};
[[nodiscard]] Result<> touch_nodes(Database& database, const std::vector<Touch>& nodes);

[[nodiscard]] Result<> save_facts(Database& database, std::string_view node_id, std::string_view bytes);
[[nodiscard]] Result<> save_conditions(Database& database, std::string_view node_id, std::string_view bytes);
struct NodeDetails {
  std::string facts, conditions;  // as the node sent them
};
[[nodiscard]] Result<NodeDetails> load_details(Database& database, std::string_view node_id);

[[nodiscard]] Result<std::vector<Incarnation>> superseded(Database& database, std::string_view node_id);
[[nodiscard]] Result<> add_superseded(Database& database, std::string_view node_id, const Incarnation& past);
[[nodiscard]] Result<> clear_superseded(Database& database, std::string_view node_id);

[[nodiscard]] Result<std::vector<TokenRecord>> load_tokens(Database& database);
[[nodiscard]] Result<std::optional<TokenRecord>> find_token(Database& database, std::string_view token_id);
[[nodiscard]] Result<> save_token(Database& database, const TokenRecord& token);

[[nodiscard]] Result<std::vector<OperatorRecord>> load_operators(Database& database);
[[nodiscard]] Result<> save_operator(Database& database, const OperatorRecord& record);

[[nodiscard]] Result<std::vector<AuthorityRecord>> load_authorities(Database& database);
[[nodiscard]] Result<> save_authority(Database& database, const AuthorityRecord& record);

}  // namespace omnitide::registry
