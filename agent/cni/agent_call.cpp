#include "agent/cni/agent_call.hpp"

#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <thread>

#include "agent/base/fd.hpp"
#include "agent/base/text.hpp"

namespace omnitide::cni {

namespace {

using namespace std::chrono_literals;

constexpr std::size_t kLongestAnswer = std::size_t{64} << 10U;
constexpr auto kBetweenTries = 50ms;

Result<UniqueFd> connect_once(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof address.sun_path) return fail(Code::invalid_argument, path + " is too long for a socket");
  std::memcpy(&address.sun_path[0], path.data(), path.size());
  UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd) return fail_errno(errno, "cannot make a socket");
  if (::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0) return fd;
  // EAGAIN: it listens, and too many wait already.
  if (errno == ENOENT || errno == ECONNREFUSED || errno == EAGAIN)
    return fail(Code::unavailable, "no agent listens at " + path);
  return fail_errno(errno, "cannot connect to " + path);
}

Result<UniqueFd> connect_until(const std::string& path, Deadline patience) {
  while (true) {
    Result<UniqueFd> out = connect_once(path);
    const bool absent = out.has_error() && out.error().code == Code::unavailable;
    if (!absent || std::chrono::steady_clock::now() + kBetweenTries >= patience) return out;
    std::this_thread::sleep_for(kBetweenTries);
  }
}

// False when the time is over.
bool wait_for(int fd, short events, Deadline deadline) {
  while (true) {
    const auto left =
        std::chrono::duration_cast<std::chrono::milliseconds>(deadline - std::chrono::steady_clock::now());
    if (left <= 0ms) return false;
    pollfd one{fd, events, 0};
    const int ready = ::poll(&one, 1, static_cast<int>(std::min<std::int64_t>(left.count() + 1, 60'000)));
    if (ready > 0) return true;
    if (ready < 0 && errno != EINTR) return false;
  }
}

Error no_answer() { return fail(Code::deadline_exceeded, "the agent did not answer in time"); }

Result<> send_all(int fd, std::string_view bytes, Deadline deadline) {
  while (!bytes.empty()) {
    const ssize_t sent = ::send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent > 0) {
      bytes.remove_prefix(static_cast<std::size_t>(sent));
    } else if (errno == EAGAIN) {
      if (!wait_for(fd, POLLOUT, deadline)) return no_answer();
    } else if (errno != EINTR) {
      return fail_errno(errno, "cannot ask the agent");
    }
  }
  return {};
}

Result<std::string> read_all(int fd, Deadline deadline) {
  std::string out;
  std::array<char, 4096> buffer{};
  while (out.size() < kLongestAnswer) {
    if (!wait_for(fd, POLLIN, deadline)) return no_answer();
    const ssize_t got = ::recv(fd, buffer.data(), buffer.size(), 0);
    if (got == 0) return out;
    if (got > 0) out.append(buffer.data(), static_cast<std::size_t>(got));
    if (got < 0 && errno != EAGAIN && errno != EINTR) return fail_errno(errno, "cannot read the agent's answer");
  }
  return fail(Code::resource_exhausted, "the agent's answer is too long");
}

Result<std::string> body_of(const std::string& answer) {
  const std::size_t end = answer.find("\r\n\r\n");
  if (!answer.starts_with("HTTP/1.1 ") || end == std::string::npos)
    return fail(Code::data_loss, "the agent's answer is cut short");
  const auto status = parse_number<unsigned>(std::string_view(answer).substr(9, 3));
  std::string body = answer.substr(end + 4);
  if (status == 200U) return body;
  return fail(status == 503U ? Code::unavailable : Code::failed_precondition,
              "the agent answered " + printable(trim(body), 512));
}

}  // namespace

Result<std::string> post(const std::string& socket, std::string_view target, std::string_view body, Deadline patience,
                         Deadline deadline) {
  const Result<UniqueFd> fd = connect_until(socket, patience);
  if (fd.has_error()) return fd.error();
  std::string request = "POST " + std::string(target) +
                        " HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Type: application/json\r\n"
                        "Content-Length: " +
                        std::to_string(body.size()) + "\r\n\r\n";
  request += body;
  if (const Result<> sent = send_all(fd->get(), request, deadline); sent.has_error()) return sent.error();
  const Result<std::string> answer = read_all(fd->get(), deadline);
  if (answer.has_error()) return answer.error();
  return body_of(*answer);
}

}  // namespace omnitide::cni
