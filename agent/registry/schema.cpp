#include "agent/registry/schema.hpp"

#include <fmt/format.h>

#include <array>

namespace omnitide::registry {

namespace {

// One entry a version; an entry that was released is never changed.
// facts and conditions stand apart from nodes, so that a change of state does not rewrite large rows.
constexpr std::array<const char*, kSchemaVersion> kMigrations{{R"sql(
CREATE TABLE meta(name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
INSERT INTO meta VALUES('resource_version', 0);
CREATE TABLE nodes(
  node_id TEXT PRIMARY KEY, hostname TEXT NOT NULL, state INTEGER NOT NULL, state_reason TEXT NOT NULL,
  joined INTEGER NOT NULL, last_seen INTEGER NOT NULL, boot_id TEXT NOT NULL, start_id TEXT NOT NULL,
  generation INTEGER NOT NULL, facts_sha256 BLOB NOT NULL, conditions_sha256 BLOB NOT NULL,
  agent_version TEXT NOT NULL, agent_labels TEXT NOT NULL, token_labels TEXT NOT NULL, registry_labels TEXT NOT NULL,
  labels_version INTEGER NOT NULL, certificate_expires INTEGER NOT NULL, certificate_serial TEXT NOT NULL,
  certificate_used INTEGER NOT NULL, offered_ca TEXT NOT NULL, token_id TEXT NOT NULL, replaces TEXT NOT NULL,
  resource_version INTEGER NOT NULL, accepted_run INTEGER NOT NULL, accepted_steady INTEGER NOT NULL);
CREATE TABLE facts(node_id TEXT PRIMARY KEY REFERENCES nodes ON DELETE CASCADE, bytes BLOB NOT NULL);
CREATE TABLE conditions(node_id TEXT PRIMARY KEY REFERENCES nodes ON DELETE CASCADE, bytes BLOB NOT NULL);
CREATE TABLE superseded(
  sequence INTEGER PRIMARY KEY, node_id TEXT NOT NULL REFERENCES nodes ON DELETE CASCADE,
  boot_id TEXT NOT NULL, start_id TEXT NOT NULL);
CREATE INDEX superseded_by_node ON superseded(node_id);
CREATE TABLE tokens(
  token_id TEXT PRIMARY KEY, secret_sha256 BLOB NOT NULL, approve INTEGER NOT NULL, uses INTEGER NOT NULL,
  used INTEGER NOT NULL, expires INTEGER NOT NULL, created INTEGER NOT NULL, labels TEXT NOT NULL,
  comment TEXT NOT NULL, revoked INTEGER NOT NULL);
CREATE TABLE operators(
  serial TEXT PRIMARY KEY, name TEXT NOT NULL, issued INTEGER NOT NULL, expires INTEGER NOT NULL,
  revoked INTEGER NOT NULL);
CREATE TABLE authorities(
  fingerprint TEXT PRIMARY KEY, state TEXT NOT NULL, not_after INTEGER NOT NULL, certificate BLOB NOT NULL);
)sql",
                                                               // 2: policies. Of each name at most one row is
                                                               // current; the others are its history.
                                                               R"sql(
CREATE TABLE policies(
  revision INTEGER PRIMARY KEY, name TEXT NOT NULL, current INTEGER NOT NULL, deleted INTEGER NOT NULL,
  selector TEXT NOT NULL, text BLOB NOT NULL, bytes INTEGER NOT NULL, sha256 BLOB NOT NULL, objects INTEGER NOT NULL,
  changed INTEGER NOT NULL, changed_by TEXT NOT NULL);
CREATE INDEX policies_by_name ON policies(name, revision);
CREATE UNIQUE INDEX policies_current ON policies(name) WHERE current = 1;
CREATE TABLE desired_versions(
  version INTEGER PRIMARY KEY, sha256 BLOB NOT NULL UNIQUE, created INTEGER NOT NULL, documents TEXT NOT NULL);
CREATE TABLE applied(
  node_id TEXT PRIMARY KEY REFERENCES nodes ON DELETE CASCADE, held_version INTEGER NOT NULL,
  held_sha256 BLOB NOT NULL, applied_version INTEGER NOT NULL, applied_sha256 BLOB NOT NULL, faults INTEGER NOT NULL,
  first_fault TEXT NOT NULL);
)sql",
                                                               // 3: leases of restarts.
                                                               R"sql(
CREATE TABLE reboot_leases(
  node_id TEXT PRIMARY KEY REFERENCES nodes ON DELETE CASCADE, boot_id TEXT NOT NULL, granted INTEGER NOT NULL,
  expires INTEGER NOT NULL);
)sql"}};

Error damaged(const Database& database, const std::string& what) {
  return fail(Code::data_loss, fmt::format("{} is damaged: {}", database.path(), what))
      .with_hint("restore a backup: omnitide-registry restore FILE --dir DIR");
}

Result<> check_pages(Database& database, const char* pragma) {
  Query query(database, pragma);
  const Result<bool> row = query.step();
  if (row.has_error()) return row.error();
  if (*row && query.text(0) != "ok") return damaged(database, query.text(0));
  return {};
}

// 0 for a new, empty file.
Result<std::int64_t> known_version(Database& database) {
  const Result<std::int64_t> application = database.integer("PRAGMA application_id");
  if (application.has_error()) return application.error();
  const Result<std::int64_t> version = database.integer("PRAGMA user_version");
  if (version.has_error()) return version.error();
  const Result<std::int64_t> tables = database.integer("SELECT count(*) FROM sqlite_schema");
  if (tables.has_error()) return tables.error();
  if (*tables == 0 && *version == 0) return 0;
  if (*application != kApplicationId) {
    return fail(Code::failed_precondition, fmt::format("{} is not a registry's database", database.path()));
  }
  if (*version > kSchemaVersion) {
    return fail(Code::failed_precondition,
                fmt::format("{} has form {}, this program knows up to {}", database.path(), *version, kSchemaVersion))
        .with_hint("run the newer omnitide-registry that wrote it");
  }
  return *version;
}

Result<> migrate(Database& database, std::int64_t from) {
  for (std::int64_t version = from; version < kSchemaVersion; ++version) {
    Result<> done = database.execute("BEGIN IMMEDIATE");
    if (done.has_value()) done = database.execute(kMigrations[static_cast<std::size_t>(version)]);
    // PRAGMA takes no parameters; both numbers are ours.
    const std::string stamp =
        fmt::format("PRAGMA application_id = {}; PRAGMA user_version = {}", kApplicationId, version + 1);
    if (done.has_value()) done = database.execute(stamp.c_str());
    if (done.has_value()) done = database.execute("COMMIT");
    if (done.has_error()) {
      (void)database.execute("ROLLBACK");
      return std::move(done).error().within(fmt::format("cannot bring {} to form {}", database.path(), version + 1));
    }
  }
  return {};
}

}  // namespace

Result<Database> open_store(const std::string& path) {
  Result<Database> database = Database::open(path, Database::Mode::create);
  if (database.has_error()) return database;
  Result<std::int64_t> version = known_version(*database);
  if (version.has_error()) return std::move(version).error();
  Result<> done = database->execute(
      "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON; PRAGMA cache_size = -8192;"
      "PRAGMA journal_size_limit = 67108864; PRAGMA trusted_schema = OFF");
  if (done.has_value()) done = check_pages(*database, "PRAGMA quick_check(1)");
  if (done.has_value()) done = migrate(*database, *version);
  if (done.has_error()) return std::move(done).error();
  return database;
}

Result<Database> open_reader(const std::string& path) {
  Result<Database> database = Database::open(path, Database::Mode::read_write);
  if (database.has_error()) return database;
  const Result<> done = database->execute("PRAGMA query_only = ON; PRAGMA cache_size = -2048");
  if (done.has_error()) return done.error();
  return database;
}

Result<> check_backup(const std::string& path) {
  Result<Database> database = Database::open(path, Database::Mode::read_only);
  if (database.has_error()) return database.error();
  const Result<std::int64_t> version = known_version(*database);
  if (version.has_error()) return version.error();
  if (*version == 0) return fail(Code::invalid_argument, fmt::format("{} holds no registry", path));
  return check_pages(*database, "PRAGMA integrity_check(1)");
}

}  // namespace omnitide::registry
