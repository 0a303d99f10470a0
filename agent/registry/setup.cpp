// What is done to a registry's folder while no registry runs in it.
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "agent/base/file.hpp"
#include "agent/base/text.hpp"
#include "agent/io/crypto.hpp"
#include "agent/registry/authority.hpp"
#include "agent/registry/backup.hpp"
#include "agent/registry/directory_lock.hpp"
#include "agent/registry/join_token.hpp"
#include "agent/registry/registry.hpp"
#include "agent/registry/repository.hpp"
#include "agent/registry/schema.hpp"

namespace omnitide::registry {

namespace {

using namespace std::chrono_literals;

std::string database_path(const std::string& dir) { return dir + "/registry.db"; }

// Runs `change` in one transaction.
template <class Change>
Result<> in_transaction(Database& database, const Change& change) {
  Result<> done = database.execute("BEGIN IMMEDIATE");
  if (done.has_value()) done = change();
  if (done.has_value()) done = database.execute("COMMIT");
  if (done.has_error() && database.in_transaction()) (void)database.execute("ROLLBACK");
  return done;
}

Result<OperatorRecord> make_first_operator(const InitOptions& options, const Issuer& issuer) {
  const Result<io::PrivateKey> key = io::PrivateKey::generate();
  if (key.has_error()) return key.error();
  const WallTime now = options.clock();
  const Result<Issued> issued =
      issue_client(issuer, key->public_key_info(), options.operator_name, "operator", now, 24h * options.operator_days);
  if (issued.has_error()) return issued.error();
  const std::string folder = options.dir + "/operator";
  Result<> written = make_folders(folder, 0700);
  if (written.has_value()) written = write_file_durably(folder + "/operator.key", key->to_pem(), 0600);
  if (written.has_value()) written = write_file_durably(folder + "/operator.crt", io::to_pem(issued->der), 0600);
  if (written.has_value()) written = write_file_durably(options.dir + "/ca.crt", io::to_pem(issuer.certificate), 0600);
  if (written.has_error()) return std::move(written).error();
  return OperatorRecord{issued->serial, options.operator_name, now, issued->not_after, false};
}

}  // namespace

bool is_initialised(const std::string& dir) { return check_initialised(dir).has_value(); }

Result<> check_initialised(const std::string& dir) {
  struct stat info {};
  if (::stat(database_path(dir).c_str(), &info) == 0) return {};
  const int problem = errno;
  if (problem == ENOENT || problem == ENOTDIR) {
    return fail(Code::not_found, fmt::format("{} holds no registry", dir))
        .with_hint(fmt::format("make one: omnitide-registry init --dir {}", dir));
  }
  return fail_errno(problem, fmt::format("cannot look into {}", dir))
      .with_hint("run it as the user who owns that folder");
}

Result<> init(const InitOptions& options) {
  const std::string& name = options.operator_name;
  if (name.empty() || name.size() > 64 || printable(name) != name) {
    return fail(Code::invalid_argument, "the operator's name must be 1 to 64 printable bytes");
  }
  if (options.operator_days == 0 || options.operator_days > 3650) {
    return fail(Code::invalid_argument, "an operator's certificate lasts 1 to 3650 days");
  }
  if (Result<> made = make_folders(options.dir, 0700); made.has_error()) return made;
  const Result<UniqueFd> lock = lock_directory(options.dir);
  if (is_initialised(options.dir)) {
    return fail(Code::already_exists, fmt::format("{} holds a registry already", options.dir));
  }
  if (lock.has_error()) return lock.error();
  const Result<AuthorityRecord> ca = make_authority(options.dir, "active", options.clock());
  if (ca.has_error()) return ca.error();
  const Result<Authorities> authorities = Authorities::load(options.dir, {*ca});
  if (authorities.has_error()) return authorities.error();
  const Result<OperatorRecord> first = make_first_operator(options, *authorities->issuer());
  if (first.has_error()) return first.error();
  // The database comes last and under another name until it is whole: its presence says that all is there.
  const std::string fresh = database_path(options.dir) + ".new";
  for (const char* end : {"", "-wal", "-shm"})
    ::unlink((fresh + end).c_str());
  {
    Result<Database> database = open_store(fresh);
    if (database.has_error()) return std::move(database).error();
    Result<> stored = in_transaction(*database, [&]() -> Result<> {
      const Result<> saved = save_authority(*database, *ca);
      return saved.has_error() ? saved : save_operator(*database, *first);
    });
    if (stored.has_value()) stored = database->execute("PRAGMA journal_mode = DELETE");
    if (stored.has_error()) return stored;
  }
  if (::rename(fresh.c_str(), database_path(options.dir).c_str()) != 0) {
    return fail_errno(errno, fmt::format("cannot rename {}", fresh));
  }
  ::chmod(database_path(options.dir).c_str(), 0600);
  return {};
}

Result<std::string> create_token(const std::string& dir, const TokenOptions& options) {
  if (const Result<> there = check_initialised(dir); there.has_error()) return there.error();
  const Result<UniqueFd> lock = lock_directory(dir);
  if (lock.has_error()) return lock.error();
  Result<Database> database = open_store(database_path(dir));
  if (database.has_error()) return std::move(database).error();
  Result<std::vector<AuthorityRecord>> records = load_authorities(*database);
  if (records.has_error()) return std::move(records).error();
  const Result<Authorities> authorities = Authorities::load(dir, std::move(*records));
  if (authorities.has_error()) return authorities.error();
  TokenTerms terms;
  terms.approve = options.manual_approval ? Approve::manual : Approve::automatic;
  terms.uses = options.uses;
  terms.now = wall_now();
  terms.expires = terms.now + options.lifetime;
  terms.comment = options.comment;
  Result<NewToken> token = new_token(terms, authorities->active().fingerprint);
  if (token.has_error()) return std::move(token).error();
  const Result<> saved = in_transaction(*database, [&] { return save_token(*database, token->record); });
  if (saved.has_error()) return saved.error();
  return std::move(token->text);
}

Result<> restore(const std::string& backup_file, const std::string& dir) {
  const Result<UniqueFd> lock = lock_directory(dir);
  if (lock.has_error()) return lock.error();
  const Result<> checked = check_restorable(backup_file, dir);
  if (checked.has_error()) return checked;
  const std::string path = database_path(dir), fresh = path + ".restored";
  for (const char* end : {"", "-wal", "-shm", "-journal"})
    ::unlink((fresh + end).c_str());
  {
    Result<Database> from = Database::open(backup_file, Database::Mode::read_only);
    if (from.has_error()) return std::move(from).error();
    Result<Database> to = Database::open(fresh, Database::Mode::create);
    if (to.has_error()) return std::move(to).error();
    Result<> done = to->execute("PRAGMA synchronous = FULL");
    if (done.has_value()) done = copy_database(*from, *to);
    if (done.has_value()) done = to->execute("PRAGMA journal_mode = DELETE");
    if (done.has_error()) return done;
  }
  ::chmod(fresh.c_str(), 0600);
  // The old database stays beside the new one, with its WAL: it may still tell something.
  const std::string aside = fmt::format("{}.before-{}", path, wall_now().time_since_epoch().count());
  for (const char* end : {"", "-wal", "-shm"})
    ::rename((path + end).c_str(), (aside + end).c_str());
  if (::rename(fresh.c_str(), path.c_str()) != 0) return fail_errno(errno, fmt::format("cannot rename {}", fresh));
  return {};
}

}  // namespace omnitide::registry
