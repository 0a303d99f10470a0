#include "agent/daemon/health_history.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>

#include "agent/base/fd.hpp"
#include "agent/base/file.hpp"
#include "agent/base/text.hpp"
#include "agent/codec/json.hpp"
#include "omnitide/node/v1/health.pb.h"

namespace omnitide::daemon {

namespace v1 = node::v1;

HealthHistory::HealthHistory(std::string path) : path_(std::move(path)) {
  for (const char* which : {".1", ""}) {
    const Result<std::string> text = read_file(path_ + which, 2 * kLongest);
    if (text.has_error()) continue;
    for (const std::string_view line : split(*text, '\n')) {
      v1::HealthEvent event;
      if (line.empty() || codec::from_json(line, event).has_error()) continue;
      lines_.emplace_back(line);
      if (lines_.size() > kShown) lines_.pop_front();
    }
  }
}

Result<> HealthHistory::add(const v1::HealthEvent& event) {
  std::string line = codec::to_json(event);
  lines_.push_back(line);
  if (lines_.size() > kShown) lines_.pop_front();
  return append(line + "\n");
}

Result<> HealthHistory::append(const std::string& line) {
  UniqueFd fd(::open(path_.c_str(), O_RDWR | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (!fd) return fail_errno(errno, "cannot open " + path_);
  struct stat info {};
  if (::fstat(fd.get(), &info) == 0 && static_cast<std::size_t>(info.st_size) + line.size() > kLongest) {
    if (std::rename(path_.c_str(), (path_ + ".1").c_str()) != 0) return fail_errno(errno, "cannot rename " + path_);
    fd = UniqueFd(::open(path_.c_str(), O_RDWR | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
    if (!fd) return fail_errno(errno, "cannot open " + path_);
    info.st_size = 0;
  }
  // A line that a kill cut off is ended, so that it spoils no other.
  char last = '\n';
  if (info.st_size > 0 && ::pread(fd.get(), &last, 1, info.st_size - 1) != 1) last = '\n';
  const std::string whole = last == '\n' ? line : "\n" + line;
  const ssize_t wrote = ::write(fd.get(), whole.data(), whole.size());
  if (wrote < 0) return fail_errno(errno, "cannot write " + path_);
  if (static_cast<std::size_t>(wrote) != whole.size()) return fail(Code::resource_exhausted, path_ + " takes no more");
  return {};
}

void HealthHistory::fill(v1::HealthHistory& out) const {
  for (const std::string& line : lines_)
    if (v1::HealthEvent event; codec::from_json(line, event).has_value()) out.add_items()->Swap(&event);
}

}  // namespace omnitide::daemon
