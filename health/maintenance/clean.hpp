// Removes old files below a folder, as root: never through a symbolic link, never on another filesystem or mount, only
// regular files, and no more than the bounds say. Folders stay.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>

#include "agent/base/clock.hpp"
#include "agent/base/error.hpp"

namespace omnitide::health {

struct CleanBounds {
  std::uint64_t entries = 500'000, removals = 50'000;  // that are looked at; that are removed
  unsigned depth = 32;                                 // folders below the named one
  std::chrono::milliseconds time{60'000};
};

struct Cleaned {
  std::uint64_t entries = 0, removed = 0, bytes = 0, failed = 0;  // bytes: on the disk
  bool complete = true;                                           // no bound was met
};

// A file is as old as its last change, of its content or of its inode. One with several names stays, since removing one
// frees nothing. An error: the folder cannot be opened, or a part of its path is a link.
[[nodiscard]] Result<Cleaned> clean(const std::string& path, std::chrono::milliseconds older_than, WallTime now,
                                    const CleanBounds& bounds = {});

}  // namespace omnitide::health
