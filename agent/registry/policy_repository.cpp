#include "agent/registry/policy_repository.hpp"

#include "agent/registry/rows.hpp"

namespace omnitide::registry {

namespace {

#define OMNITIDE_POLICY_COLUMNS "revision, name, selector, bytes, sha256, objects, changed, changed_by, deleted"

PolicyRecord policy_without_text(const Query& row) {
  PolicyRecord out;
  out.revision = static_cast<std::uint64_t>(row.integer(0));
  out.name = row.text(1);
  out.selector = row.text(2);
  out.bytes = static_cast<std::uint64_t>(row.integer(3));
  out.sha256 = row.text(4);
  out.objects = static_cast<std::uint32_t>(row.integer(5));
  out.changed = time_of(row.integer(6));
  out.changed_by = row.text(7);
  out.deleted = row.integer(8) != 0;
  return out;
}

PolicyRecord policy_of(const Query& row) {
  PolicyRecord out = policy_without_text(row);
  out.text = row.text(9);
  return out;
}

// Of each name the newest few; of all that is not current so many bytes and, of names without a document, so many rows.
Result<> forget_history(Database& database, std::string_view name) {
  Result<> done = Query(database,
                        "DELETE FROM policies WHERE name = ?1 AND current = 0 AND revision NOT IN "
                        "(SELECT revision FROM policies WHERE name = ?1 ORDER BY revision DESC LIMIT ?2)")
                      .bind(name, static_cast<std::int64_t>(kRevisionsKept))
                      .run();
  if (done.has_error()) return done;
  done = Query(database,
               "DELETE FROM policies WHERE revision IN (SELECT revision FROM "
               "(SELECT revision, sum(bytes) OVER (ORDER BY revision DESC) AS above FROM policies WHERE current = 0) "
               "WHERE above > ?)")
             .bind(kHistoryKept)
             .run();
  if (done.has_error()) return done;
  return Query(database,
               "DELETE FROM policies WHERE revision IN (SELECT revision FROM policies AS old WHERE current = 0 AND "
               "NOT EXISTS (SELECT 1 FROM policies WHERE name = old.name AND current = 1) "
               "ORDER BY revision DESC LIMIT -1 OFFSET ?)")
      .bind(static_cast<std::int64_t>(kGoneKept))
      .run();
}

}  // namespace

Result<std::vector<PolicyRecord>> load_policies(Database& database) {
  Query query(database, "SELECT " OMNITIDE_POLICY_COLUMNS ", text FROM policies WHERE current = 1 ORDER BY name");
  return all_rows<PolicyRecord>(query, policy_of);
}

Result<std::optional<PolicyRecord>> find_policy(Database& database, std::string_view name) {
  Query query(database, "SELECT " OMNITIDE_POLICY_COLUMNS ", text FROM policies WHERE name = ? AND current = 1");
  return one_row<PolicyRecord>(query.bind(name), policy_of);
}

Result<std::optional<PolicyRecord>> find_revision(Database& database, std::string_view name, std::uint64_t revision) {
  Query query(database, "SELECT " OMNITIDE_POLICY_COLUMNS ", text FROM policies WHERE name = ? AND revision = ?");
  return one_row<PolicyRecord>(query.bind(name, revision), policy_of);
}

Result<std::vector<PolicyRecord>> policy_history(Database& database, std::string_view name) {
  Query query(database, "SELECT " OMNITIDE_POLICY_COLUMNS " FROM policies WHERE name = ? ORDER BY revision DESC");
  return all_rows<PolicyRecord>(query.bind(name), policy_without_text);
}

Result<PolicyTotals> policy_totals(Database& database) {
  Query query(database, "SELECT count(*), coalesce(sum(bytes), 0) FROM policies WHERE current = 1");
  const Result<std::optional<PolicyTotals>> row = one_row<PolicyTotals>(query, [](const Query& found) {
    return PolicyTotals{static_cast<std::uint64_t>(found.integer(0)), static_cast<std::uint64_t>(found.integer(1))};
  });
  if (row.has_error()) return row.error();
  return row->value_or(PolicyTotals{});
}

Result<> save_policy(Database& database, PolicyRecord& record) {
  const Result<> aside =
      Query(database, "UPDATE policies SET current = 0 WHERE name = ? AND current = 1").bind(record.name).run();
  if (aside.has_error()) return aside;
  {
    // AUTOINCREMENT is not needed: the newest revision of all is never forgotten, so no number comes twice.
    Query insert(database,
                 "INSERT INTO policies(name, current, deleted, selector, text, bytes, sha256, objects, changed, "
                 "changed_by) VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?, ?) RETURNING revision");
    insert.bind(record.name, !record.deleted, record.deleted, record.selector, Blob{record.text}, record.bytes,
                Blob{record.sha256}, record.objects, number(record.changed), record.changed_by);
    const Result<bool> row = insert.step();
    if (row.has_error()) return row.error();
    record.revision = static_cast<std::uint64_t>(insert.integer(0));
  }
  return forget_history(database, record.name);
}

Result<std::vector<VersionRecord>> load_versions(Database& database) {
  Query query(database, "SELECT version, sha256, documents, created FROM desired_versions ORDER BY version DESC");
  return all_rows<VersionRecord>(query, [](const Query& row) {
    return VersionRecord{static_cast<std::uint64_t>(row.integer(0)), row.text(1), row.text(2), time_of(row.integer(3))};
  });
}

Result<std::uint64_t> number_version(Database& database, const VersionRecord& record) {
  const auto known = [&database, &record]() -> Result<std::optional<std::uint64_t>> {
    Query query(database, "SELECT version FROM desired_versions WHERE sha256 = ?");
    return one_row<std::uint64_t>(query.bind(Blob{record.sha256}),
                                  [](const Query& row) { return static_cast<std::uint64_t>(row.integer(0)); });
  };
  Result<std::optional<std::uint64_t>> number_of = known();
  if (number_of.has_error()) return std::move(number_of).error();
  if (*number_of) return **number_of;
  const Result<> added = Query(database, "INSERT INTO desired_versions(sha256, created, documents) VALUES(?, ?, ?)")
                             .bind(Blob{record.sha256}, number(record.created), record.documents)
                             .run();
  if (added.has_error()) return added.error();
  const Result<> pruned = Query(database,
                                "DELETE FROM desired_versions WHERE version <= "
                                "(SELECT max(version) FROM desired_versions) - ?")
                              .bind(static_cast<std::int64_t>(kVersionsKept))
                              .run();
  if (pruned.has_error()) return pruned.error();
  number_of = known();
  if (number_of.has_error()) return std::move(number_of).error();
  return (*number_of).value_or(0);
}

Result<std::vector<std::pair<std::string, AppliedRecord>>> load_applied(Database& database) {
  using Row = std::pair<std::string, AppliedRecord>;
  Query query(database,
              "SELECT node_id, held_version, held_sha256, applied_version, applied_sha256, faults, first_fault "
              "FROM applied");
  return all_rows<Row>(query, [](const Query& row) {
    AppliedRecord out;
    out.held_version = static_cast<std::uint64_t>(row.integer(1));
    out.held_sha256 = row.text(2);
    out.applied_version = static_cast<std::uint64_t>(row.integer(3));
    out.applied_sha256 = row.text(4);
    out.faults = static_cast<std::uint32_t>(row.integer(5));
    out.first_fault = row.text(6);
    out.said = true;
    return Row{row.text(0), std::move(out)};
  });
}

Result<> save_applied(Database& database, std::string_view node_id, const AppliedRecord& applied) {
  return Query(database,
               "INSERT OR REPLACE INTO applied SELECT node_id, ?2, ?3, ?4, ?5, ?6, ?7 FROM nodes WHERE node_id = ?1")
      .bind(node_id, applied.held_version, Blob{applied.held_sha256}, applied.applied_version,
            Blob{applied.applied_sha256}, applied.faults, applied.first_fault)
      .run();
}

}  // namespace omnitide::registry
