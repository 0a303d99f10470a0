#include "agent/cli/journal.hpp"

#include <fmt/format.h>

#include <array>
#include <cerrno>
#include <cstdint>
#include <memory>
#include <string_view>
#include <vector>

#include "agent/base/clock.hpp"
#include "agent/base/shared_library.hpp"
#include "agent/base/text.hpp"

namespace omnitide::cli {

namespace {

struct Handle;  // sd_journal

// The functions of sd-journal(3) that are used.
struct Library {
  int (*open)(Handle**, int) = nullptr;
  void (*close)(Handle*) = nullptr;
  int (*add_match)(Handle*, const void*, std::size_t) = nullptr;
  int (*add_disjunction)(Handle*) = nullptr;
  int (*seek_tail)(Handle*) = nullptr;
  int (*previous)(Handle*) = nullptr;
  int (*get_data)(Handle*, const char*, const void**, std::size_t*) = nullptr;
  int (*get_time)(Handle*, std::uint64_t*) = nullptr;

  [[nodiscard]] bool load() {
    SharedLibrary found(kLibSystemd);
    found.find("sd_journal_open", open);
    found.find("sd_journal_close", close);
    found.find("sd_journal_add_match", add_match);
    found.find("sd_journal_add_disjunction", add_disjunction);
    found.find("sd_journal_seek_tail", seek_tail);
    found.find("sd_journal_previous", previous);
    found.find("sd_journal_get_data", get_data);
    found.find("sd_journal_get_realtime_usec", get_time);
    return found.good();
  }
};

class Journal {
 public:
  explicit Journal(const Library& library) : library_(library) {}
  Journal(const Journal&) = delete;
  Journal& operator=(const Journal&) = delete;
  ~Journal() {
    if (handle_ != nullptr) library_.close(handle_);
  }
  [[nodiscard]] int open() {
    constexpr int kLocalOnly = 1;
    if (const int problem = library_.open(&handle_, kLocalOnly); problem < 0) return problem;
    for (const std::string_view match : {"SYSLOG_IDENTIFIER=omnitide-agent", "_SYSTEMD_UNIT=omnitide-agent.service"}) {
      (void)library_.add_match(handle_, match.data(), match.size());
      (void)library_.add_disjunction(handle_);
    }
    return library_.seek_tail(handle_);
  }
  [[nodiscard]] bool previous() { return library_.previous(handle_) > 0; }
  [[nodiscard]] std::string field(const char* name) {
    const void* data = nullptr;
    std::size_t size = 0;
    if (library_.get_data(handle_, name, &data, &size) < 0) return {};
    const std::string_view entry(static_cast<const char*>(data), size);
    return printable(entry.substr(entry.find('=') + 1), 2048);
  }
  [[nodiscard]] WallTime time() {
    std::uint64_t microseconds = 0;
    (void)library_.get_time(handle_, &microseconds);
    return WallTime{std::chrono::milliseconds{static_cast<std::int64_t>(microseconds / 1000)}};
  }

 private:
  const Library& library_;
  Handle* handle_ = nullptr;
};

}  // namespace

Result<std::string> read_journal(std::size_t most_lines, std::size_t most_bytes) {
  Library library;
  if (!library.load()) return fail(Code::unavailable, "libsystemd is not installed");
  Journal journal(library);
  if (const int problem = journal.open(); problem < 0) return fail_errno(-problem, "cannot open the journal");
  constexpr std::array<std::string_view, 8> kLevels{"emergency", "alert",  "critical", "error",
                                                    "warning",   "notice", "info",     "debug"};
  std::vector<std::string> lines;
  std::size_t bytes = 0;
  while (lines.size() < most_lines && bytes < most_bytes && journal.previous()) {
    const auto priority = parse_number<std::size_t>(journal.field("PRIORITY")).value_or(6);
    lines.push_back(fmt::format("{} {:<7} {:<12} {}\n", format_rfc3339(journal.time()),
                                kLevels.at(std::min<std::size_t>(priority, 7)), journal.field("OMNITIDE_PART"),
                                journal.field("MESSAGE")));
    bytes += lines.back().size();
  }
  std::string out;
  for (auto line = lines.rbegin(); line != lines.rend(); ++line)
    out += *line;
  return out;
}

}  // namespace omnitide::cli
