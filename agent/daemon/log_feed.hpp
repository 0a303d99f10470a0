// A log that is followed: the journal, or a file. Blocks for as long as a disk takes; used by one thread at a time.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "agent/base/error.hpp"

namespace omnitide::daemon {

class LogFeed {
 public:
  struct Line {
    std::string identifier;  // of the journal: SYSLOG_IDENTIFIER
    std::string text;
  };
  struct Batch {
    std::vector<Line> lines;
    std::string position;      // behind the last line; opaque
    bool more = false;         // there may be more already
    bool interrupted = false;  // lines were lost before these
  };
  static constexpr std::size_t kLongestLine = 8192;  // bytes; the rest is cut off

  LogFeed() = default;
  LogFeed(const LogFeed&) = delete;
  LogFeed& operator=(const LogFeed&) = delete;
  virtual ~LogFeed() = default;

  // Up to `most` lines; none when there are none now. An error: it has to be opened anew.
  [[nodiscard]] virtual Result<Batch> read(std::size_t most) = 0;
  // Readable when read() may find something; owned by the feed.
  [[nodiscard]] virtual int descriptor() const = 0;
};

// The journal's entries of these identifiers, of the system's own journals: what users write under such a name is not
// among them. `folder`: empty is the system's. `position`: where an earlier run ended; empty: begins so long ago.
[[nodiscard]] Result<std::unique_ptr<LogFeed>> open_journal(const std::string& folder,
                                                            const std::vector<std::string>& identifiers,
                                                            const std::string& position,
                                                            std::chrono::milliseconds look_back);

// A file's lines, also when it is renamed and begun anew, or cut. Without a position it begins at the end, or a
// mebibyte before it. The file may come later; its folder has to be there.
[[nodiscard]] Result<std::unique_ptr<LogFeed>> open_log_file(const std::string& path, const std::string& position,
                                                             bool look_back);

}  // namespace omnitide::daemon
