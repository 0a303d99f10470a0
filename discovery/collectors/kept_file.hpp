// Files of procfs and folders of sysfs that are read again with every collection: opened once, read from their start.
#pragma once

#include <chrono>
#include <cstddef>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "agent/base/error.hpp"
#include "agent/base/fd.hpp"
#include "agent/base/root.hpp"

namespace omnitide::discovery {

// One file, kept open. Not for use by two threads at once.
class KeptFile {
 public:
  KeptFile(Root root, std::string path, std::size_t limit = std::size_t{4} << 20U)
      : root_(std::move(root)), path_(std::move(path)), limit_(limit) {}

  // The whole content, valid until the next call. not_found when it is not there; resource_exhausted when it is longer
  // than the limit.
  [[nodiscard]] Result<std::string_view> read();
  [[nodiscard]] const std::string& path() const { return path_; }

 private:
  [[nodiscard]] int fill();  // errno

  Root root_;
  std::string path_;
  std::size_t limit_;
  UniqueFd fd_;
  std::string buffer_;
  std::size_t used_ = 0;
};

// A file that several collectors of one collection read: once for all of them.
class SharedFile {
 public:
  SharedFile(Root root, std::string path) : file_(std::move(root), std::move(path)) {}
  // Calls take(content) with a content that is at most a few milliseconds old. Safe for use by several threads.
  template <class Take>
  [[nodiscard]] Result<> with(Take&& take) {
    const std::lock_guard lock(mutex_);
    const auto now = std::chrono::steady_clock::now();
    if (content_.empty() || now - read_ > std::chrono::milliseconds{20}) {
      const Result<std::string_view> read = file_.read();
      if (read.has_error()) return read.error();
      content_ = *read;
      read_ = now;
    }
    return take(content_);
  }

 private:
  std::mutex mutex_;
  KeptFile file_;
  std::string_view content_;
  std::chrono::steady_clock::time_point read_;
};

// A folder of small attributes below a root. Attributes are read by their name in the folder, links among them are not
// followed.
class Folder {
 public:
  // Follows links of the path inside the root. not_found when it is not there.
  [[nodiscard]] static Result<Folder> open(const Root& root, const std::string& path);

  // The first 4096 bytes of an attribute without white space around them, valid until the next call on this thread, of
  // any folder; nullopt when it is absent or cannot be read.
  [[nodiscard]] std::optional<std::string_view> text(const char* name);
  [[nodiscard]] std::optional<double> number(const char* name);
  // An attribute as the value of a label: what it says as UTF-8; empty when it says nothing.
  [[nodiscard]] std::string label(const char* name);

 private:
  UniqueFd fd_;
};

}  // namespace omnitide::discovery
