#include "tests/bench/load_process.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <optional>
#include <thread>

#include "agent/base/file.hpp"
#include "agent/base/text.hpp"

namespace omnitide::bench {

using namespace std::chrono_literals;

namespace {

// The end of what the registry said before it failed, for people.
std::string last_words(const std::string& file) {
  const Result<std::string> log = read_file(file);
  return log.has_error() ? std::string("no log") : printable(trim(*log), 500);
}

// The number behind "Name:" in the text of a /proc file, in bytes when the file says kB.
std::uint64_t field(std::string_view text, std::string_view name) {
  const std::size_t at = text.find(name);
  if (at == std::string_view::npos) return 0;
  const std::string_view line = text.substr(at + name.size(), text.find('\n', at) - at - name.size());
  const auto words = split_words(line);
  return words.empty() ? 0 : parse_number<std::uint64_t>(words[0]).value_or(0) * 1024;
}

}  // namespace

Result<ProcessUse> use_of(pid_t pid) {
  const std::string folder = fmt::format("/proc/{}", pid);
  const Result<std::string> memory = read_file(folder + "/smaps_rollup");
  const Result<std::string> status = read_file(folder + "/status");
  const Result<std::string> stat = read_file(folder + "/stat");
  if (memory.has_error()) return memory.error();
  if (status.has_error()) return status.error();
  if (stat.has_error()) return stat.error();
  // proc(5): utime and stime are fields 14 and 15; the name in field 2 may hold anything but ends at the last ")".
  const auto words = split_words(std::string_view(*stat).substr(stat->rfind(')') + 1));
  if (words.size() < 13) return fail(Code::data_loss, folder + "/stat is not understood");
  const std::uint64_t ticks =
      parse_number<std::uint64_t>(words[11]).value_or(0) + parse_number<std::uint64_t>(words[12]).value_or(0);
  return ProcessUse{.rss_bytes = field(*memory, "\nRss:"),
                    .pss_bytes = field(*memory, "\nPss:"),
                    .peak_bytes = field(*status, "\nVmHWM:"),
                    .cpu_seconds = static_cast<double>(ticks) / static_cast<double>(::sysconf(_SC_CLK_TCK))};
}

Result<> RegistryProcess::spawn(const std::vector<std::string>& arguments, bool keep_output) {
  std::array<int, 2> ends{-1, -1};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) return fail_errno(errno, "cannot make a pipe");
  UniqueFd read_end(ends[0]), write_end(ends[1]);
  const std::string log = dir_ + "/registry.log";
  const UniqueFd log_fd(::open(log.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600));
  if (!log_fd) return fail_errno(errno, "cannot open " + log);
  std::vector<std::string> texts{program_};
  texts.insert(texts.end(), arguments.begin(), arguments.end());
  std::vector<char*> argv;
  for (std::string& text : texts)
    argv.push_back(text.data());
  argv.push_back(nullptr);
  const pid_t parent = ::getpid();
  pid_ = ::fork();
  if (pid_ < 0) return fail_errno(errno, "cannot fork");
  if (pid_ == 0) {
    // The registry must not outlive a generator that was killed.
    (void)::prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (::getppid() != parent) ::_exit(127);
    ::dup2(write_end.get(), STDOUT_FILENO);
    ::dup2(log_fd.get(), STDERR_FILENO);
    ::execv(program_.c_str(), argv.data());
    ::_exit(127);
  }
  if (keep_output) output_ = std::move(read_end);
  return {};
}

Result<int> RegistryProcess::wait(std::chrono::seconds limit) {
  const auto until = std::chrono::steady_clock::now() + limit;
  while (std::chrono::steady_clock::now() < until) {
    int status = 0;
    if (::waitpid(pid_, &status, WNOHANG) == pid_) {
      pid_ = -1;
      return status;
    }
    std::this_thread::sleep_for(5ms);
  }
  return fail(Code::deadline_exceeded, "omnitide-registry does not end");
}

Result<> RegistryProcess::run(const std::vector<std::string>& arguments) {
  if (Result<> spawned = spawn(arguments, false); spawned.has_error()) return spawned;
  const Result<int> status = wait(60s);
  if (status.has_error()) return status.error();
  if (*status == 0) return {};
  return fail(Code::unavailable,
              fmt::format("{} {} failed: {}", program_, arguments[0], last_words(dir_ + "/registry.log")));
}

Result<std::string> RegistryProcess::prepare(unsigned uses) {
  if (Result<> made = run({"init", "--dir", folder()}); made.has_error()) return std::move(made).error();
  const std::string file = dir_ + "/join.token";
  Result<> token = run({"token", "--dir", folder(), "--uses", fmt::format("{}", uses), "-o", file});
  if (token.has_error()) return std::move(token).error();
  return read_file(file, 4096);
}

Result<> RegistryProcess::launch(std::chrono::seconds heartbeat_interval) {
  said_.clear();
  listening_ = false;
  return spawn({"serve", "--dir", folder(), "--listen", fmt::format("127.0.0.1:{}", port_), "--heartbeat-interval",
                fmt::format("{}s", heartbeat_interval.count())},
               true);
}

Result<bool> RegistryProcess::listening(std::chrono::milliseconds wait) {
  constexpr std::string_view kSays = "Listening on https://127.0.0.1:";
  constexpr std::size_t kMost = 4096;
  if (listening_) return true;
  pollfd readable{output_.get(), POLLIN, 0};
  if (::poll(&readable, 1, static_cast<int>(wait.count())) <= 0) return false;
  std::array<char, 512> chunk{};
  const ssize_t got = ::read(output_.get(), chunk.data(), chunk.size());
  if (got <= 0 || said_.size() > kMost) {
    return fail(Code::unavailable, "omnitide-registry does not listen: " + last_words(dir_ + "/registry.log"));
  }
  said_.append(chunk.data(), static_cast<std::size_t>(got));
  const std::size_t at = said_.find(kSays);
  const std::size_t end = at == std::string::npos ? at : said_.find('\n', at);
  if (end == std::string::npos) return false;
  const std::size_t from = at + kSays.size();
  port_ = parse_number<std::uint16_t>(std::string_view(said_).substr(from, end - from)).value_or(port_);
  listening_ = true;
  return true;
}

Result<> RegistryProcess::start(std::chrono::seconds heartbeat_interval) {
  if (Result<> launched = launch(heartbeat_interval); launched.has_error()) return launched;
  const auto until = std::chrono::steady_clock::now() + 60s;
  while (std::chrono::steady_clock::now() < until) {
    const Result<bool> listens = listening(1000ms);
    if (listens.has_error()) return listens.error();
    if (*listens) return {};
  }
  return fail(Code::deadline_exceeded, "omnitide-registry does not listen");
}

void RegistryProcess::kill() {
  if (pid_ < 0) return;
  ::kill(pid_, SIGKILL);
  ::waitpid(pid_, nullptr, 0);
  pid_ = -1;
}

Result<> RegistryProcess::finish() {
  if (pid_ < 0) return {};
  ::kill(pid_, SIGTERM);
  const Result<int> status = wait(30s);
  if (status.has_error()) return status.error();
  if (*status != 0) return fail(Code::internal, fmt::format("omnitide-registry ended with status {}", *status));
  return {};
}

}  // namespace omnitide::bench
