// The part of a sync that blocks: it runs on another thread and touches nothing of the spool.
#pragma once

#include <atomic>
#include <cstdint>
#include <string>
#include <vector>

#include "agent/base/error.hpp"
#include "agent/telemetry/segment_format.hpp"
#include "agent/telemetry/spool_folder.hpp"
#include "agent/telemetry/spool_state.hpp"

namespace omnitide::telemetry {

struct SyncedFile {
  SegmentKey key;
  SharedFd fd;              // null: to be opened by its name
  std::uint64_t bytes = 0;  // that were written when the job was made
  bool good = false;
};

// Filled by the spool, run once, and read by the spool again when `done`.
struct SyncJob {
  SharedFd folder;
  std::vector<SyncedFile> files;
  bool sync_folder = false;
  StateFile::Job state;
  std::vector<std::string> retired;  // removed once the state is durable, which knows that they are confirmed

  bool folder_good = false, state_good = false, retired_good = false;
  std::string problem;  // the first one
  std::atomic<bool> done = false;

  [[nodiscard]] Result<> run();

 private:
  [[nodiscard]] Result<> sync_file(SyncedFile& file) const;
  [[nodiscard]] Result<> sync_all();
};

}  // namespace omnitide::telemetry
