// Whole files: bounded reads, and writes that are complete or not there.
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <string>
#include <string_view>

#include "agent/base/error.hpp"

namespace omnitide {

// Fails with resource_exhausted when the file is longer than `limit`.
[[nodiscard]] Result<std::string> read_file(const std::string& path, std::size_t limit = 1U << 20U);

// Writes a temporary file beside `path`, syncs it, renames it over `path`, syncs the folder. After a crash the old or
// the new content is there, never a part.
[[nodiscard]] Result<> write_file_durably(const std::string& path, std::string_view content, mode_t mode = 0640);

// Makes the folder and its parents; the mode is for those that it makes.
[[nodiscard]] Result<> make_folders(const std::string& path, mode_t mode = 0750);

}  // namespace omnitide
