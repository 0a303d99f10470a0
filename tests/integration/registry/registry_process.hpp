// omnitide-registry as a child process.
#pragma once

#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <stdexcept>
#include <string>
#include <vector>

#include "agent/base/fd.hpp"
#include "tests/harness/registry.hpp"

namespace omnitide::test {

struct Ended {
  int status = -1;     // exit code, or -signal
  std::string output;  // of both streams
};

class Child {
 public:
  explicit Child(const std::vector<std::string>& arguments) {
    std::array<int, 2> ends{};
    if (::pipe2(ends.data(), O_CLOEXEC) != 0) throw std::runtime_error("cannot make a pipe");
    output_.reset(ends[0]);
    const UniqueFd writing(ends[1]);
    std::vector<std::string> words = {std::string(OMNITIDE_PROGRAMS) + "/omnitide-registry"};
    words.insert(words.end(), arguments.begin(), arguments.end());
    std::vector<char*> pointers;
    for (std::string& word : words)
      pointers.push_back(word.data());
    pointers.push_back(nullptr);
    pid_ = ::fork();
    if (pid_ < 0) throw std::runtime_error("cannot fork");
    if (pid_ == 0) {
      ::dup2(writing.get(), 1);
      ::dup2(writing.get(), 2);
      ::execv(pointers[0], pointers.data());
      ::_exit(127);
    }
  }
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;
  ~Child() {
    if (pid_ > 0) (void)end(SIGKILL);
  }

  // Reads until a line begins with `prefix` and answers with its rest.
  std::string line_after(const std::string& prefix) {
    while (true) {
      const std::string_view text = text_;
      for (const std::string_view line : split(text.substr(0, text.rfind('\n') + 1), '\n')) {
        if (line.starts_with(prefix)) return std::string(line.substr(prefix.size()));
      }
      if (!read_more()) throw std::runtime_error("the registry said: " + text_);
    }
  }
  Ended end(int signal_number) {
    ::kill(pid_, signal_number);
    return wait();
  }
  Ended wait() {
    while (read_more()) {
    }
    int status = 0;
    ::waitpid(pid_, &status, 0);
    pid_ = -1;
    return {WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status), std::move(text_)};
  }

 private:
  bool read_more() {
    std::array<char, 4096> block{};
    const ssize_t got = ::read(output_.get(), block.data(), block.size());
    if (got <= 0) return false;
    text_.append(block.data(), static_cast<std::size_t>(got));
    return true;
  }

  pid_t pid_ = -1;
  UniqueFd output_;
  std::string text_;
};

class ProcessPlane : public Plane {
 public:
  ProcessPlane() {
    must(registry::init({.dir = folder.path, .operator_name = "a", .operator_days = 1, .clock = wall_now}));
  }
  [[nodiscard]] std::string url() const override { return url_; }
  void start() {
    child_.emplace(
        std::vector<std::string>{"serve", "--dir", folder.path, "--listen", "127.0.0.1:0", "--rate-limit", "0"});
    url_ = child_->line_after("Listening on ");
  }
  Ended end(int signal_number) {
    Ended out = child_->end(signal_number);
    child_.reset();
    return out;
  }

 private:
  std::string url_;
  std::optional<Child> child_;
};

}  // namespace omnitide::test
