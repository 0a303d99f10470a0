// Policy files of a directory: *.yaml, *.yml and *.json, not those of its folders, no dot files, no back-ups. Reads
// only what changed, and holds on to the last good content of a file that is being written.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "agent/base/clock.hpp"
#include "agent/base/error.hpp"
#include "agent/base/root.hpp"
#include "agent/policy/store.hpp"

namespace omnitide::policy {

struct DirectoryLimits {
  std::size_t files = 10'000;
  std::size_t bytes = 256U << 20U;  // of all files together
  ParseLimits parse;                // of each file
  // A file that became empty or vanished a moment ago may be one that an editor is about to write anew.
  std::chrono::milliseconds grace{200};
};

class Directory {
 public:
  // `rank` goes into the sources; their names are PATH/FILE.
  explicit Directory(std::string path, std::uint8_t rank = 0, DirectoryLimits limits = {});

  struct Reading {
    std::vector<SourceUpdate> updates;  // what changed since the last reading, for Store::apply
    std::vector<Fault> faults;          // about files that could not be read, all that hold now
    std::size_t parsed = 0;             // files that were parsed for it
    // Something is not settled: read again then, also when nothing tells of a change.
    std::optional<std::chrono::milliseconds> again_after;
  };
  // `now` is compared with the files' times. Never fails: what cannot be read keeps its last good content.
  [[nodiscard]] Reading read(WallTime now);

  [[nodiscard]] const std::string& path() const { return path_; }

 private:
  struct Stamp {
    std::int64_t changed_ns = 0, modified_ns = 0;  // ctime, mtime
    std::uint64_t inode = 0, device = 0;
    off_t size = 0;
    bool operator==(const Stamp&) const = default;
  };
  struct File {
    Stamp stamp;
    std::size_t hash = 0;
    bool known = false;    // stamp and hash are those of what was parsed last
    bool settled = false;  // a later write would have another stamp
    bool has_objects = false;
    std::optional<WallTime> missing;  // since when
    std::optional<Fault> fault;
  };
  struct Content {
    Stamp stamp;
    std::string text;
  };

  [[nodiscard]] Result<std::optional<Content>> load(const Root& root, const std::string& name, const File& file) const;
  void read_file(const Root& root, const std::string& name, WallTime now, Reading& out);
  void miss_files(const std::vector<std::string>& names, WallTime now, Reading& out);
  [[nodiscard]] Source source(const std::string& name) const { return {rank_, path_ + "/" + name}; }

  std::string path_;
  std::uint8_t rank_;
  DirectoryLimits limits_;
  std::map<std::string, File> files_;
  std::size_t bytes_ = 0;  // of the files that are known
};

// Everything that a directory, or one file, says now: for commands that run once.
struct Loaded {
  Store store;
  std::vector<Fault> faults;  // about files; the store has those about objects
};
// Fails when the path cannot be read at all.
[[nodiscard]] Result<Loaded> load_objects(const std::string& path, WallTime now, const DirectoryLimits& limits = {});

}  // namespace omnitide::policy
