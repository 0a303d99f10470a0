// Devices of a class in sysfs whose attributes are families: a table says which.
#pragma once

#include <chrono>
#include <optional>
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

// Folders that stay the same as long as the machine does, kept open; looked for anew now and then.
class KeptFolders {
 public:
  struct Each {
    std::string name;
    Folder folder;
  };
  // The folders PATH/NAME + `below` of all names that begin with `prefix`, in order.
  KeptFolders(Root root, std::string path, std::string prefix, std::string below = {})
      : root_(std::move(root)), path_(std::move(path)), prefix_(std::move(prefix)), below_(std::move(below)) {}
  [[nodiscard]] std::vector<Each>& all() {
    const auto now = std::chrono::steady_clock::now();
    if (looked_ && now - *looked_ < std::chrono::seconds{10}) return folders_;
    looked_ = now;
    folders_.clear();
    for (const std::string& name : root_.names(path_)) {
      if (!name.starts_with(prefix_) || folders_.size() >= kMaxDevices) continue;
      Result<Folder> folder = Folder::open(root_, path_ + "/" + name + below_);
      if (folder.has_value()) folders_.push_back({name, std::move(*folder)});
    }
    return folders_;
  }

 private:
  Root root_;
  std::string path_, prefix_, below_;
  std::vector<Each> folders_;
  std::optional<std::chrono::steady_clock::time_point> looked_;
};

// An attribute that is a family of its own.
struct Attribute {
  const char* file;
  double scale = 1;  // what one unit of the file is in the unit of the family
};

}  // namespace omnitide::discovery
