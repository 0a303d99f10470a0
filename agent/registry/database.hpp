// A SQLite connection and its statements, as values with Results. A connection belongs to one thread at a time.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>

#include "agent/base/error.hpp"

struct sqlite3;
struct sqlite3_stmt;

namespace omnitide::registry {

class Database {
 public:
  enum class Mode : std::uint8_t { create, read_write, read_only };
  // Opens the file without looking into it; see open_store() for a checked one.
  [[nodiscard]] static Result<Database> open(const std::string& path, Mode mode);

  Database(Database&&) noexcept = default;
  Database& operator=(Database&&) noexcept = default;
  ~Database() = default;

  // Statements without parameters and results, separated by semicolons.
  [[nodiscard]] Result<> execute(const char* sql);
  [[nodiscard]] Result<std::int64_t> integer(const char* sql);  // first column of the first row, 0 when there is none
  // False once SQLite itself has rolled the transaction back (disk full, I/O error).
  [[nodiscard]] bool in_transaction() const;
  // What the last failed call on this connection means, with the file's name.
  [[nodiscard]] Error last_error() const;
  [[nodiscard]] Error error_of(int sqlite_code) const;
  [[nodiscard]] sqlite3* native() const { return handle_.get(); }
  [[nodiscard]] const std::string& path() const { return path_; }

 private:
  friend class Query;
  struct Close {
    void operator()(sqlite3* handle) const;
  };
  struct Finalize {
    void operator()(sqlite3_stmt* statement) const;
  };
  Database() = default;
  std::string path_;
  std::unique_ptr<sqlite3, Close> handle_;
  // By the address of the SQL text: every statement is a string literal.
  std::unordered_map<const char*, std::unique_ptr<sqlite3_stmt, Finalize>> statements_;
};

// Bytes, as opposed to text.
struct Blob {
  std::string_view bytes;
};

// One use of a prepared statement. `sql` must be a string literal: the statement is kept for the connection's life.
class Query {
 public:
  Query(Database& database, const char* sql);
  ~Query();
  Query(const Query&) = delete;
  Query& operator=(const Query&) = delete;

  template <class... T>
  Query& bind(const T&... values) {
    (bind_one(values), ...);
    return *this;
  }
  [[nodiscard]] Result<bool> step();  // true: there is a row
  [[nodiscard]] Result<> run();       // to its end

  [[nodiscard]] std::int64_t integer(int column) const;
  [[nodiscard]] std::string text(int column) const;  // also for blobs

 private:
  void bind_one(std::int64_t value);
  void bind_one(std::uint64_t value) { bind_one(static_cast<std::int64_t>(value)); }
  void bind_one(std::uint32_t value) { bind_one(static_cast<std::int64_t>(value)); }
  void bind_one(bool value) { bind_one(static_cast<std::int64_t>(value)); }
  void bind_one(std::string_view text);
  void bind_one(const std::string& text) { bind_one(std::string_view(text)); }
  void bind_one(Blob blob);

  Database& database_;
  sqlite3_stmt* statement_ = nullptr;
  int next_ = 1;
  int problem_ = 0;
};

}  // namespace omnitide::registry
