// The journal by libsystemd's sd_journal, https://www.freedesktop.org/software/systemd/man/sd-journal.html.
#include <fmt/format.h>
#include <systemd/sd-journal.h>

#include <algorithm>
#include <cstdlib>
#include <string_view>
#include <type_traits>
#include <utility>

#include "agent/base/clock.hpp"
#include "agent/base/shared_library.hpp"
#include "agent/daemon/log_feed.hpp"

namespace omnitide::daemon {

namespace {

struct JournalLibrary {
  decltype(&::sd_journal_open) open = nullptr;
  decltype(&::sd_journal_open_directory) open_folder = nullptr;
  decltype(&::sd_journal_close) close = nullptr;
  decltype(&::sd_journal_add_match) add_match = nullptr;
  decltype(&::sd_journal_set_data_threshold) set_threshold = nullptr;
  decltype(&::sd_journal_get_fd) descriptor = nullptr;
  decltype(&::sd_journal_process) process = nullptr;
  decltype(&::sd_journal_next) next = nullptr;
  decltype(&::sd_journal_get_data) data = nullptr;
  decltype(&::sd_journal_get_cursor) cursor = nullptr;
  decltype(&::sd_journal_test_cursor) test_cursor = nullptr;
  decltype(&::sd_journal_seek_cursor) seek_cursor = nullptr;
  decltype(&::sd_journal_seek_realtime_usec) seek_time = nullptr;
  decltype(&::sd_journal_has_runtime_files) has_runtime = nullptr;
  decltype(&::sd_journal_has_persistent_files) has_persistent = nullptr;
  bool good = false;

  JournalLibrary() {
    SharedLibrary found(kLibSystemd);
    found.find("sd_journal_open", open);
    found.find("sd_journal_open_directory", open_folder);
    found.find("sd_journal_close", close);
    found.find("sd_journal_add_match", add_match);
    found.find("sd_journal_set_data_threshold", set_threshold);
    found.find("sd_journal_get_fd", descriptor);
    found.find("sd_journal_process", process);
    found.find("sd_journal_next", next);
    found.find("sd_journal_get_data", data);
    found.find("sd_journal_get_cursor", cursor);
    found.find("sd_journal_test_cursor", test_cursor);
    found.find("sd_journal_seek_cursor", seek_cursor);
    found.find("sd_journal_seek_realtime_usec", seek_time);
    found.find("sd_journal_has_runtime_files", has_runtime);
    found.find("sd_journal_has_persistent_files", has_persistent);
    good = found.good();
  }
};

const JournalLibrary& journal_library() {
  static const JournalLibrary loaded;
  return loaded;
}

struct CloseJournal {
  void operator()(sd_journal* journal) const { journal_library().close(journal); }
};
using JournalHandle = std::unique_ptr<sd_journal, CloseJournal>;

class JournalFeed : public LogFeed {
 public:
  JournalFeed(JournalHandle journal, int descriptor, std::string position)
      : journal_(std::move(journal)), descriptor_(descriptor), position_(std::move(position)) {}

  [[nodiscard]] int descriptor() const override { return descriptor_; }

  [[nodiscard]] Result<Batch> read(std::size_t most) override {
    const JournalLibrary& library = journal_library();
    if (const int changed = library.process(journal_.get()); changed < 0)
      return fail_errno(-changed, "cannot follow the journal");
    Batch out;
    while (out.lines.size() < most) {
      const int moved = library.next(journal_.get());
      if (moved < 0) return fail_errno(-moved, "cannot read the journal");
      if (moved == 0) break;
      // The entry that an earlier run saw last, where it is still there.
      if (first_ && !position_.empty() && library.test_cursor(journal_.get(), position_.c_str()) > 0) {
        first_ = false;
        continue;
      }
      first_ = false;
      Line line{field("SYSLOG_IDENTIFIER"), field("MESSAGE")};
      if (line.text.size() > kLongestLine) line.text.resize(kLongestLine);
      out.lines.push_back(std::move(line));
    }
    out.more = out.lines.size() == most;
    if (!out.lines.empty()) remember();
    out.position = position_;
    return out;
  }

 private:
  [[nodiscard]] std::string field(const char* name) const {
    const void* bytes = nullptr;
    std::size_t size = 0;
    if (journal_library().data(journal_.get(), name, &bytes, &size) < 0) return {};
    const std::string_view whole(static_cast<const char*>(bytes), size);
    return std::string(whole.substr(std::min(size, whole.find('=') + 1)));
  }
  void remember() {
    char* cursor = nullptr;
    if (journal_library().cursor(journal_.get(), &cursor) < 0) return;
    position_ = cursor;
    std::free(cursor);
  }

  JournalHandle journal_;
  int descriptor_;
  std::string position_;
  bool first_ = true;
};

}  // namespace

Result<std::unique_ptr<LogFeed>> open_journal(const std::string& folder, const std::vector<std::string>& identifiers,
                                              const std::string& position, std::chrono::milliseconds look_back) {
  const JournalLibrary& library = journal_library();
  if (!library.good) return fail(Code::unavailable, "libsystemd is not installed, so the journal cannot be read");
  sd_journal* opened = nullptr;
  const int problem = folder.empty() ? library.open(&opened, SD_JOURNAL_LOCAL_ONLY | SD_JOURNAL_SYSTEM)
                                     : library.open_folder(&opened, folder.c_str(), SD_JOURNAL_SYSTEM);
  if (problem < 0) return fail_errno(-problem, "cannot open the journal" + (folder.empty() ? "" : " in " + folder));
  JournalHandle journal(opened);
  if (library.has_runtime(opened) <= 0 && library.has_persistent(opened) <= 0)
    return fail(Code::permission_denied, "there is no journal that the agent may read")
        .with_hint("the unit needs SupplementaryGroups=systemd-journal: docs/health.md");
  (void)library.set_threshold(opened, LogFeed::kLongestLine + sizeof "MESSAGE=");
  // Matches of the same field are alternatives.
  for (const std::string& identifier : identifiers) {
    const std::string match = "SYSLOG_IDENTIFIER=" + identifier;
    if (const int added = library.add_match(opened, match.data(), match.size()); added < 0)
      return fail_errno(-added, "cannot follow the journal");
  }
  const int descriptor = library.descriptor(opened);  // before the first look: nothing that comes later is missed
  if (descriptor < 0) return fail_errno(-descriptor, "cannot follow the journal");
  const auto since = std::chrono::duration_cast<std::chrono::microseconds>((wall_now() - look_back).time_since_epoch());
  int sought = position.empty() ? -1 : library.seek_cursor(opened, position.c_str());
  const bool known = sought >= 0;
  if (!known) sought = library.seek_time(opened, static_cast<std::uint64_t>(since.count()));
  if (sought < 0) return fail_errno(-sought, "cannot find the place in the journal");
  return std::unique_ptr<LogFeed>(
      std::make_unique<JournalFeed>(std::move(journal), descriptor, known ? position : std::string()));
}

}  // namespace omnitide::daemon
