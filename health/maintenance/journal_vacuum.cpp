#include "health/maintenance/journal_vacuum.hpp"

#include <fmt/format.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <time.h>

#include <cerrno>
#include <chrono>
#include <string>
#include <vector>

namespace omnitide::health {

namespace {

constexpr const char* kJournalctl = "/usr/bin/journalctl";
constexpr std::chrono::seconds kPatience{30};

// The status that waitpid gives; an error when it did not begin, or did not end in time.
Result<int> run(std::vector<std::string> words) {
  std::vector<char*> arguments;
  for (std::string& word : words)
    arguments.push_back(word.data());
  arguments.push_back(nullptr);
  std::string path = "PATH=/usr/bin:/bin", language = "LC_ALL=C.UTF-8";
  char* environment[] = {path.data(), language.data(), nullptr};
  pid_t pid = 0;
  if (const int problem = ::posix_spawn(&pid, kJournalctl, nullptr, nullptr, arguments.data(), environment);
      problem != 0)
    return fail_errno(problem, fmt::format("cannot start {}", kJournalctl));
  const auto ends = std::chrono::steady_clock::now() + kPatience;
  constexpr timespec kMoment{0, 20'000'000};
  int status = 0;
  while (::waitpid(pid, &status, WNOHANG) == 0) {
    if (std::chrono::steady_clock::now() >= ends) {
      ::kill(pid, SIGKILL);
      ::waitpid(pid, &status, 0);
      return fail(Code::deadline_exceeded, fmt::format("{} takes too long", kJournalctl));
    }
    ::nanosleep(&kMoment, nullptr);
  }
  return status;
}

}  // namespace

Result<> vacuum_journal(std::uint32_t mebibytes) {
  // Where journald does not answer, what is no longer in use can still go.
  (void)run({"journalctl", "--rotate"});
  const Result<int> status = run({"journalctl", fmt::format("--vacuum-size={}M", mebibytes)});
  if (status.has_error()) return status.error();
  if (*status != 0) return fail(Code::unavailable, "journalctl did not vacuum the journal");
  return {};
}

}  // namespace omnitide::health
