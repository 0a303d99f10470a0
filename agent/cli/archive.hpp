// A gzipped tar archive in memory: POSIX ustar, one folder, regular files only.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "agent/base/error.hpp"

namespace omnitide::cli {

class TarWriter {
 public:
  // `folder` is put before every name; `mtime` is that of every member, in seconds since 1970.
  TarWriter(std::string folder, std::int64_t mtime) : folder_(std::move(folder)), mtime_(mtime) {}
  // Names are at most 100 bytes with the folder; longer ones are cut. Mode 0600, owner root.
  void add(const std::string& name, std::string_view content);
  [[nodiscard]] std::size_t bytes() const { return out_.size(); }
  [[nodiscard]] std::string finish() &&;  // with the two empty blocks that end an archive

 private:
  std::string folder_;
  std::int64_t mtime_;
  std::string out_;
};

[[nodiscard]] Result<std::string> gzip(std::string_view data);

}  // namespace omnitide::cli
