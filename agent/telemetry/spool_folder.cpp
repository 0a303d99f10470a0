#include "agent/telemetry/spool_folder.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <memory>
#include <tuple>
#include <utility>

#include "agent/base/file.hpp"
#include "agent/base/text.hpp"

namespace omnitide::telemetry {

namespace {

constexpr mode_t kMode = 0640;
constexpr std::string_view kUnfinished = ".seg.new";  // a copy that was not finished; the original is there

// For the message of the next process that comes. A disk that takes nothing makes it less telling, no more.
void note_owner(int folder) {
  const UniqueFd file(::openat(folder, "owner", O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, kMode));
  const std::string text = fmt::format("{}\n", ::getpid());
  if (file) (void)!::write(file.get(), text.data(), text.size());
}

Error in_use(const std::string& path) {
  const Result<std::string> owner = read_file(path + "/owner", 64);
  return fail(Code::already_exists, fmt::format("the spool in {} is in use by process {}", path,
                                                owner.has_value() ? printable(trim(*owner)) : std::string("?")))
      .with_hint("one agent a state folder: end that process first, or give this one another folder");
}

}  // namespace

Result<SharedFd> open_in(int folder, const std::string& name, int flags) {
  UniqueFd fd(::openat(folder, name.c_str(), flags | O_CLOEXEC | O_NOFOLLOW, kMode));
  if (!fd) return fail_errno(errno, "cannot open " + name);
  return std::make_shared<const UniqueFd>(std::move(fd));
}

Result<> remove_file(int folder, const std::string& name) {
  if (::unlinkat(folder, name.c_str(), 0) != 0 && errno != ENOENT) return fail_errno(errno, "cannot remove " + name);
  return {};
}

Result<std::size_t> read_at(int fd, char* to, std::size_t bytes, std::uint64_t offset) {
  std::size_t done = 0;
  while (done < bytes) {
    const ssize_t got = ::pread(fd, to + done, bytes - done, static_cast<off_t>(offset + done));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0 && done == 0) return fail_errno(errno, "cannot read");
    if (got <= 0) break;
    done += static_cast<std::size_t>(got);
  }
  return done;
}

Result<> write_at(int fd, std::string_view bytes, std::uint64_t offset, std::uint64_t& done) {
  while (!bytes.empty()) {
    const ssize_t wrote = ::pwrite(fd, bytes.data(), bytes.size(), static_cast<off_t>(offset));
    if (wrote < 0 && errno == EINTR) continue;
    if (wrote < 0) return fail_errno(errno, "cannot write");
    bytes.remove_prefix(static_cast<std::size_t>(wrote));
    offset += static_cast<std::uint64_t>(wrote);
    done += static_cast<std::uint64_t>(wrote);
  }
  return {};
}

Result<SpoolFolder> SpoolFolder::open(const std::string& path) {
  if (Result<> made = make_folders(path); made.has_error()) return std::move(made).error().within("the spool");
  UniqueFd fd(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!fd) return fail_errno(errno, "cannot open " + path);
  if (::flock(fd.get(), LOCK_EX | LOCK_NB) != 0) {
    if (errno == EWOULDBLOCK) return in_use(path);
    return fail_errno(errno, "cannot lock " + path);
  }
  note_owner(fd.get());
  return SpoolFolder(std::make_shared<const UniqueFd>(std::move(fd)), path, true);
}

Result<SpoolFolder> SpoolFolder::look(const std::string& path) {
  UniqueFd fd(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!fd) return fail_errno(errno, "cannot open " + path);
  return SpoolFolder(std::make_shared<const UniqueFd>(std::move(fd)), path, false);
}

Result<std::vector<SegmentKey>> SpoolFolder::segments() const {
  const std::unique_ptr<DIR, int (*)(DIR*)> folder(::opendir(path_.c_str()), ::closedir);
  if (!folder) return fail_errno(errno, "cannot list " + path_);
  std::vector<SegmentKey> out;
  while (const dirent* entry = ::readdir(folder.get())) {
    const std::string_view name(entry->d_name);
    if (const std::optional<SegmentKey> key = parse_segment_name(name)) out.push_back(*key);
    if (locked_ && name.ends_with(kUnfinished)) (void)remove(std::string(name));
  }
  std::ranges::sort(out, {}, [](const SegmentKey& key) { return std::tuple(key.stream, key.first, key.salt); });
  return out;
}

Result<SharedFd> SpoolFolder::open_file(const std::string& name, int flags) const {
  return open_in(fd_->get(), name, flags);
}
Result<> SpoolFolder::remove(const std::string& name) const { return remove_file(fd_->get(), name); }

}  // namespace omnitide::telemetry
