// Real programs: what they say, how long they may take, what they get to see, and what is left of them.
#include "agent/io/command.hpp"

#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "agent/base/clock.hpp"
#include "agent/base/fd.hpp"
#include "tests/harness/catch.hpp"
#include "tests/harness/fixture.hpp"
#include "tests/harness/loop.hpp"

namespace omnitide::io {
namespace {

using namespace std::chrono_literals;

struct Shell {
  test::Loop loop;
  Command command{loop.context, loop.pool};
  Result<CommandEnd> run(const std::string& script, std::chrono::milliseconds timeout = 10s,
                         std::size_t output = 4096) {
    return loop.run(command.run({.arguments = {"/bin/sh", "-c", script}, .timeout = timeout, .output = output}));
  }
};

bool alive(const std::string& pid) {
  std::ifstream stat("/proc/" + pid + "/stat");
  std::string line;
  return std::getline(stat, line) && line.find(") Z ") == std::string::npos;
}

}  // namespace

TEST_CASE("a command's exit status and output are told") {
  Shell shell;
  const Result<CommandEnd> good = shell.run("echo fine; echo aside >&2");
  REQUIRE(good);
  CHECK(good->status == 0);
  CHECK(good->output == "fine\n");
  CHECK(shell.run("exit 7")->status == 7);
  CHECK(shell.run("kill -9 $$")->status == 128 + SIGKILL);
  CHECK(shell.run("cat")->status == 0);  // its input is empty
}

TEST_CASE("at the time-out the whole process group is ended, and nothing waits longer") {
  Shell shell;
  const auto before = std::chrono::steady_clock::now();
  const Result<CommandEnd> end = shell.run("sleep 1000 & echo $!; sleep 1000", 300ms);
  CHECK(std::chrono::steady_clock::now() - before < 2s);
  REQUIRE(end);
  CHECK(end->timed_out);
  REQUIRE(end->output.size() > 1);
  CHECK(shell.loop.until([&] { return !alive(end->output.substr(0, end->output.size() - 1)); }, 2s));
}

TEST_CASE("what a command leaves running is ended, and its open output keeps nobody waiting") {
  Shell shell;
  const auto before = std::chrono::steady_clock::now();
  const Result<CommandEnd> end = shell.run("sleep 1000 & echo $!");
  CHECK(std::chrono::steady_clock::now() - before < 5s);
  REQUIRE(end);
  CHECK_FALSE(end->timed_out);
  CHECK(end->status == 0);
  REQUIRE(end->output.size() > 1);
  CHECK(shell.loop.until([&] { return !alive(end->output.substr(0, end->output.size() - 1)); }, 2s));
}

TEST_CASE("a flood of output is read, bounded, and costs little of the loop") {
  Shell shell;
  const Result<CommandEnd> end = shell.run("head -c 3000000 /dev/zero | tr '\\0' x; exit 3", 20s, 100);
  REQUIRE(end);
  CHECK(end->status == 3);
  CHECK(end->output == std::string(100, 'x'));
  timespec began{}, ended{};
  ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &began);
  CHECK(shell.run("exec yes", 1s, 100)->timed_out);
  ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ended);
  const double used =
      static_cast<double>(ended.tv_sec - began.tv_sec) + 1e-9 * static_cast<double>(ended.tv_nsec - began.tv_nsec);
  CHECK(used < 0.3);
}

TEST_CASE("a command sees none of the agent's descriptors and environment, and ignores no signal") {
  const UniqueFd secret(::open("/etc/passwd", O_RDONLY));  // without O_CLOEXEC
  REQUIRE(secret);
  ::setenv("OMNITIDE_SECRET", "1", 1);
  ::signal(SIGPIPE, SIG_IGN);
  Shell shell;
  const Result<CommandEnd> descriptors = shell.run("ls /proc/$$/fd");
  CHECK(descriptors->output == "0\n1\n2\n");
  const std::string environment = shell.run("env; pwd")->output;
  CHECK(environment.find("OMNITIDE") == std::string::npos);
  CHECK(environment.find("PATH=/usr/local/sbin:") != std::string::npos);
  CHECK(environment.find("\n/\n") != std::string::npos);
  CHECK(shell.run("kill -PIPE $$; exit 0")->status == 128 + SIGPIPE);
  CHECK(shell.run("grep CapAmb /proc/$$/status")->output.find("0000000000000000") != std::string::npos);
  CHECK(shell.run("until grep -x 500 /proc/$$/oom_score_adj; do sleep 0.01; done")->output == "500\n");
  ::unsetenv("OMNITIDE_SECRET");
}

TEST_CASE("a program that is none, or that others may write, is not run") {
  Shell shell;
  CHECK(shell.loop.run(shell.command.run({.arguments = {"/nonexistent"}})).error().code == Code::not_found);
  test::TempTree tree;
  tree.file("check", "#!/bin/sh\ntouch " + tree.path() + "/ran\n");
  const std::string program = tree.path() + "/check";
  std::filesystem::permissions(program, std::filesystem::perms(0777));
  const Result<CommandEnd> refused = shell.loop.run(shell.command.run({.arguments = {program}}));
  REQUIRE(refused.has_error());
  CHECK(refused.error().code == Code::permission_denied);
  CHECK_FALSE(std::filesystem::exists(tree.path() + "/ran"));
}

TEST_CASE("stop ends the run under way and every later one") {
  Shell shell;
  boost::asio::steady_timer soon(shell.loop.context, 200ms);
  soon.async_wait([&shell](const boost::system::error_code&) { shell.command.stop(); });
  const auto before = std::chrono::steady_clock::now();
  CHECK(shell.run("sleep 1000", 60s).error().code == Code::aborted);
  CHECK(std::chrono::steady_clock::now() - before < 2s);
  CHECK(shell.run("true").error().code == Code::aborted);
}

}  // namespace omnitide::io
