#include "agent/policy/directory.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <functional>
#include <string_view>
#include <utility>

#include "agent/base/file.hpp"
#include "agent/base/text.hpp"

namespace omnitide::policy {

namespace {

constexpr std::size_t kMostEntries = 65'536;
constexpr int kTries = 3;
constexpr std::chrono::milliseconds kSoon{20};
// Time stamps of files move in steps of a kernel tick, at most 10 ms.
constexpr std::chrono::milliseconds kStampStep{50};

bool is_policy_file(const std::string& name) {
  if (name.starts_with('.') || name.starts_with('#')) return false;
  return name.ends_with(".yaml") || name.ends_with(".yml") || name.ends_with(".json");
}

std::int64_t nanoseconds(const timespec& time) {
  return static_cast<std::int64_t>(time.tv_sec) * 1'000'000'000 + time.tv_nsec;
}

std::chrono::milliseconds since(std::int64_t stamp_ns, WallTime now) {
  return now.time_since_epoch() - std::chrono::milliseconds(stamp_ns / 1'000'000);
}

void ask_again(std::optional<std::chrono::milliseconds>& after, std::chrono::milliseconds wanted) {
  wanted = std::max(wanted, std::chrono::milliseconds{1});
  after = after ? std::min(*after, wanted) : wanted;
}

// What is left of a descriptor, at most `limit` bytes.
Result<std::string> read_all(int fd, std::size_t expected, std::size_t limit) {
  std::string out;
  out.resize(std::min(expected, limit) + 1);
  std::size_t used = 0;
  while (true) {
    if (used == out.size()) out.resize(std::min(used * 2, limit + 1));
    const ssize_t got = ::read(fd, out.data() + used, out.size() - used);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return fail_errno(errno, "cannot be read");
    used += static_cast<std::size_t>(got);
    if (used > limit) return fail(Code::resource_exhausted, fmt::format("is longer than {}", human_bytes(limit)));
    if (got > 0) continue;
    out.resize(used);
    return out;
  }
}

}  // namespace

Directory::Directory(std::string path, std::uint8_t rank, DirectoryLimits limits)
    : path_(std::move(path)), rank_(rank), limits_(limits) {
  while (path_.size() > 1 && path_.ends_with('/'))
    path_.pop_back();
}

// Nothing: the file is the one that was parsed last. aborted: it is being written.
Result<std::optional<Directory::Content>> Directory::load(const Root& root, const std::string& name,
                                                          const File& file) const {
  const auto stamp_of = [](const struct stat& info) {
    return Stamp{nanoseconds(info.st_ctim), nanoseconds(info.st_mtim), info.st_ino, info.st_dev, info.st_size};
  };
  for (int i = 0; i < kTries; ++i) {
    const Result<UniqueFd> fd = root.open_at("/" + name, O_RDONLY);
    if (fd.has_error()) return fd.error();
    struct stat before {
    }, after{};
    if (::fstat(fd->get(), &before) != 0) return fail_errno(errno, "cannot be read");
    if (!S_ISREG(before.st_mode)) return fail(Code::invalid_argument, "is no regular file");
    const Stamp stamp = stamp_of(before);
    if (file.known && file.settled && file.stamp == stamp) return std::optional<Content>{};
    const auto size = static_cast<std::size_t>(before.st_size);
    if (size > limits_.parse.bytes)
      return fail(Code::resource_exhausted, fmt::format("is longer than {}", human_bytes(limits_.parse.bytes)));
    const std::size_t own = file.known ? static_cast<std::size_t>(file.stamp.size) : 0;
    if (bytes_ - own + size > limits_.bytes)
      return fail(Code::resource_exhausted,
                  fmt::format("is too much: the files have more than {} together", human_bytes(limits_.bytes)));
    Result<std::string> text = read_all(fd->get(), size, limits_.parse.bytes);
    if (text.has_error()) return text.error();
    if (::fstat(fd->get(), &after) != 0) return fail_errno(errno, "cannot be read");
    if (stamp_of(after) == stamp && text->size() == size) return std::optional(Content{stamp, std::move(*text)});
  }
  return fail(Code::aborted, "is being written");
}

void Directory::read_file(const Root& root, const std::string& name, WallTime now, Reading& out) {
  File& file = files_[name];
  file.missing.reset();
  const auto keep = [&](std::string message, std::string hint) {
    const std::string_view held = file.has_objects ? "; its last good content holds" : "";
    file.fault = Fault{.file = source(name).name, .message = message + std::string(held), .hint = std::move(hint)};
  };
  Result<std::optional<Content>> loaded = load(root, name, file);
  if (loaded.has_error()) {
    const Error& error = loaded.error();
    if (error.code == Code::aborted || error.code == Code::not_found) ask_again(out.again_after, kSoon);
    const bool link = error.code == Code::not_found && !root.link_target("/" + name).empty();
    return keep(error.message, link ? "links must not lead out of the directory" : error.hint);
  }
  if (!*loaded) return file.fault.reset();
  Content& content = **loaded;
  const std::chrono::milliseconds age = since(content.stamp.modified_ns, now);
  const bool empty = content.text.find_first_not_of(" \t\r\n") == std::string::npos;
  if (empty && file.has_objects && age < limits_.grace) {
    ask_again(out.again_after, limits_.grace - std::max(age, std::chrono::milliseconds{0}));
    return keep("was emptied a moment ago", "");
  }
  file.fault.reset();
  const std::size_t hash = std::hash<std::string_view>{}(content.text);
  const bool same = file.known && file.hash == hash && file.stamp.size == content.stamp.size;
  bytes_ += content.text.size() - (file.known ? static_cast<std::size_t>(file.stamp.size) : 0);
  file.stamp = content.stamp;
  file.settled = since(std::max(content.stamp.modified_ns, content.stamp.changed_ns), now) > kStampStep;
  file.hash = hash;
  file.known = true;
  if (same) return;
  Parsed parsed = parse(content.text, source(name).name, limits_.parse);
  ++out.parsed;
  const bool held = file.has_objects && (!parsed.complete || !parsed.refused.empty());
  file.has_objects = held || !parsed.objects.empty();
  out.updates.push_back({source(name), std::move(parsed)});
}

// Files that were there before: they are gone for good after a moment.
void Directory::miss_files(const std::vector<std::string>& names, WallTime now, Reading& out) {
  for (auto at = files_.begin(); at != files_.end();) {
    File& file = at->second;
    if (std::binary_search(names.begin(), names.end(), at->first)) {
      ++at;
      continue;
    }
    if (!file.missing) file.missing = now;
    const auto passed = std::max(now - *file.missing, std::chrono::milliseconds{0});
    if (file.has_objects && passed < limits_.grace) {
      ask_again(out.again_after, limits_.grace - passed);
      file.fault =
          Fault{.file = source(at->first).name, .message = "vanished a moment ago; its last good content holds"};
      ++at;
    } else {
      if (file.known) {
        bytes_ -= static_cast<std::size_t>(file.stamp.size);
        out.updates.push_back({source(at->first), std::nullopt});
      }
      at = files_.erase(at);
    }
  }
}

Directory::Reading Directory::read(WallTime now) {
  Reading out;
  const auto cannot = [&](const Error& error) {
    const bool held =
        std::any_of(files_.begin(), files_.end(), [](const auto& file) { return file.second.has_objects; });
    out.faults.push_back({.file = path_,
                          .message = error.message + (held ? "; what its files said last holds" : ""),
                          .hint = error.hint});
  };
  const Result<Root> root = Root::open(path_);
  if (root.has_error()) {
    cannot(root.error());
    return out;
  }
  Result<std::vector<std::string>> names = root->list("/", kMostEntries);
  if (names.has_error()) {
    cannot(names.error());
    return out;
  }
  std::erase_if(*names, [](const std::string& name) { return !is_policy_file(name); });
  if (names->size() > limits_.files) {
    cannot(fail(Code::resource_exhausted, fmt::format("has more than {} policy files", limits_.files)));
    return out;
  }
  miss_files(*names, now, out);
  for (const std::string& name : *names)
    read_file(*root, name, now, out);
  for (const auto& [name, file] : files_) {
    if (file.fault) out.faults.push_back(*file.fault);
  }
  return out;
}

Result<Loaded> load_objects(const std::string& path, WallTime now, const DirectoryLimits& limits) {
  struct stat info {};
  if (::stat(path.c_str(), &info) != 0) return fail_errno(errno, fmt::format("cannot read {}", path));
  Loaded out;
  if (S_ISDIR(info.st_mode)) {
    Directory directory(path, 0, limits);
    Directory::Reading reading = directory.read(now);
    if (reading.updates.empty() && !reading.faults.empty() && reading.faults.front().file == directory.path())
      return fail(Code::unavailable, reading.faults.front().message);
    out.faults = std::move(reading.faults);
    (void)out.store.apply(std::move(reading.updates));
    return out;
  }
  const Result<std::string> text = omnitide::read_file(path, limits.parse.bytes);
  if (text.has_error()) return text.error();
  std::vector<SourceUpdate> updates;
  updates.push_back({Source{0, path}, parse(*text, path, limits.parse)});
  (void)out.store.apply(std::move(updates));
  return out;
}

}  // namespace omnitide::policy
