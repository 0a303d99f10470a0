// omnitide-cni: called by a container runtime when a pod's network is made or taken away (docs/adr/0023-cni-plugin.md).
#include <poll.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <optional>
#include <string>
#include <string_view>

#include "agent/cni/node.hpp"
#include "agent/cni/plugin.hpp"
#include "agent/cni/protocol.hpp"

namespace {

namespace cni = omnitide::cni;

constexpr std::size_t kLongestInput = std::size_t{1} << 20U;
constexpr std::chrono::seconds kForInput{10};
constexpr unsigned kForAll = 120;  // seconds; the limits above and of the settings are far below

std::string variable(const char* name) {
  const char* const value = std::getenv(name);  // NOLINT: there is one thread
  return value == nullptr ? "" : value;
}

// Nothing: longer than it may be, or not in time.
std::optional<std::string> read_input() {
  const auto deadline = std::chrono::steady_clock::now() + kForInput;
  std::string out;
  std::array<char, 4096> buffer{};
  while (out.size() <= kLongestInput) {
    const auto left =
        std::chrono::duration_cast<std::chrono::milliseconds>(deadline - std::chrono::steady_clock::now());
    pollfd input{STDIN_FILENO, POLLIN, 0};
    if (left.count() <= 0 || ::poll(&input, 1, static_cast<int>(left.count())) <= 0) return std::nullopt;
    const ssize_t got = ::read(STDIN_FILENO, buffer.data(), buffer.size());
    if (got == 0) return out;
    if (got > 0) out.append(buffer.data(), static_cast<std::size_t>(got));
    if (got < 0 && errno != EINTR && errno != EAGAIN) return std::nullopt;
  }
  return std::nullopt;
}

int finish(const std::string& text, int code) {
  const bool written = std::fwrite(text.data(), 1, text.size(), stdout) == text.size() && std::fflush(stdout) == 0;
  return written ? code : 1;
}

// Where this program's file is, or was until somebody removed it.
std::string own_path() {
  constexpr std::string_view kRemoved = " (deleted)";
  std::array<char, 4096> buffer{};
  const ssize_t size = ::readlink("/proc/self/exe", buffer.data(), buffer.size());
  std::string out(buffer.data(), static_cast<std::size_t>(size < 0 ? 0 : size));
  if (out.ends_with(kRemoved)) out.resize(out.size() - kRemoved.size());
  return out;
}

int run() {
  const cni::Environment environment{.command = variable("CNI_COMMAND"),
                                     .container = variable("CNI_CONTAINERID"),
                                     .netns = variable("CNI_NETNS"),
                                     .interface = variable("CNI_IFNAME"),
                                     .arguments = variable("CNI_ARGS")};
  std::optional<std::string> input = std::string();
  if (!environment.command.empty()) input = read_input();
  if (!input)
    return finish(cni::failure_text({.code = cni::ErrorCode::io_failure,
                                     .message = "standard input is longer than 1 MiB, or did not end in 10 seconds"}),
                  1);
  const cni::Outcome<cni::Request> request = cni::parse_request(environment, *input);
  if (request.has_error()) return finish(cni::failure_text(request.error()), 1);
  cni::ThisNode node(own_path());
  std::string remark;
  const cni::Outcome<std::string> result = cni::run(*request, node, remark);
  if (!remark.empty()) std::fprintf(stderr, "omnitide-cni: %s\n", remark.c_str());
  return result.has_error() ? finish(cni::failure_text(result.error()), 1) : finish(*result, 0);
}

}  // namespace

int main() {
  ::alarm(kForAll);
  try {
    return run();
  } catch (const std::exception& problem) {
    return finish(cni::failure_text({.code = cni::ErrorCode::io_failure, .message = problem.what()}), 1);
  }
}
