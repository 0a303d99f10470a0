#include "agent/registry/repository.hpp"

#include <fmt/format.h>

#include "agent/registry/policy_repository.hpp"
#include "agent/registry/rows.hpp"

namespace omnitide::registry {

namespace {

#define OMNITIDE_NODE_COLUMNS                                                                                     \
  "node_id, hostname, state, state_reason, joined, last_seen, boot_id, start_id, generation, facts_sha256, "      \
  "conditions_sha256, agent_version, agent_labels, token_labels, registry_labels, labels_version, "               \
  "certificate_expires, certificate_serial, certificate_used, offered_ca, token_id, replaces, resource_version, " \
  "accepted_run, accepted_steady"

NodeRecord node_of(const Query& row) {
  NodeRecord node;
  node.node_id = row.text(0);
  node.hostname = row.text(1);
  node.state = static_cast<State>(row.integer(2));
  node.state_reason = row.text(3);
  node.joined = time_of(row.integer(4));
  node.last_seen = time_of(row.integer(5));
  node.boot_id = row.text(6);
  node.start_id = row.text(7);
  node.generation = static_cast<std::uint64_t>(row.integer(8));
  node.facts_sha256 = row.text(9);
  node.conditions_sha256 = row.text(10);
  node.agent_version = row.text(11);
  node.agent_labels = row.text(12);
  node.token_labels = row.text(13);
  node.registry_labels = row.text(14);
  node.labels_version = static_cast<std::uint64_t>(row.integer(15));
  node.certificate_expires = time_of(row.integer(16));
  node.certificate_serial = row.text(17);
  node.certificate_used = row.integer(18) != 0;
  node.offered_ca = row.text(19);
  node.token_id = row.text(20);
  node.replaces = row.text(21);
  node.resource_version = static_cast<std::uint64_t>(row.integer(22));
  node.accepted_run = row.integer(23);
  node.accepted_steady = row.integer(24);
  return node;
}

TokenRecord token_of(const Query& row) {
  TokenRecord token;
  token.token_id = row.text(0);
  token.secret_sha256 = row.text(1);
  token.approve = row.integer(2) == static_cast<int>(Approve::manual) ? Approve::manual : Approve::automatic;
  token.uses = static_cast<std::uint32_t>(row.integer(3));
  token.used = static_cast<std::uint32_t>(row.integer(4));
  token.expires = time_of(row.integer(5));
  token.created = time_of(row.integer(6));
  token.labels = row.text(7);
  token.comment = row.text(8);
  token.revoked = row.integer(9) != 0;
  return token;
}

Result<std::string> one_text(Query& query) {
  const Result<bool> row = query.step();
  if (row.has_error()) return row.error();
  return *row ? query.text(0) : std::string();
}

}  // namespace

Result<std::uint64_t> next_resource_version(Database& database) {
  const Result<std::int64_t> next =
      database.integer("UPDATE meta SET value = value + 1 WHERE name = 'resource_version' RETURNING value");
  if (next.has_error()) return next.error();
  return static_cast<std::uint64_t>(*next);
}

Result<std::uint64_t> last_resource_version(Database& database) {
  const Result<std::int64_t> last = database.integer("SELECT value FROM meta WHERE name = 'resource_version'");
  if (last.has_error()) return last.error();
  return static_cast<std::uint64_t>(*last);
}

Result<> raise_resource_version(Database& database, std::uint64_t at_least) {
  return Query(database, "UPDATE meta SET value = max(value, ?) WHERE name = 'resource_version'").bind(at_least).run();
}

Result<std::vector<NodeRecord>> load_nodes(Database& database) {
  Query query(database, "SELECT " OMNITIDE_NODE_COLUMNS " FROM nodes ORDER BY node_id");
  return all_rows<NodeRecord>(query, node_of);
}

Result<std::optional<NodeRecord>> find_node(Database& database, std::string_view node_id) {
  Query query(database, "SELECT " OMNITIDE_NODE_COLUMNS " FROM nodes WHERE node_id = ?");
  return one_row<NodeRecord>(query.bind(node_id), node_of);
}

Result<> save_node(Database& database, NodeRecord& node) {
  const Result<std::uint64_t> version = next_resource_version(database);
  if (version.has_error()) return version.error();
  node.resource_version = *version;
  // An UPSERT, not REPLACE: the latter would delete the row and, by the foreign keys, the facts with it.
  return Query(database,
               "INSERT INTO nodes(" OMNITIDE_NODE_COLUMNS
               ") VALUES(?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?) ON CONFLICT(node_id) DO UPDATE SET "
               "hostname = excluded.hostname, state = excluded.state, state_reason = excluded.state_reason, "
               "joined = excluded.joined, last_seen = excluded.last_seen, boot_id = excluded.boot_id, "
               "start_id = excluded.start_id, generation = excluded.generation, facts_sha256 = excluded.facts_sha256, "
               "conditions_sha256 = excluded.conditions_sha256, agent_version = excluded.agent_version, "
               "agent_labels = excluded.agent_labels, token_labels = excluded.token_labels, "
               "registry_labels = excluded.registry_labels, labels_version = excluded.labels_version, "
               "certificate_expires = excluded.certificate_expires, certificate_serial = excluded.certificate_serial, "
               "certificate_used = excluded.certificate_used, offered_ca = excluded.offered_ca, "
               "token_id = excluded.token_id, replaces = excluded.replaces, "
               "resource_version = excluded.resource_version, accepted_run = excluded.accepted_run, "
               "accepted_steady = excluded.accepted_steady")
      .bind(node.node_id, node.hostname, static_cast<std::int64_t>(node.state), node.state_reason, number(node.joined),
            number(node.last_seen), node.boot_id, node.start_id, node.generation, Blob{node.facts_sha256},
            Blob{node.conditions_sha256}, node.agent_version, node.agent_labels, node.token_labels,
            node.registry_labels, node.labels_version, number(node.certificate_expires), node.certificate_serial,
            node.certificate_used, node.offered_ca, node.token_id, node.replaces, node.resource_version,
            node.accepted_run, node.accepted_steady)
      .run();
}

Result<> delete_node(Database& database, std::string_view node_id) {
  return Query(database, "DELETE FROM nodes WHERE node_id = ?").bind(node_id).run();
}

Result<> touch_nodes(Database& database, const std::vector<Touch>& nodes) {
  for (const Touch& node : nodes) {
    Query query(database,
                "UPDATE nodes SET last_seen = max(last_seen, ?2), certificate_used = certificate_used OR ?3 "
                "WHERE node_id = ?1");
    const Result<> done = query.bind(node.node_id, number(node.last_seen), node.certificate_used).run();
    if (done.has_error()) return done;
    if (!node.applied) continue;
    const Result<> kept = save_applied(database, node.node_id, *node.applied);
    if (kept.has_error()) return kept;
  }
  return {};
}

Result<> save_facts(Database& database, std::string_view node_id, std::string_view bytes) {
  return Query(database, "INSERT OR REPLACE INTO facts VALUES(?, ?)").bind(node_id, Blob{bytes}).run();
}

Result<> save_conditions(Database& database, std::string_view node_id, std::string_view bytes) {
  return Query(database, "INSERT OR REPLACE INTO conditions VALUES(?, ?)").bind(node_id, Blob{bytes}).run();
}

Result<NodeDetails> load_details(Database& database, std::string_view node_id) {
  Query facts(database, "SELECT bytes FROM facts WHERE node_id = ?");
  Result<std::string> facts_bytes = one_text(facts.bind(node_id));
  if (facts_bytes.has_error()) return std::move(facts_bytes).error();
  Query conditions(database, "SELECT bytes FROM conditions WHERE node_id = ?");
  Result<std::string> conditions_bytes = one_text(conditions.bind(node_id));
  if (conditions_bytes.has_error()) return std::move(conditions_bytes).error();
  return NodeDetails{std::move(*facts_bytes), std::move(*conditions_bytes)};
}

Result<std::vector<Incarnation>> superseded(Database& database, std::string_view node_id) {
  Query query(database, "SELECT boot_id, start_id FROM superseded WHERE node_id = ? ORDER BY sequence");
  return all_rows<Incarnation>(query.bind(node_id), [](const Query& row) {
    return Incarnation{row.text(0), row.text(1)};
  });
}

Result<> add_superseded(Database& database, std::string_view node_id, const Incarnation& past) {
  const Result<> added = Query(database, "INSERT INTO superseded(node_id, boot_id, start_id) VALUES(?, ?, ?)")
                             .bind(node_id, past.boot_id, past.start_id)
                             .run();
  if (added.has_error()) return added;
  return Query(database,
               "DELETE FROM superseded WHERE node_id = ?1 AND sequence NOT IN "
               "(SELECT sequence FROM superseded WHERE node_id = ?1 ORDER BY sequence DESC LIMIT ?2)")
      .bind(node_id, static_cast<std::int64_t>(kSupersededKept))
      .run();
}

Result<> clear_superseded(Database& database, std::string_view node_id) {
  return Query(database, "DELETE FROM superseded WHERE node_id = ?").bind(node_id).run();
}

Result<std::vector<TokenRecord>> load_tokens(Database& database) {
  Query query(database,
              "SELECT token_id, secret_sha256, approve, uses, used, expires, created, labels, comment, revoked "
              "FROM tokens ORDER BY token_id");
  return all_rows<TokenRecord>(query, token_of);
}

Result<std::optional<TokenRecord>> find_token(Database& database, std::string_view token_id) {
  Query query(database,
              "SELECT token_id, secret_sha256, approve, uses, used, expires, created, labels, comment, revoked "
              "FROM tokens WHERE token_id = ?");
  return one_row<TokenRecord>(query.bind(token_id), token_of);
}

Result<> save_token(Database& database, const TokenRecord& token) {
  return Query(database, "INSERT OR REPLACE INTO tokens VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?, ?)")
      .bind(token.token_id, Blob{token.secret_sha256}, static_cast<std::int64_t>(token.approve), token.uses, token.used,
            number(token.expires), number(token.created), token.labels, token.comment, token.revoked)
      .run();
}

Result<std::vector<OperatorRecord>> load_operators(Database& database) {
  Query query(database, "SELECT serial, name, issued, expires, revoked FROM operators ORDER BY issued, serial");
  return all_rows<OperatorRecord>(query, [](const Query& row) {
    return OperatorRecord{row.text(0), row.text(1), time_of(row.integer(2)), time_of(row.integer(3)),
                          row.integer(4) != 0};
  });
}

Result<> save_operator(Database& database, const OperatorRecord& record) {
  return Query(database, "INSERT OR REPLACE INTO operators VALUES(?, ?, ?, ?, ?)")
      .bind(record.serial, record.name, number(record.issued), number(record.expires), record.revoked)
      .run();
}

Result<std::vector<AuthorityRecord>> load_authorities(Database& database) {
  Query query(database, "SELECT fingerprint, state, not_after, certificate FROM authorities ORDER BY not_after");
  return all_rows<AuthorityRecord>(query, [](const Query& row) {
    return AuthorityRecord{row.text(0), row.text(1), time_of(row.integer(2)), row.text(3)};
  });
}

Result<> save_authority(Database& database, const AuthorityRecord& record) {
  return Query(database, "INSERT OR REPLACE INTO authorities VALUES(?, ?, ?, ?)")
      .bind(record.fingerprint, record.state, number(record.not_after), Blob{record.certificate})
      .run();
}

}  // namespace omnitide::registry
