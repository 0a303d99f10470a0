// A log file that is followed by inotify(7), through renames and cuts.
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <optional>
#include <string_view>
#include <utility>

#include "agent/base/fd.hpp"
#include "agent/base/text.hpp"
#include "agent/daemon/log_feed.hpp"

namespace omnitide::daemon {

namespace {

constexpr std::size_t kChunk = 65'536;
constexpr off_t kLookBackBytes = off_t{1} << 20;

struct FilePlace {
  std::uint64_t device = 0, inode = 0;
  std::int64_t offset = 0;
};

std::string show_place(const FilePlace& place) {
  return fmt::format("{}:{}:{}", place.device, place.inode, place.offset);
}

std::optional<FilePlace> read_place(std::string_view text) {
  const auto parts = split(text, ':');
  if (parts.size() != 3) return std::nullopt;
  const auto device = parse_number<std::uint64_t>(parts[0]), inode = parse_number<std::uint64_t>(parts[1]);
  const auto offset = parse_number<std::int64_t>(parts[2]);
  if (!device || !inode || !offset || *offset < 0) return std::nullopt;
  return FilePlace{*device, *inode, *offset};
}

class FileFeed : public LogFeed {
 public:
  FileFeed(std::string path, UniqueFd inotify, std::optional<FilePlace> place, bool look_back)
      : path_(std::move(path)), inotify_(std::move(inotify)), place_(place), at_start_(!place), look_back_(look_back) {}

  [[nodiscard]] int descriptor() const override { return inotify_.get(); }

  [[nodiscard]] Result<Batch> read(std::size_t most) override {
    if (Result<> heard = drain(); heard.has_error()) return std::move(heard).error();
    Batch out;
    while (out.lines.size() < most) {
      if (!file_ && !open_file(out)) break;
      if (next_line(out)) continue;
      // At its end: whether there is another file of this name by now.
      if (!replaced()) break;
      file_.reset();
      place_.reset();
    }
    out.more = out.lines.size() == most;
    if (place_) out.position = show_place(*place_);
    return out;
  }

 private:
  Result<> drain() {
    std::array<char, 4096> events{};
    while (true) {
      const ssize_t got = ::read(inotify_.get(), events.data(), events.size());
      if (got > 0 || (got < 0 && errno == EINTR)) continue;
      if (got < 0 && errno == EAGAIN) return {};
      return fail_errno(errno, "cannot watch " + path_);
    }
  }

  bool open_file(Batch& out) {
    UniqueFd fd(::open(path_.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));
    struct stat is {};
    const bool first = std::exchange(at_start_, false);
    if (!fd || ::fstat(fd.get(), &is) != 0 || !S_ISREG(is.st_mode)) return false;
    // The watch is there before the first look: what is written later wakes.
    const int watch = ::inotify_add_watch(inotify_.get(), path_.c_str(), IN_MODIFY);
    if (watch_ >= 0 && watch_ != watch) (void)::inotify_rm_watch(inotify_.get(), watch_);
    watch_ = watch;
    FilePlace now{is.st_dev, is.st_ino, 0};
    if (place_ && place_->device == now.device && place_->inode == now.inode && place_->offset <= is.st_size) {
      now.offset = place_->offset;
    } else if (first) {
      now.offset = look_back_ ? std::max<off_t>(is.st_size - kLookBackBytes, 0) : is.st_size;
      skip_part_ = now.offset > 0 && look_back_;
    } else {
      out.interrupted = true;
    }
    place_ = now;
    buffer_.clear();
    taken_ = 0;
    file_ = std::move(fd);
    return true;
  }

  // One whole line, from the buffer or the file. False at the end of the file.
  bool next_line(Batch& out) {
    while (true) {
      const std::size_t end = buffer_.find('\n', taken_);
      if (end != std::string::npos) {
        std::string line = buffer_.substr(taken_, std::min(end - taken_, kLongestLine));
        place_->offset += static_cast<std::int64_t>(end + 1 - taken_);
        taken_ = end + 1;
        if (std::exchange(skip_part_, false)) continue;  // its beginning was not read
        if (line.ends_with('\r')) line.pop_back();
        out.lines.push_back({{}, std::move(line)});
        return true;
      }
      buffer_.erase(0, std::exchange(taken_, 0));
      // Of a line without an end no more than this is kept.
      if (buffer_.size() > kChunk) {
        place_->offset += static_cast<std::int64_t>(buffer_.size());
        buffer_.clear();
        skip_part_ = true;
      }
      std::array<char, kChunk> bytes{};
      const auto from = place_->offset + static_cast<std::int64_t>(buffer_.size());
      const ssize_t got = ::pread(file_.get(), bytes.data(), bytes.size(), from);
      if (got <= 0) return false;
      buffer_.append(bytes.data(), static_cast<std::size_t>(got));
    }
  }

  bool replaced() {
    struct stat is {
    }, named{};
    if (::fstat(file_.get(), &is) != 0) return true;
    if (::stat(path_.c_str(), &named) != 0) return false;  // its successor will come
    if (named.st_dev != is.st_dev || named.st_ino != is.st_ino) return true;
    return is.st_size < place_->offset + static_cast<std::int64_t>(buffer_.size() - taken_);  // it was cut
  }

  std::string path_;
  UniqueFd inotify_, file_;
  std::optional<FilePlace> place_;  // of the next line; of an earlier run before the file is open
  std::string buffer_;              // what was read
  std::size_t taken_ = 0;           // of it, before that line
  int watch_ = -1;
  bool at_start_, look_back_, skip_part_ = false;
};

}  // namespace

Result<std::unique_ptr<LogFeed>> open_log_file(const std::string& path, const std::string& position, bool look_back) {
  UniqueFd inotify(::inotify_init1(IN_NONBLOCK | IN_CLOEXEC));
  if (!inotify) return fail_errno(errno, "cannot watch files");
  const std::string folder = path.substr(0, std::max<std::size_t>(path.rfind('/'), 1));
  if (::inotify_add_watch(inotify.get(), folder.c_str(), IN_CREATE | IN_MOVED_TO | IN_ONLYDIR) < 0)
    return fail_errno(errno, "cannot watch " + folder);
  const UniqueFd readable(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));
  if (!readable && errno != ENOENT) return fail_errno(errno, "cannot read " + path);
  return std::unique_ptr<LogFeed>(
      std::make_unique<FileFeed>(path, std::move(inotify), read_place(position), look_back));
}

}  // namespace omnitide::daemon
