// Spools in folders that a test makes, and records that say their own number.
#pragma once

#include <stdlib.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "agent/telemetry/spool.hpp"
#include "tests/harness/catch.hpp"

namespace omnitide::test {

inline constexpr WallTime kNow{std::chrono::hours{24 * 365 * 50}};

// A folder that is removed at the end, in memory where the machine has /dev/shm: for tests that sync thousands of times
// and are not about the disk.
class QuickFolder {
 public:
  QuickFolder() {
    const bool in_memory = ::access("/dev/shm", W_OK) == 0;
    path_ = (in_memory ? std::string("/dev/shm") : std::filesystem::temp_directory_path().string()) +
            "/omnitide-spool-XXXXXX";
    if (::mkdtemp(path_.data()) == nullptr) throw std::runtime_error("cannot make a temporary folder");
  }
  QuickFolder(const QuickFolder&) = delete;
  QuickFolder& operator=(const QuickFolder&) = delete;
  ~QuickFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  [[nodiscard]] const std::string& path() const { return path_; }

 private:
  std::string path_;
};

inline std::unique_ptr<telemetry::Spool> open_spool(const std::string& folder, telemetry::SpoolLimits limits = {},
                                                    WallTime now = kNow) {
  Result<std::unique_ptr<telemetry::Spool>> spool = telemetry::Spool::open(folder, limits, now);
  REQUIRE(spool);
  return std::move(*spool);
}

inline void sync(telemetry::Spool& spool) {
  REQUIRE(spool.write());
  REQUIRE(spool.sync()());
}

// Each record's payload begins with its number.
inline std::string payload_of(telemetry::RecordNumber number, std::size_t bytes = 0) {
  std::string out = std::to_string(number) + ":";
  if (out.size() < bytes) out.resize(bytes, static_cast<char>('a' + number % 26));
  return out;
}

inline telemetry::RecordNumber put(telemetry::Spool& spool, telemetry::Stream stream, std::size_t bytes = 0,
                                   WallTime time = kNow) {
  const auto next = spool.status().streams[static_cast<std::size_t>(stream)].next;
  const Result<telemetry::RecordNumber> number = spool.append(stream, time, payload_of(next, bytes), time);
  REQUIRE(number);
  REQUIRE(*number == next);
  return next;
}

// Everything behind `after`, in pieces of `most`.
inline std::vector<telemetry::Record> read_all(telemetry::Spool& spool, telemetry::Stream stream,
                                               telemetry::RecordNumber after = 0, std::size_t most = 100) {
  std::vector<telemetry::Record> out;
  while (true) {
    Result<std::vector<telemetry::Record>> some = spool.read(stream, after, most, std::size_t{1} << 20U);
    REQUIRE(some);
    if (some->empty()) return out;
    after = some->back().number;
    std::ranges::move(*some, std::back_inserter(out));
  }
}

inline std::vector<telemetry::RecordNumber> numbers(telemetry::Spool& spool, telemetry::Stream stream,
                                                    telemetry::RecordNumber after = 0, std::size_t most = 100) {
  std::vector<telemetry::RecordNumber> out;
  for (const telemetry::Record& record : read_all(spool, stream, after, most)) {
    REQUIRE(record.payload.starts_with(payload_of(record.number)));
    out.push_back(record.number);
  }
  return out;
}

inline std::vector<telemetry::RecordNumber> range(telemetry::RecordNumber first, telemetry::RecordNumber last) {
  std::vector<telemetry::RecordNumber> out;
  for (; first <= last; ++first)
    out.push_back(first);
  return out;
}

inline telemetry::StreamStatus status_of(const telemetry::Spool& spool, telemetry::Stream stream) {
  return spool.status().streams[static_cast<std::size_t>(stream)];
}
inline std::uint64_t dropped(const telemetry::Spool& spool, telemetry::Stream stream, telemetry::DropCause cause) {
  return status_of(spool, stream).dropped[static_cast<std::size_t>(cause)];
}

inline std::vector<std::filesystem::path> segment_files(const std::string& folder) {
  std::vector<std::filesystem::path> out;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    if (entry.path().extension() == ".seg") out.push_back(entry.path());
  }
  std::ranges::sort(out);
  return out;
}

}  // namespace omnitide::test
