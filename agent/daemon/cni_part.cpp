#include "agent/daemon/cni_part.hpp"

#include <fmt/format.h>
#include <sys/inotify.h>
#include <unistd.h>

#include <algorithm>
#include <array>

#include "agent/base/log.hpp"
#include "agent/base/text.hpp"
#include "agent/daemon/local_api.hpp"
#include "agent/daemon/spawn.hpp"
#include "agent/daemon/tuple.hpp"

namespace omnitide::daemon {

namespace asio = boost::asio;
using model::PartState;
using namespace std::chrono_literals;

namespace {

constexpr auto kInstallTime = 60s;
constexpr auto kListSettles = 100ms;  // whoever writes a file is about to write more
constexpr std::chrono::milliseconds kInstallAgain = 2s, kLookAnyway = 60s, kNotYet = 500ms, kQuarrel = 30s;
constexpr std::size_t kMostChainings = 5;  // a minute; beyond it somebody else does not want ours there
constexpr std::size_t kLongestBody = std::size_t{16} << 10U;
constexpr std::chrono::milliseconds kLongestAsked = 60s;
constexpr std::uint32_t kListEvents =
    IN_CLOSE_WRITE | IN_MOVED_TO | IN_MOVED_FROM | IN_DELETE | IN_DELETE_SELF | IN_MOVE_SELF;

io::HttpResponse answer_text(std::string body) {
  io::HttpResponse out;
  out.content_type = "application/json";
  out.body = std::move(body);
  return out;
}

// Beside the agent's own file.
std::string plugin_path() {
  std::array<char, 4096> buffer{};
  const ssize_t size = ::readlink("/proc/self/exe", buffer.data(), buffer.size());
  const std::string_view own(buffer.data(), static_cast<std::size_t>(std::max<ssize_t>(size, 0)));
  return std::string(own.substr(0, own.rfind('/') + 1)) + std::string(cni::kPluginType);
}

}  // namespace

CniFolders cni_folders(const config::CniConfig& config) {
  return {.lists = config.conf_dir, .programs = config.bin_dir, .plugin = plugin_path()};
}

cni::Settings cni_settings(const config::Config& config) {
  const config::CniConfig& cni = config.kubernetes.cni;
  const std::string& state = cni.node_state_dir.empty() ? config.paths.state_dir : cni.node_state_dir;
  return {.socket = state + "/" + std::string(cni::kSocketName),
          .pins = cni.node_pin_dir.empty() ? config.policy.pin_dir : cni.node_pin_dir,
          .absent_closed = !cni.absent_open,
          .timeout = std::chrono::ceil<std::chrono::seconds>(cni.timeout)};
}

CniPart::CniPart(asio::io_context& context, io::WorkerPool& pool, const config::Config& config, bool wanted,
                 Hooks hooks)
    : context_(context),
      pool_(pool),
      folders_(cni_folders(config.kubernetes.cni)),
      settings_(cni_settings(config)),
      socket_(config.paths.state_dir + "/" + std::string(cni::kSocketName)),
      wanted_(wanted),
      hooks_(std::move(hooks)),
      timer_(context) {}

Result<> CniPart::start() {
  std::vector<io::Route> routes(2);
  routes[0].pattern = cni::kAddPath;
  routes[0].handler = [this](io::HttpRequest& request) { return answer_add(request); };
  routes[1].pattern = cni::kGonePath;
  routes[1].handler = [this](io::HttpRequest& request) -> asio::awaitable<io::HttpResponse> {
    co_return answer_gone(request);
  };
  for (io::Route& route : routes) {
    route.method = "POST";
    route.body_limit = kLongestBody;
    route.guard = only_root;
  }
  server_ = std::make_unique<io::HttpServer>(context_, std::move(routes), io::ServerLimits{});
  if (Result<> listening = server_->listen_unix(socket_, 0600); listening.has_error()) return listening;
  spawn_on(context_, wanted_ ? keep_chained() : take_out(), [this](const std::string& reason) {
    if (!stopping_) hooks_.on_state(PartState::failed, "no longer looks after the plugin: " + reason);
  });
  return {};
}

void CniPart::stop() {
  stopping_ = true;
  timer_.cancel();
  boost::system::error_code ignored;
  if (watch_) watch_->cancel(ignored);
  if (server_) server_->stop();
}

asio::awaitable<io::HttpResponse> CniPart::answer_add(io::HttpRequest& request) {
  Result<cni::Sandbox> sandbox = cni::parse_sandbox(request.body);
  if (sandbox.has_error()) co_return io::error_response(sandbox.error());
  const auto asked = request.query.find("timeout");
  const auto timeout = asked == request.query.end() ? std::nullopt : parse_number<std::uint32_t>(asked->second);
  const Result<cni::Answer> answer = co_await hooks_.on_sandbox(
      std::move(*sandbox), std::min(std::chrono::milliseconds{timeout.value_or(0)}, kLongestAsked));
  if (answer.has_error()) co_return io::error_response(answer.error());
  co_return answer_text(cni::to_json(*answer));
}

io::HttpResponse CniPart::answer_gone(const io::HttpRequest& request) {
  const Result<cni::Sandbox> sandbox = cni::parse_sandbox(request.body);
  if (sandbox.has_error()) return io::error_response(sandbox.error());
  hooks_.on_gone(*sandbox);
  return answer_text("{}\n");
}

Result<bool> CniPart::remove() {
  const std::lock_guard lock(gate_->mutex);
  gate_->shut = true;
  return remove_cni(folders_);
}

asio::awaitable<void> CniPart::take_out() {
  std::function<Result<int>()> job = [folders = folders_]() -> Result<int> {
    const Result<bool> removed = remove_cni(folders);
    if (removed.has_error()) return removed.error();
    return *removed ? 1 : 0;
  };
  const Result<int> removed = co_await pool_.run_for<int>(std::move(job), kInstallTime);
  if (stopping_) co_return;
  if (removed.has_error()) {
    log::warning(log::Part::policy, "cannot take omnitide-cni out of the network configuration, leaving it",
                 {{"reason", removed.error().text()}});
  } else if (*removed == 1) {
    log::info(log::Part::policy, "omnitide-cni is taken out of the network configuration");
  }
}

asio::awaitable<Result<CniInstalled>> CniPart::install() {
  std::function<Result<CniInstalled>()> job = [gate = gate_, folders = folders_,
                                               settings = settings_]() -> Result<CniInstalled> {
    const std::lock_guard lock(gate->mutex);
    if (gate->shut) return fail(Code::aborted, "it is taken out for good");
    return install_cni(folders, settings);
  };
  co_return co_await pool_.run_for<CniInstalled>(std::move(job), kInstallTime);
}

asio::awaitable<void> CniPart::keep_chained() {
  while (!stopping_) {
    const std::string not_now = hooks_.not_now();
    if (!not_now.empty()) {
      hooks_.on_state(PartState::starting, not_now);
      timer_.expires_after(kNotYet);
      co_await timer_.async_wait(kTuple);
      continue;
    }
    watch();  // before the look, so that nothing happens between the two
    const Result<CniInstalled> installed = co_await install();
    if (stopping_) co_return;
    co_await wait_for_change(tell(installed));
  }
}

// How long to wait for a change until it is looked at anyway.
std::chrono::milliseconds CniPart::tell(const Result<CniInstalled>& installed) {
  if (installed.has_error()) {
    const std::string reason = installed.error().text();
    hooks_.on_state(PartState::degraded, "new pods are open until they are found: " + reason);
    if (std::exchange(told_, reason) != reason)
      log::warning(log::Part::policy, "omnitide-cni is not chained, trying again", {{"reason", reason}});
    return kInstallAgain;
  }
  told_.clear();
  hooks_.on_state(PartState::on, "chained in " + installed->list);
  if (!installed->changed) return kLookAnyway;
  log::info(log::Part::policy, "omnitide-cni is chained", {{"list", installed->list}});
  const SteadyTime now = std::chrono::steady_clock::now();
  std::erase_if(changes_, [now](SteadyTime each) { return now - each > 1min; });
  changes_.push_back(now);
  return kLookAnyway;
}

void CniPart::watch() {
  if (watch_) return;
  const int fd = ::inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
  if (fd < 0) return;  // it is looked at from time to time
  if (::inotify_add_watch(fd, folders_.lists.c_str(), kListEvents) < 0) {
    ::close(fd);
    return;
  }
  watch_ = std::make_unique<asio::posix::stream_descriptor>(context_, fd);
  seen_ = false;
  watch_->async_wait(asio::posix::stream_descriptor::wait_read, [this](const boost::system::error_code& error) {
    if (error) return;
    seen_ = true;
    timer_.cancel();
  });
}

asio::awaitable<void> CniPart::wait_for_change(std::chrono::milliseconds longest) {
  const bool quarrel = changes_.size() > kMostChainings;
  if (quarrel) {
    watch_.reset();
    changes_.clear();
    longest = kQuarrel;
  } else if (!watch_) {
    longest = std::min(longest, kInstallAgain);
  }
  if (!watch_ || !seen_) {
    timer_.expires_after(longest);
    co_await timer_.async_wait(kTuple);
  }
  if (stopping_) co_return;
  timer_.expires_after(kListSettles);
  co_await timer_.async_wait(kTuple);
  // Which files changed does not matter; when the folder itself went, there may be another one of its name.
  watch_.reset();
}

}  // namespace omnitide::daemon
