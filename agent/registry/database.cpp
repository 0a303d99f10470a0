#include "agent/registry/database.hpp"

#include <fmt/format.h>
#include <sqlite3.h>

#include <cerrno>
#include <utility>

#include "agent/base/lazy_library.hpp"

namespace omnitide::registry {

void Database::Close::operator()(sqlite3* handle) const { sqlite3_close_v2(handle); }
void Database::Finalize::operator()(sqlite3_stmt* statement) const { sqlite3_finalize(statement); }

Result<Database> Database::open(const std::string& path, Mode mode) {
  if (Result<> loaded = load_library("libsqlite3.so.0"); loaded.has_error()) return std::move(loaded).error();
  int flags = SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE;
  flags |= mode == Mode::read_only ? SQLITE_OPEN_READONLY : SQLITE_OPEN_READWRITE;
  if (mode == Mode::create) flags |= SQLITE_OPEN_CREATE;
  Database database;
  database.path_ = path;
  sqlite3* handle = nullptr;
  const int code = sqlite3_open_v2(path.c_str(), &handle, flags, nullptr);
  database.handle_.reset(handle);
  if (code != SQLITE_OK) return database.error_of(code).within("cannot open the database");
  sqlite3_busy_timeout(handle, 5000);
  return database;
}

Result<> Database::execute(const char* sql) {
  const int code = sqlite3_exec(handle_.get(), sql, nullptr, nullptr, nullptr);
  if (code != SQLITE_OK) return error_of(code);
  return {};
}

Result<std::int64_t> Database::integer(const char* sql) {
  Query query(*this, sql);
  const Result<bool> row = query.step();
  if (row.has_error()) return row.error();
  return *row ? query.integer(0) : 0;
}

bool Database::in_transaction() const { return sqlite3_get_autocommit(handle_.get()) == 0; }

Error Database::last_error() const { return error_of(sqlite3_extended_errcode(handle_.get())); }

Error Database::error_of(int sqlite_code) const {
  const char* said = handle_ ? sqlite3_errmsg(handle_.get()) : sqlite3_errstr(sqlite_code);
  const int system = handle_ ? sqlite3_system_errno(handle_.get()) : 0;
  const int primary = sqlite_code & 0xff;
  const bool full =
      primary == SQLITE_FULL || (primary == SQLITE_IOERR && (system == ENOSPC || system == EDQUOT || system == EFBIG));
  if (full) {
    return fail(Code::unavailable, fmt::format("no space left for {}", path_))
        .with_hint("free space on that disk; what was acknowledged is safe, reading goes on");
  }
  switch (primary) {
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
      return fail(Code::data_loss, fmt::format("{} is damaged: {}", path_, said))
          .with_hint("restore a backup: omnitide-registry restore FILE --dir DIR");
    case SQLITE_READONLY:
    case SQLITE_PERM:
    case SQLITE_CANTOPEN:
      return fail(Code::unavailable, fmt::format("{} cannot be written: {}", path_, said))
          .with_hint(
              "look at the owner and mode of the file and its folder, and whether the disk is mounted read-only");
    case SQLITE_BUSY:
    case SQLITE_LOCKED: return fail(Code::unavailable, fmt::format("{} is used by another program: {}", path_, said));
    case SQLITE_IOERR: return fail(Code::unavailable, fmt::format("{}: {} (errno {})", path_, said, system));
    case SQLITE_TOOBIG: return fail(Code::invalid_argument, fmt::format("a value is too large for {}", path_));
    case SQLITE_CONSTRAINT: return fail(Code::already_exists, fmt::format("{}: {}", path_, said));
    default: return fail(Code::internal, fmt::format("{}: {}", path_, said));
  }
}

Query::Query(Database& database, const char* sql) : database_(database) {
  auto& slot = database.statements_[sql];
  if (!slot) {
    sqlite3_stmt* statement = nullptr;
    problem_ = sqlite3_prepare_v3(database.native(), sql, -1, SQLITE_PREPARE_PERSISTENT, &statement, nullptr);
    slot.reset(statement);
  }
  statement_ = slot.get();
}

Query::~Query() {
  if (statement_ == nullptr) {
    std::erase_if(database_.statements_, [](const auto& entry) { return entry.second == nullptr; });
    return;
  }
  sqlite3_reset(statement_);
  sqlite3_clear_bindings(statement_);
}

void Query::bind_one(std::int64_t value) {
  if (problem_ == SQLITE_OK) problem_ = sqlite3_bind_int64(statement_, next_++, value);
}

// The caller's text outlives the query in every use, so SQLite need not copy it.
void Query::bind_one(std::string_view text) {
  if (problem_ != SQLITE_OK) return;
  const char* data = text.data() == nullptr ? "" : text.data();
  problem_ = sqlite3_bind_text64(statement_, next_++, data, text.size(), SQLITE_STATIC, SQLITE_UTF8);
}

void Query::bind_one(Blob blob) {
  if (problem_ != SQLITE_OK) return;
  const char* data = blob.bytes.data() == nullptr ? "" : blob.bytes.data();
  problem_ = sqlite3_bind_blob64(statement_, next_++, data, blob.bytes.size(), SQLITE_STATIC);
}

Result<bool> Query::step() {
  if (problem_ != SQLITE_OK) return database_.error_of(problem_);
  const int code = sqlite3_step(statement_);
  if (code == SQLITE_ROW) return true;
  if (code == SQLITE_DONE) return false;
  return database_.error_of(code);
}

Result<> Query::run() {
  while (true) {
    const Result<bool> row = step();
    if (row.has_error()) return row.error();
    if (!*row) return {};
  }
}

std::int64_t Query::integer(int column) const { return sqlite3_column_int64(statement_, column); }

std::string Query::text(int column) const {
  const void* data = sqlite3_column_blob(statement_, column);
  const int size = sqlite3_column_bytes(statement_, column);
  if (data == nullptr || size <= 0) return {};
  return {static_cast<const char*>(data), static_cast<std::size_t>(size)};
}

}  // namespace omnitide::registry
