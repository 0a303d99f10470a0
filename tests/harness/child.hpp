// A program as a child process, in the namespaces of the thread that starts it. Its words go to a file.
#pragma once

#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <fstream>
#include <iterator>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace omnitide::test {

inline std::string read_text(const std::string& path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

class Process {
 public:
  // `log`: both streams are appended to it.
  Process(std::vector<std::string> words, std::string log) : log_(std::move(log)) {
    std::vector<char*> pointers;
    for (std::string& word : words)
      pointers.push_back(word.data());
    pointers.push_back(nullptr);
    pid_ = ::fork();
    if (pid_ < 0) throw std::runtime_error("cannot fork");
    if (pid_ != 0) return;
    const int out = ::open(log_.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    ::dup2(::open("/dev/null", O_RDONLY | O_CLOEXEC), 0);
    ::dup2(out, 1);
    ::dup2(out, 2);
    ::execvp(pointers[0], pointers.data());
    ::_exit(127);
  }
  Process(Process&& other) noexcept
      : pid_(std::exchange(other.pid_, -1)), code_(other.code_), log_(std::move(other.log_)) {}
  Process& operator=(Process&& other) noexcept {
    std::swap(pid_, other.pid_);
    std::swap(code_, other.code_);
    std::swap(log_, other.log_);
    return *this;
  }
  ~Process() {
    if (pid_ > 0) (void)end(SIGKILL);
  }

  // Exit code, or -signal.
  int end(int signal_number) {
    if (pid_ > 0) ::kill(pid_, signal_number);
    return wait();
  }
  int wait() {
    if (pid_ < 0) return code_;
    int status = 0;
    while (::waitpid(pid_, &status, 0) < 0 && errno == EINTR) {
    }
    pid_ = -1;
    code_ = WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status);
    return code_;
  }
  std::optional<int> wait_for(std::chrono::milliseconds longest) {
    const auto deadline = std::chrono::steady_clock::now() + longest;
    if (pid_ < 0) return code_;
    do {
      siginfo_t info{};
      if (::waitid(P_PID, static_cast<id_t>(pid_), &info, WEXITED | WNOHANG | WNOWAIT) == 0 && info.si_pid == pid_)
        return wait();
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    } while (std::chrono::steady_clock::now() < deadline);
    return std::nullopt;
  }

  [[nodiscard]] pid_t pid() const { return pid_; }
  [[nodiscard]] const std::string& log() const { return log_; }

 private:
  pid_t pid_ = -1;
  int code_ = -1;
  std::string log_;
};

// Runs it to its end. The words are those of both streams.
struct Answer {
  int code = -1;
  std::string text;
};
inline Answer answer_of(const std::vector<std::string>& words, const std::string& scratch) {
  ::unlink(scratch.c_str());
  Process process(words, scratch);
  const int code = process.wait();
  return {code, read_text(scratch)};
}

}  // namespace omnitide::test
