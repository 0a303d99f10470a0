// Online backup and restore by SQLite's backup interface.
#include "agent/registry/backup.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sqlite3.h>
#include <unistd.h>

#include <cerrno>

#include "agent/base/fd.hpp"
#include "agent/base/file.hpp"
#include "agent/base/random.hpp"
#include "agent/base/text.hpp"
#include "agent/registry/handlers.hpp"
#include "agent/registry/repository.hpp"
#include "agent/registry/schema.hpp"
#include "agent/registry/wire.hpp"

namespace omnitide::registry {

namespace asio = boost::asio;

namespace {

std::string temporary_name(const Context& context, const char* what) {
  return fmt::format("{}/{}-{}.tmp", context.options.dir, what, hex_encode(random_bytes(8)));
}

// Removes the file and what SQLite may have laid beside it.
class Temporary {
 public:
  explicit Temporary(std::string path) : path_(std::move(path)) {}
  Temporary(const Temporary&) = delete;
  Temporary& operator=(const Temporary&) = delete;
  ~Temporary() {
    for (const char* end : {"", "-wal", "-shm", "-journal"})
      ::unlink((path_ + end).c_str());
  }
  [[nodiscard]] const std::string& path() const { return path_; }

 private:
  std::string path_;
};

asio::awaitable<Result<>> send_file(int fd, io::BodyStream& out) {
  std::string block(64U << 10U, '\0');
  while (true) {
    const ssize_t got = ::read(fd, block.data(), block.size());
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) co_return fail_errno(errno, "cannot read the backup");
    if (got == 0) co_return Result<>();
    Result<> wrote = co_await out.write(std::string_view(block.data(), static_cast<std::size_t>(got)));
    if (wrote.has_error()) co_return wrote;
  }
}

}  // namespace

Result<> copy_database(Database& from, Database& to) {
  sqlite3_backup* copy = sqlite3_backup_init(to.native(), "main", from.native(), "main");
  if (copy == nullptr) return to.last_error().within("cannot copy the database");
  int code = SQLITE_BUSY;
  // The reading connection may be in the middle of a row: that passes.
  for (int round = 0; round < 100 && (code == SQLITE_BUSY || code == SQLITE_LOCKED); ++round) {
    code = sqlite3_backup_step(copy, -1);
    if (code == SQLITE_BUSY || code == SQLITE_LOCKED) sqlite3_sleep(50);
  }
  const int finished = sqlite3_backup_finish(copy);
  if (code == SQLITE_DONE && finished == SQLITE_OK) return {};
  return to.error_of(finished != SQLITE_OK ? finished : code).within("cannot copy the database");
}

Result<> check_restorable(const std::string& file, const std::string& dir) {
  if (::access(file.c_str(), R_OK) != 0) return fail_errno(errno, fmt::format("cannot read {}", file));
  Result<> checked = check_backup(file);
  if (checked.has_error()) {
    return std::move(checked)
        .error()
        .within("the backup cannot be used")
        .with_hint("a sound one comes from: omnitide-agent registry backup FILE");
  }
  Result<Database> database = Database::open(file, Database::Mode::read_only);
  if (database.has_error()) return std::move(database).error();
  Result<std::vector<AuthorityRecord>> records = load_authorities(*database);
  if (records.has_error()) return std::move(records).error();
  const Result<Authorities> loaded = Authorities::load(dir, std::move(*records));
  return loaded.has_error() ? Result<>(loaded.error()) : Result<>();
}

asio::awaitable<io::HttpResponse> back_up(Context& context, io::HttpRequest& /*request*/) {
  if (context.backup_running) co_return refuse(fail(Code::resource_exhausted, "a backup is being made already"));
  context.backup_running = true;
  const auto file = std::make_shared<Temporary>(temporary_name(context, "backup"));
  auto running = context.reader.run([file](Database& database) -> Result<> {
    Result<Database> copy = Database::open(file->path(), Database::Mode::create);
    if (copy.has_error()) return std::move(copy).error();
    Result<> good = copy->execute("PRAGMA synchronous = OFF");
    if (good.has_value()) good = copy_database(database, *copy);
    // One file that stands alone, without a WAL beside it.
    if (good.has_value()) good = copy->execute("PRAGMA journal_mode = DELETE");
    return good;
  });
  const Result<> done = co_await std::move(running);
  context.backup_running = false;
  if (done.has_error()) co_return refuse(done.error());
  const auto fd = std::make_shared<UniqueFd>(::open(file->path().c_str(), O_RDONLY | O_CLOEXEC));
  if (!*fd) co_return refuse(fail_errno(errno, "cannot open the backup"));
  io::HttpResponse response;
  response.content_type = "application/vnd.sqlite3";
  response.headers.emplace_back("Content-Disposition", "attachment; filename=\"registry-backup.db\"");
  response.stream = [fd](io::BodyStream& out) { return send_file(fd->get(), out); };
  co_return response;
}

Answer<v1::Empty> restore_online(Context& context, io::HttpRequest& request) {
  if (request.body.empty()) co_return invalid("", "the body must be a backup");
  const auto file = std::make_shared<Temporary>(temporary_name(context, "restore"));
  const auto body = std::make_shared<std::string>(std::move(request.body));
  const auto snapshot = std::make_shared<Snapshot>();
  const auto authorities = std::make_shared<Authorities>();
  const std::string dir = context.options.dir;
  const std::uint64_t version = context.events.version();
  auto running = context.reader.run([file, body, dir](Database& /*database*/) -> Result<> {
    const Result<> written = write_file_durably(file->path(), *body, 0600);
    return written.has_error() ? written : check_restorable(file->path(), dir);
  });
  const Result<> checked = co_await std::move(running);
  if (checked.has_error()) {
    Error error = checked.error();
    if (error.code == Code::data_loss) error.code = Code::invalid_argument;  // the file's fault, not ours
    co_return error;
  }
  auto replacing = context.writer.run_alone(
      [=](Database& database) -> Result<> {
        Result<Database> from = open_store(file->path());  // brings an older form up to ours
        if (from.has_error()) return std::move(from).error();
        // Watches of before must notice: the numbers go on above both histories.
        Result<> good = raise_resource_version(*from, version + 1'000'000);
        if (good.has_value()) good = copy_database(*from, database);
        if (good.has_error()) return good;
        Result<Snapshot> loaded = load_snapshot(database);
        if (loaded.has_error()) return std::move(loaded).error();
        *snapshot = std::move(*loaded);
        Result<Authorities> keys = Authorities::load(dir, snapshot->authorities);
        if (keys.has_error()) return std::move(keys).error();
        *authorities = std::move(*keys);
        return {};
      },
      [&context, snapshot, authorities] {
        context.install(std::move(*snapshot), std::move(*authorities));
        context.authorities_changed();
      });
  const Result<> done = co_await std::move(replacing);
  if (done.has_error()) co_return done.error();
  co_return v1::Empty();
}

}  // namespace omnitide::registry
