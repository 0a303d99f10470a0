#include "agent/cli/session.hpp"

#include <fmt/format.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <climits>
#include <cstdio>
#include <cstdlib>

#include "agent/base/clock.hpp"
#include "agent/base/fd.hpp"
#include "agent/base/file.hpp"
#include "agent/base/text.hpp"
#include "agent/codec/json.hpp"
#include "agent/io/http_client.hpp"
#include "omnitide/node/v1/local.pb.h"

namespace omnitide::cli {

namespace {

constexpr std::string_view kRunDirVariable = "OMNITIDE_PATHS_RUN_DIR";
constexpr std::string_view kHostRootVariable = "OMNITIDE_PATHS_HOST_ROOT";

// Flags take paths relative to where the user stands; the configuration has only absolute ones.
std::string absolute(std::string path) {
  if (path.empty() || path.starts_with('/')) return path;
  std::array<char, PATH_MAX> here{};
  if (::getcwd(here.data(), here.size()) == nullptr) return path;
  while (path.starts_with("./"))
    path.erase(0, 2);
  return path == "." ? std::string(here.data()) : fmt::format("{}/{}", here.data(), path);
}

std::string run_dir_below(const std::string& state_dir) {
  const Result<std::string> said = read_file(state_dir + "/run-dir", PATH_MAX);
  if (said.has_value() && trim(*said).starts_with('/')) return std::string(trim(*said));
  return state_dir + "/run";
}

// Whether somebody listens, and otherwise a sentence about it.
Result<> knock(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof address.sun_path)
    return fail(Code::invalid_argument, fmt::format("the socket's path {} is too long", path));
  path.copy(address.sun_path, sizeof address.sun_path - 1);
  const UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!fd) return fail_errno(errno, "cannot make a socket");
  if (::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0) return {};
  const int problem = errno;
  if (problem == EACCES || problem == EPERM) {
    return fail(Code::permission_denied, fmt::format("{} does not let this user in", path))
        .with_hint("run it with sudo, or as a member of the socket's group");
  }
  return fail(Code::unavailable, fmt::format("no agent answers at {}", path))
      .with_hint("is it running? systemctl status omnitide-agent; another one: --run-dir or --state-dir");
}

}  // namespace

Session::Session(const Callbacks& callbacks)
    : callbacks_(callbacks), console_(Console::of(STDOUT_FILENO, std::getenv("NO_COLOR"))) {
  options_.environment = config::environment_of(environ);
}

void Session::add_location(Command& command) {
  command.option("-c,--config", options_.file, "FILE", "Configuration, read after the installed one")
      .option("--config-dir", options_.directory, "DIR", "Of agent.yaml and agent.d, instead of /etc/omnitide")
      .option("--state-dir", options_.state_dir, "DIR", "State of the agent that is meant")
      .option("--run-dir", options_.run_dir, "DIR", "Of its socket");
}

void Session::add_format(Command& command, const std::string& choices) {
  command.option("-o,--output", format_, choices, "Form of the output");
}

Format Session::format() const {
  if (format_ == "json") return Format::json;
  if (format_ == "yaml") return Format::yaml;
  if (format_ == "prometheus") return Format::prometheus;
  return format_ == "labels" ? Format::labels : Format::table;
}

config::LoadOptions Session::load_options() const {
  config::LoadOptions out = options_;
  out.file = absolute(out.file);
  out.directory = absolute(out.directory);
  out.state_dir = absolute(out.state_dir);
  out.run_dir = absolute(out.run_dir);
  if (out.state_dir.empty() || !out.run_dir.empty()) return out;
  // With --state-dir alone: the configured run folder belongs to the configured state folder, not to this one.
  config::LoadOptions without = out;
  without.state_dir.clear();
  const config::Loaded configured = config::load(without);
  const bool same = configured.config.paths.state_dir == out.state_dir;
  const bool given = std::ranges::any_of(configured.settings, [](const config::Setting& setting) {
    return setting.path == "paths.run_dir" && setting.origin.layer != config::Layer::built_in;
  });
  if (!same && !given) out.run_dir = run_dir_below(out.state_dir);
  return out;
}

// As far as no file need be read.
Session::Paths Session::given_paths() const {
  Paths out{options_.run_dir.empty() ? "" : absolute(options_.run_dir), ""};
  if (options_.state_dir.empty() && options_.file.empty()) {
    for (const auto& [name, value] : options_.environment) {
      if (name == kRunDirVariable && out.run_dir.empty() && value.starts_with('/')) out.run_dir = value;
      if (name == kHostRootVariable && value.starts_with('/')) out.host_root = value;
    }
  }
  return out;
}

std::string Session::run_dir() const {
  std::string given = given_paths().run_dir;
  return given.empty() ? load_config().config.paths.run_dir : given;
}

Session::Paths Session::paths() const {
  Paths out = given_paths();
  if (!out.run_dir.empty() && !out.host_root.empty()) return out;
  const config::PathConfig configured = load_config().config.paths;
  if (out.run_dir.empty()) out.run_dir = configured.run_dir;
  if (out.host_root.empty()) out.host_root = configured.host_root;
  return out;
}

int Session::print(const google::protobuf::MessageLite& message) const {
  return print(format() == Format::yaml ? codec::to_yaml(message) : codec::to_json(message, codec::JsonForm::pretty));
}

int Session::print(std::string_view text) const {
  while (!text.empty()) {
    const ssize_t wrote = ::write(STDOUT_FILENO, text.data(), text.size());
    if (wrote < 0 && errno == EINTR) continue;
    if (wrote < 0 && errno == EPIPE) return 1;  // the reader has seen enough
    if (wrote <= 0) return failed(fail_errno(errno, "cannot write to standard output"));
    text.remove_prefix(static_cast<std::size_t>(wrote));
  }
  return 0;
}

int Session::failed(const Error& error) const {
  fmt::print(stderr, "omnitide-agent: {}{}\n", error.field.empty() ? "" : printable(error.field) + ": ",
             printable(error.message));
  if (!error.hint.empty()) fmt::print(stderr, "hint: {}\n", printable(error.hint));
  return exit_code(error.code);
}

int Session::failed(const std::vector<config::Fault>& faults) const {
  for (const config::Fault& fault : faults)
    fmt::print(stderr, "omnitide-agent: {}\n", fault.text());
  fmt::print(stderr, "hint: docs/config.md has every key; check again with: omnitide-agent config check\n");
  return exit_code(Code::invalid_argument);
}

Result<std::string> Session::agent_request(const std::string& method, const std::string& path, std::string body,
                                           const std::map<std::string, std::string>& query,
                                           std::chrono::milliseconds timeout) const {
  const std::string socket = run_dir() + "/agent.sock";
  if (Result<> answers = knock(socket); answers.has_error()) return std::move(answers).error();
  io::ClientOptions options;
  options.endpoint = "unix:" + socket;
  options.timeout = timeout;
  options.body_limit = 32U << 20U;
  io::HttpRequest request;
  request.method = method;
  request.path = path;
  request.query = query;
  request.headers = {{"accept", "application/x-protobuf"}, {"content-type", "application/x-protobuf"}};
  request.body = std::move(body);
  Result<io::HttpResponse> answer = io::send_blocking(std::move(options), std::move(request));
  if (answer.has_error()) return std::move(answer).error();
  if (answer->status != 200) return io::error_from_response(*answer);
  return std::move(answer->body);
}

Result<> Session::agent_status(node::v1::Status& out) const {
  const Result<std::string> body = agent_request("GET", "/v1/status", "");
  if (body.has_error()) return body.error();
  if (!out.ParseFromString(*body)) return fail(Code::data_loss, "the agent's answer is no Status message");
  return {};
}

Result<> Session::agent_facts(node::v1::Discovery& out) const {
  const Result<std::string> body = agent_request("GET", "/v1/facts", "");
  if (body.has_error()) return body.error();
  if (!out.ParseFromString(*body)) return fail(Code::data_loss, "the agent's answer is no Discovery message");
  return {};
}

std::string short_duration(std::chrono::milliseconds duration) {
  using namespace std::chrono_literals;
  if (duration < 1s) return duration.count() <= 0 ? "0s" : format_duration(duration);
  std::chrono::seconds rest = std::chrono::floor<std::chrono::seconds>(duration);
  const std::array<std::pair<std::chrono::seconds, char>, 4> units{
      {{86'400s, 'd'}, {3'600s, 'h'}, {60s, 'm'}, {1s, 's'}}};
  std::string out;
  int shown = 0;
  for (const auto& [unit, letter] : units) {
    if (shown == 0 && rest < unit) continue;
    if (rest >= unit) out += fmt::format("{}{}", rest / unit, letter);
    rest %= unit;
    if (++shown == 2) break;
  }
  return out;
}

}  // namespace omnitide::cli
