// Devices of a class in sysfs whose attributes are families: a table says which.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "agent/base/root.hpp"
#include "agent/model/sample_batch.hpp"
#include "discovery/collectors/kept_file.hpp"

namespace omnitide::discovery {

inline constexpr std::size_t kMaxDevices = 4096;

// Calls take(name, folder) for each folder below `path`, in order. not_found when the path is not there.
template <class Take>
[[nodiscard]] Result<> each_folder(const Root& root, const std::string& path, Take&& take) {
  const Result<std::vector<std::string>> names = root.list(path, kMaxDevices);
  if (names.has_error()) return names.error();
  for (const std::string& name : *names) {
    Result<Folder> folder = Folder::open(root, path + "/" + name);
    if (folder.has_error()) continue;
    take(name, *folder);
  }
  return {};
}

// An attribute that is a family of its own.
struct Attribute {
  const char* file;
  double scale = 1;  // what one unit of the file is in the unit of the family
};

}  // namespace omnitide::discovery
