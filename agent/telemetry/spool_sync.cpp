#include "agent/telemetry/spool_sync.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>

namespace omnitide::telemetry {

Result<> SyncJob::sync_file(SyncedFile& file) const {
  if (!file.fd) {
    Result<SharedFd> fd = open_in(folder->get(), segment_name(file.key), O_RDONLY);
    file.good = fd.has_error() && fd.error().code == Code::not_found;  // it was evicted meanwhile
    if (file.good) return {};
    if (fd.has_error()) return std::move(fd).error();
    file.fd = std::move(*fd);
  }
  file.good = ::fdatasync(file.fd->get()) == 0;
  if (!file.good) return fail_errno(errno, "cannot sync " + segment_name(file.key));
  return {};
}

Result<> SyncJob::sync_all() {
  Result<> out;
  const auto note = [&out](Result<> result) {
    if (out.has_value() && result.has_error()) out = std::move(result);
  };
  for (SyncedFile& file : files)
    note(sync_file(file));
  folder_good = !sync_folder || ::fsync(folder->get()) == 0;
  if (!folder_good) note(fail_errno(errno, "cannot sync the folder of the spool"));
  Result<> stated = telemetry::run(state);
  state_good = stated.has_value();
  note(std::move(stated));
  if (!state_good) return out;
  retired_good = true;
  for (const std::string& name : retired) {
    Result<> removed = remove_file(folder->get(), name);
    retired_good = retired_good && removed.has_value();
    note(std::move(removed));
  }
  return out;
}

Result<> SyncJob::run() {
  Result<> out = sync_all();
  if (out.has_error()) problem = out.error().text();
  done.store(true, std::memory_order_release);
  return out;
}

}  // namespace omnitide::telemetry
