// telemetry_spool WHAT RECORDS FOLDER: one round of records of 120 bytes into the spool or a database, or out of it, on
// an empty folder (into) or the one that was filled before (out of). Prints records a second.
// tests/bench/telemetry_spool.sh
#include <fmt/format.h>
#include <sqlite3.h>
#include <sys/resource.h>

#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>

#include "agent/telemetry/crc32c.hpp"
#include "agent/telemetry/spool.hpp"

using namespace omnitide;
using namespace omnitide::telemetry;

namespace {

constexpr int kGroup = 100;
constexpr std::size_t kRecordBytes = 120;
using Clock = std::chrono::steady_clock;

std::unique_ptr<Spool> open_spool(const std::string& folder) {
  SpoolLimits limits;
  limits.bytes = std::uint64_t{4} << 30U;
  Result<std::unique_ptr<Spool>> spool = Spool::open(folder, limits, wall_now());
  if (spool.has_error()) throw std::runtime_error(spool.error().text());
  return std::move(*spool);
}

template <class T>
T must(Result<T> result) {
  if (result.has_error()) throw std::runtime_error(result.error().text());
  return std::move(*result);
}
void must(const Result<>& result) {
  if (result.has_error()) throw std::runtime_error(result.error().text());
}

// Written each 100 records, synced each second by a thread and once more at the end, which counts too.
void into_spool(int records, const std::string& folder) {
  const auto spool = open_spool(folder);
  const std::string payload(kRecordBytes, 'x');
  std::thread syncing;
  auto next_sync = Clock::now() + std::chrono::seconds(1);
  for (int i = 0; i < records; i += kGroup) {
    const WallTime now = wall_now();
    for (int j = 0; j < kGroup; ++j)
      (void)must(spool->append(Stream::metrics, now, payload, now));
    must(spool->write());
    if (Clock::now() < next_sync) continue;
    if (syncing.joinable()) syncing.join();
    syncing = std::thread([job = spool->sync()] { must(job()); });
    next_sync += std::chrono::seconds(1);
  }
  if (syncing.joinable()) syncing.join();
  must(spool->sync()());
}

void out_of_spool(int records, const std::string& folder) {
  const auto spool = open_spool(folder);
  RecordNumber last = 0;
  for (int i = 0; i < records; i += kGroup) {
    const auto some = must(spool->read(Stream::metrics, last, kGroup, std::size_t{1} << 20U));
    if (some.size() != kGroup) throw std::runtime_error("the spool has fewer records than were put in");
    last = some.back().number;
    spool->confirm(Stream::metrics, last);
    must(spool->write());
  }
  must(spool->sync()());
}

class Database {
 public:
  Database(const std::string& folder, std::string_view synchronous) {
    if (::sqlite3_open((folder + "/records.db").c_str(), &database_) != SQLITE_OK) fail();
    run("PRAGMA journal_mode=WAL");
    run(fmt::format("PRAGMA synchronous={}", synchronous));
    run("CREATE TABLE IF NOT EXISTS records (number INTEGER PRIMARY KEY, time INTEGER, payload BLOB)");
  }
  Database(const Database&) = delete;
  Database& operator=(const Database&) = delete;
  ~Database() { ::sqlite3_close(database_); }

  void run(const std::string& sql) {
    if (::sqlite3_exec(database_, sql.c_str(), nullptr, nullptr, nullptr) != SQLITE_OK) fail();
  }
  [[nodiscard]] sqlite3_stmt* prepare(const char* sql) {
    sqlite3_stmt* out = nullptr;
    if (::sqlite3_prepare_v2(database_, sql, -1, &out, nullptr) != SQLITE_OK) fail();
    return out;
  }
  void step(sqlite3_stmt* statement) {
    if (::sqlite3_step(statement) != SQLITE_DONE) fail();
    ::sqlite3_reset(statement);
  }

 private:
  [[noreturn]] void fail() const { throw std::runtime_error(::sqlite3_errmsg(database_)); }
  sqlite3* database_ = nullptr;
};

void into_database(int records, const std::string& folder, std::string_view synchronous) {
  Database database(folder, synchronous);
  const std::string payload(kRecordBytes, 'x');
  sqlite3_stmt* const insert = database.prepare("INSERT INTO records (time, payload) VALUES (?, ?)");
  for (int i = 0; i < records; i += kGroup) {
    database.run("BEGIN");
    for (int j = 0; j < kGroup; ++j) {
      ::sqlite3_bind_int64(insert, 1, wall_now().time_since_epoch().count());
      ::sqlite3_bind_blob(insert, 2, payload.data(), static_cast<int>(payload.size()), SQLITE_STATIC);
      database.step(insert);
    }
    database.run("COMMIT");
  }
  ::sqlite3_finalize(insert);
}

void out_of_database(int records, const std::string& folder) {
  Database database(folder, "NORMAL");
  sqlite3_stmt* const select = database.prepare("SELECT number, time, payload FROM records ORDER BY number LIMIT 100");
  sqlite3_stmt* const remove = database.prepare("DELETE FROM records WHERE number <= ?");
  for (int i = 0; i < records; i += kGroup) {
    std::int64_t last = 0;
    int count = 0;
    for (; ::sqlite3_step(select) == SQLITE_ROW; ++count) {
      last = ::sqlite3_column_int64(select, 0);
      const std::string payload(static_cast<const char*>(::sqlite3_column_blob(select, 2)),
                                static_cast<std::size_t>(::sqlite3_column_bytes(select, 2)));
      if (payload.size() != kRecordBytes) throw std::runtime_error("a record is not as it was");
    }
    ::sqlite3_reset(select);
    if (count != kGroup) throw std::runtime_error("the database has fewer records than were put in");
    ::sqlite3_bind_int64(remove, 1, last);
    database.step(remove);
  }
  ::sqlite3_finalize(select);
  ::sqlite3_finalize(remove);
}

void measure(std::string_view what, int records, const std::string& folder) {
  const auto begin = Clock::now();
  if (what == "spool-in") {
    into_spool(records, folder);
  } else if (what == "spool-out") {
    out_of_spool(records, folder);
  } else if (what == "sqlite-normal-in") {
    into_database(records, folder, "NORMAL");
  } else if (what == "sqlite-full-in") {
    into_database(records, folder, "FULL");
  } else if (what == "sqlite-normal-out") {
    out_of_database(records, folder);
  } else {
    throw std::runtime_error("unknown: " + std::string(what));
  }
  const double seconds = std::chrono::duration<double>(Clock::now() - begin).count();
  rusage usage{};
  (void)::getrusage(RUSAGE_SELF, &usage);
  fmt::print("{:.0f} {}\n", records / seconds, usage.ru_maxrss);
}

}  // namespace

int main(int argc, char** argv) {
  try {
    if (argc != 4) throw std::runtime_error("telemetry_spool WHAT RECORDS FOLDER");
    measure(argv[1], std::atoi(argv[2]), argv[3]);
  } catch (const std::exception& error) {
    fmt::print(stderr, "{}\n", error.what());
    return 1;
  }
}
