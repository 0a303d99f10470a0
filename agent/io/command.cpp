#include "agent/io/command.hpp"

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <cerrno>
#include <optional>
#include <utility>

#include "agent/base/fd.hpp"
#include "agent/base/trust.hpp"

namespace omnitide::io {

namespace asio = boost::asio;
using namespace std::chrono_literals;

namespace {

constexpr auto kWithError = asio::as_tuple(asio::use_awaitable);
constexpr std::chrono::milliseconds kLongestStart = 10s;
constexpr std::chrono::milliseconds kLongestEnd = 2s;  // after SIGKILL
// What is thrown away is read slowly: 6 MiB a second cost no loop its time.
constexpr std::size_t kThrownAway = 32U << 10U;
constexpr std::chrono::milliseconds kPause = 5ms;

// A process that leads a group of its own, until it is waited for.
class Child {
 public:
  Child() = default;
  explicit Child(pid_t pid) : pid_(pid) {}
  Child(Child&& other) noexcept : pid_(std::exchange(other.pid_, 0)) {}
  Child& operator=(Child&& other) noexcept {
    std::swap(pid_, other.pid_);
    return *this;
  }
  // Nobody waits for it any more; it is a zombie when it hangs in the kernel now.
  ~Child() {
    end();
    (void)wait();
  }
  void end() const {
    if (pid_ > 0) ::kill(-pid_, SIGKILL);
  }
  // Its status when it has ended. Before, whatever it left in its group is ended too: the number of the group is its
  // own as long as it is not waited for.
  [[nodiscard]] std::optional<int> wait() {
    siginfo_t info{};
    if (pid_ <= 0 || ::waitid(P_PID, static_cast<id_t>(pid_), &info, WEXITED | WNOHANG | WNOWAIT) != 0 ||
        info.si_pid != pid_)
      return std::nullopt;
    end();
    (void)::waitid(P_PID, static_cast<id_t>(pid_), &info, WEXITED | WNOHANG);
    pid_ = 0;
    return info.si_code == CLD_EXITED ? info.si_status : 128 + info.si_status;
  }
  [[nodiscard]] bool there() const { return pid_ > 0; }
  [[nodiscard]] pid_t pid() const { return pid_; }

 private:
  pid_t pid_ = 0;
};

struct Started {
  Child child;
  UniqueFd ended, output;  // a pidfd; a pipe that does not block
};

class SpawnSettings {
 public:
  explicit SpawnSettings(int output) {
    posix_spawn_file_actions_init(&actions_);
    posix_spawn_file_actions_addopen(&actions_, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_adddup2(&actions_, output, STDOUT_FILENO);
    posix_spawn_file_actions_addopen(&actions_, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
    posix_spawn_file_actions_addclosefrom_np(&actions_, STDERR_FILENO + 1);
    posix_spawn_file_actions_addchdir_np(&actions_, "/");
    posix_spawnattr_init(&attributes_);
    sigset_t all, none;
    sigfillset(&all);
    sigemptyset(&none);
    posix_spawnattr_setsigdefault(&attributes_, &all);
    posix_spawnattr_setsigmask(&attributes_, &none);
    posix_spawnattr_setflags(&attributes_, POSIX_SPAWN_SETSID | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK);
  }
  ~SpawnSettings() {
    posix_spawn_file_actions_destroy(&actions_);
    posix_spawnattr_destroy(&attributes_);
  }
  SpawnSettings(const SpawnSettings&) = delete;
  SpawnSettings& operator=(const SpawnSettings&) = delete;
  [[nodiscard]] const posix_spawn_file_actions_t* actions() const { return &actions_; }
  [[nodiscard]] const posix_spawnattr_t* attributes() const { return &attributes_; }

 private:
  posix_spawn_file_actions_t actions_{};
  posix_spawnattr_t attributes_{};
};

// When memory is short the command goes, not who started it.
void offer_first(pid_t pid) {
  const UniqueFd file =
      owned(::open(("/proc/" + std::to_string(pid) + "/oom_score_adj").c_str(), O_WRONLY | O_CLOEXEC));
  if (file) (void)!::write(file.get(), "500", 3);
}

// On a worker.
Result<Started> start(std::vector<std::string> arguments) {
  const std::string program = arguments.front();
  if (Result<> trusted = only_root_writes(program); trusted.has_error())
    return std::move(trusted).error().within("cannot run " + program);
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) return fail_errno(errno, "cannot make a pipe");
  UniqueFd output(ends[0]);
  const UniqueFd input(ends[1]);
  ::fcntl(output.get(), F_SETFL, O_NONBLOCK);
  std::vector<char*> pointers;
  for (std::string& argument : arguments)
    pointers.push_back(argument.data());
  pointers.push_back(nullptr);
  std::string path = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", language = "LANG=C.UTF-8";
  const std::array<char*, 3> environment{path.data(), language.data(), nullptr};
  const SpawnSettings settings(input.get());
  // The agent's capabilities are its own. Ambient ones belong to a thread: this one needs none.
  (void)::prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
  pid_t pid = 0;
  const int problem = ::posix_spawn(&pid, program.c_str(), settings.actions(), settings.attributes(), pointers.data(),
                                    environment.data());
  if (problem != 0) return fail_errno(problem, "cannot run " + program);
  Started out{Child(pid), owned(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0))), std::move(output)};
  if (!out.ended) return fail_errno(errno, "cannot watch " + program);
  offer_first(pid);
  return out;
}

// What the reader and the runner share; the reader may be the last to let go of it.
struct Run {
  Run(asio::io_context& context, Started started, std::size_t limit)
      : child(std::move(started.child)),
        ended(context, started.ended.release()),
        output(context, started.output.release()),
        timer(context),
        pause(context),
        most(limit) {}

  // False at the end, and when there is nothing yet.
  bool take() {
    const ssize_t got = ::read(output.native_handle(), buffer.data(), buffer.size());
    if (got <= 0) {
      over = got == 0 || (errno != EAGAIN && errno != EINTR);
      return false;
    }
    text.append(buffer.data(), std::min(static_cast<std::size_t>(got), most - text.size()));
    return true;
  }

  Child child;
  asio::posix::stream_descriptor ended, output;
  asio::steady_timer timer, pause;
  std::size_t most;
  std::string text;
  std::vector<char> buffer = std::vector<char>(kThrownAway);
  bool over = false, timed_out = false;
};

asio::awaitable<void> read_output(std::shared_ptr<Run> run) {
  while (!run->over) {
    const auto [error] = co_await run->output.async_wait(asio::posix::stream_descriptor::wait_read, kWithError);
    if (error || run->over) co_return;
    (void)run->take();
    if (run->text.size() < run->most) continue;
    run->pause.expires_after(kPause);
    co_await run->pause.async_wait(kWithError);
  }
}

}  // namespace

class Command::Impl {
 public:
  Impl(asio::io_context& context, WorkerPool& workers) : context_(context), workers_(workers) {}

  asio::awaitable<Result<CommandEnd>> run(CommandOptions options) {
    if (stopped_) co_return fail(Code::aborted, "commands are not run any more");
    if (options.arguments.empty()) co_return fail(Code::invalid_argument, "there is no command");
    if (left_.there() && !left_.wait()) co_return fail(Code::unavailable, "the last run still hangs in the kernel");
    if (!starting_.expired()) co_return fail(Code::unavailable, "the last start still hangs in the kernel");
    auto token = std::make_shared<int>();
    starting_ = token;
    std::function<Result<Started>()> job = [arguments = options.arguments, token] { return start(arguments); };
    token.reset();
    Result<Started> started = co_await workers_.run_for<Started>(job, std::min(options.timeout, kLongestStart));
    if (started.has_error()) co_return std::move(started).error();
    run_ = std::make_shared<Run>(context_, std::move(*started), options.output);
    if (stopped_) run_->child.end();
    asio::co_spawn(context_, read_output(run_), asio::detached);
    const CommandEnd end = co_await finish(*run_, options.timeout);
    run_->over = true;
    run_->pause.cancel();
    boost::system::error_code ignored;
    run_->output.cancel(ignored);
    run_.reset();
    if (stopped_) co_return fail(Code::aborted, "commands are not run any more");
    if (left_.there()) co_return fail(Code::unavailable, "it was ended and still hangs in the kernel");
    co_return end;
  }

  void stop() {
    stopped_ = true;
    if (run_) run_->child.end();
  }

 private:
  void arm(const std::shared_ptr<Run>& run, std::chrono::milliseconds time) {
    run->timer.expires_after(time);
    run->timer.async_wait([weak = std::weak_ptr<Run>(run)](const boost::system::error_code& error) {
      const std::shared_ptr<Run> over = weak.lock();
      if (error || !over) return;
      over->timed_out = true;
      over->child.end();
      boost::system::error_code ignored;
      over->ended.cancel(ignored);
    });
  }

  asio::awaitable<CommandEnd> finish(Run& run, std::chrono::milliseconds timeout) {
    arm(run_, timeout);
    co_await run.ended.async_wait(asio::posix::stream_descriptor::wait_read, kWithError);
    const bool timed_out = run.timed_out;
    if (timed_out) {
      arm(run_, kLongestEnd);
      co_await run.ended.async_wait(asio::posix::stream_descriptor::wait_read, kWithError);
    }
    run.timer.cancel();
    const std::optional<int> status = run.child.wait();
    if (!status) left_ = std::move(run.child);
    while (run.text.size() < run.most && run.take()) {
    }
    co_return CommandEnd{timed_out, status.value_or(0), std::move(run.text)};
  }

  asio::io_context& context_;
  WorkerPool& workers_;
  std::shared_ptr<Run> run_;
  Child left_;
  std::weak_ptr<int> starting_;
  bool stopped_ = false;
};

Command::Command(asio::io_context& context, WorkerPool& workers) : impl_(std::make_unique<Impl>(context, workers)) {}
Command::~Command() = default;
Command::Command(Command&&) noexcept = default;
asio::awaitable<Result<CommandEnd>> Command::run(CommandOptions options) { return impl_->run(std::move(options)); }
void Command::stop() { impl_->stop(); }

}  // namespace omnitide::io
