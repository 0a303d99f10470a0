// What a check of each kind looks at, and what that means.
#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "agent/base/clock.hpp"
#include "agent/base/text.hpp"
#include "agent/base/version.hpp"
#include "agent/daemon/health_looks.hpp"
#include "agent/io/command.hpp"
#include "agent/io/connect.hpp"
#include "agent/io/http_client.hpp"
#include "health/checks/checks.hpp"

namespace omnitide::daemon {

namespace asio = boost::asio;
using namespace std::chrono_literals;
using health::Finding;
using health::Verdict;

Finding finding_of(Verdict verdict, std::string reason, const std::string& message, health::Evidence evidence) {
  return {{}, {}, verdict, std::move(reason), printable(message, kLongestTold), std::move(evidence)};
}

Finding not_reached(const Error& error, health::Evidence evidence) {
  const bool late = error.code == Code::deadline_exceeded;
  return finding_of(Verdict::bad, late ? "TimedOut" : "NotReached", error.text(), std::move(evidence));
}

ProbeTarget target_of(std::string_view text, std::uint16_t port) {
  const std::size_t bracket = text.find(']');
  const std::size_t colon = text.find(':', bracket == std::string_view::npos ? 0 : bracket);
  std::string_view host = text.substr(0, colon);
  if (host.starts_with('[')) host = host.substr(1, host.size() - 2);
  if (colon != std::string_view::npos) port = parse_number<std::uint16_t>(text.substr(colon + 1)).value_or(port);
  return {std::string(host), port};
}

namespace {

constexpr std::size_t kBodyLooked = 64U << 10U;

// The first line, without white space around it.
std::string first_line_of(std::string_view output, std::size_t longest) {
  const std::string_view text = trim(output);
  return printable(trim(text.substr(0, text.find('\n'))), longest);
}

asio::awaitable<Finding> run_command(CommandLook look, std::shared_ptr<io::Command> command,
                                     std::shared_ptr<ProbeRun> run) {
  run->on_stop([command] { command->stop(); });
  io::CommandOptions options;
  options.arguments = look.arguments;
  options.timeout = run->left();
  Result<io::CommandEnd> end = co_await command->run(std::move(options));
  const health::Evidence program{{"command", printable(look.arguments.front(), kLongestTold)}};
  if (end.has_error()) co_return finding_of(Verdict::unknown, "NotRun", end.error().text(), program);
  std::string said = first_line_of(end->output, look.longest);
  if (end->timed_out)
    co_return finding_of(look.others_unknown ? Verdict::unknown : Verdict::bad, "TimedOut",
                         said.empty() ? "it took too long and was ended" : "it took too long and was ended: " + said,
                         program);
  if (said.empty()) said = fmt::format("exit status {}", end->status);
  Verdict verdict = end->status == 0 ? Verdict::good : Verdict::bad;
  if (look.others_unknown && end->status > 1) verdict = Verdict::unknown;
  Finding out = finding_of(verdict, verdict == Verdict::good ? "CheckPassed" : "CommandFailed", said, program);
  if (verdict != Verdict::good) out.evidence.emplace_back("exit status", std::to_string(end->status));
  co_return out;
}

bool expected(const config::HealthCheckConfig& check, unsigned status) {
  return check.status == 0 ? status >= 200 && status <= 299 : status == check.status;
}

asio::awaitable<Finding> ask_http(config::HealthCheckConfig check, std::shared_ptr<io::NameLookup> lookup,
                                  std::shared_ptr<io::TlsContext> tls, std::shared_ptr<ProbeRun> run) {
  const health::Evidence where{{"url", check.target}};
  const bool https = check.target.starts_with("https://");
  const std::size_t begin = https ? 8 : 7, end = std::min(check.target.find_first_of("/?", begin), check.target.size());
  const ProbeTarget target = target_of(std::string_view(check.target).substr(begin, end - begin), https ? 443 : 80);
  Result<std::vector<std::string>> addresses =
      co_await lookup->addresses(run->workers(), target.host, std::min(run->left(), kLongestProbeJob));
  if (addresses.has_error()) co_return not_reached(addresses.error(), where);
  if (https && !*tls) {
    Result<io::TlsContext> made = io::TlsContext::client_of_cas(check.ca_file);
    if (made.has_error()) co_return finding_of(Verdict::unknown, "NotRun", made.error().text(), where);
    *tls = *made;
  }
  io::ClientOptions options;
  options.endpoint = check.target.substr(0, end);
  options.tls = *tls;
  options.timeout = run->left();
  options.body_limit = check.body.empty() ? 0 : kBodyLooked;
  options.addresses = std::move(*addresses);
  options.cut_body = true;
  const auto client = std::make_shared<io::HttpClient>(run->context(), std::move(options));
  run->on_stop([client] { client->cancel(); });
  io::HttpRequest request;
  request.path = check.target.substr(end);
  if (!request.path.starts_with('/')) request.path.insert(0, "/");
  request.headers = {{"User-Agent", "omnitide-agent"}, {"Connection", "close"}};
  const Result<io::HttpResponse> answer = co_await client->send(std::move(request));
  if (answer.has_error()) {
    *tls = {};  // CAs may be new by the next time
    co_return not_reached(answer.error(), where);
  }
  if (!expected(check, answer->status))
    co_return finding_of(Verdict::bad, "WrongStatus", fmt::format("the answer's status is {}", answer->status), where);
  if (!check.body.empty() && answer->body.find(check.body) == std::string::npos)
    co_return finding_of(Verdict::bad, "WrongAnswer", fmt::format("the answer does not have \"{}\"", check.body),
                         where);
  co_return finding_of(Verdict::good, "CheckPassed", fmt::format("the answer's status is {}", answer->status));
}

asio::awaitable<Finding> connect_tcp(std::string address, std::shared_ptr<io::NameLookup> lookup,
                                     std::shared_ptr<ProbeRun> run) {
  const health::Evidence where{{"address", address}};
  const ProbeTarget target = target_of(address, 0);
  Result<std::vector<std::string>> addresses =
      co_await lookup->addresses(run->workers(), target.host, std::min(run->left(), kLongestProbeJob));
  if (addresses.has_error()) co_return not_reached(addresses.error(), where);
  const auto connector = std::make_shared<io::Connector>(run->context());
  run->on_stop([connector] { connector->cancel(); });
  const auto socket = co_await connector->tcp(std::move(*addresses), target.port, run->left());
  if (socket.has_error()) co_return not_reached(socket.error(), where);
  co_return finding_of(Verdict::good, "CheckPassed", address + " takes connections");
}

Finding look_at_file(const std::string& path, std::chrono::milliseconds max_age) {
  const health::Evidence where{{"file", printable(path, kLongestTold)}};
  struct stat info {};
  if (::stat(path.c_str(), &info) != 0) {
    const Error error = fail_errno(errno, "cannot look at " + path);
    if (errno != ENOENT && errno != ENOTDIR) return finding_of(Verdict::unknown, "NotRun", error.text(), where);
    return finding_of(Verdict::bad, "FileMissing", path + " is not there", where);
  }
  const auto age = wall_now() - WallTime{std::chrono::seconds(info.st_mtim.tv_sec)};
  const std::string told = format_duration(std::max(std::chrono::floor<std::chrono::seconds>(age), 0s));
  if (max_age > 0ms && age > max_age)
    return finding_of(Verdict::bad, "FileTooOld", fmt::format("{} was last written {} ago", path, told), where);
  return finding_of(Verdict::good, "CheckPassed", fmt::format("{} was last written {} ago", path, told));
}

asio::awaitable<Finding> ask_for_file(std::string path, std::chrono::milliseconds max_age,
                                      std::shared_ptr<std::weak_ptr<int>> last, std::shared_ptr<ProbeRun> run) {
  // A look that hangs in a dead mount holds a thread: there is only one of each check.
  if (!last->expired()) co_return finding_of(Verdict::bad, "TimedOut", "the last look at " + path + " still hangs");
  const auto token = std::make_shared<int>();
  *last = token;
  std::function<Result<Finding>()> job = [path, max_age, token]() -> Result<Finding> {
    return look_at_file(path, max_age);
  };
  Result<Finding> found = co_await run->workers().run_for<Finding>(job, std::min(run->left(), kLongestProbeJob));
  if (found.has_error()) co_return not_reached(std::move(found).error().within("looking at " + path), {});
  co_return std::move(*found);
}

}  // namespace

Look command_look(CommandLook look) {
  // Made at the first run, since only then is the loop known.
  const auto command = std::make_shared<std::shared_ptr<io::Command>>();
  return [look = std::move(look), command](std::shared_ptr<ProbeRun> run) {
    if (!*command) *command = std::make_shared<io::Command>(run->context(), run->workers());
    return run_command(look, *command, std::move(run));
  };
}

Look http_look(const config::HealthCheckConfig& check) {
  return [check, lookup = std::make_shared<io::NameLookup>(), tls = std::make_shared<io::TlsContext>()](
             std::shared_ptr<ProbeRun> run) { return ask_http(check, lookup, tls, std::move(run)); };
}

Look tcp_look(const config::HealthCheckConfig& check) {
  return [address = check.target, lookup = std::make_shared<io::NameLookup>()](std::shared_ptr<ProbeRun> run) {
    return connect_tcp(address, lookup, std::move(run));
  };
}

Look file_look(const config::HealthCheckConfig& check) {
  return [path = check.target, max_age = check.max_age, last = std::make_shared<std::weak_ptr<int>>()](
             std::shared_ptr<ProbeRun> run) { return ask_for_file(path, max_age, last, std::move(run)); };
}

}  // namespace omnitide::daemon
