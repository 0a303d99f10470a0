#include <fmt/format.h>
#include <netdb.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <cerrno>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>

#include "agent/base/fd.hpp"
#include "agent/base/lazy_library.hpp"
#include "agent/base/text.hpp"
#include "agent/cli/doctor.hpp"
#include "agent/io/http_client.hpp"

namespace omnitide::cli {

namespace {

constexpr std::chrono::milliseconds kConnectTimeout{3000};

struct FreeAddresses {
  void operator()(addrinfo* list) const { ::freeaddrinfo(list); }
};
using Addresses = std::unique_ptr<addrinfo, FreeAddresses>;

Result<Addresses> look_up(const std::string& host, const std::string& port, int flags) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = flags;
  addrinfo* list = nullptr;
  if (const int problem = ::getaddrinfo(host.c_str(), port.c_str(), &hints, &list); problem != 0)
    return fail(Code::unavailable, fmt::format("{}: {}", host, ::gai_strerror(problem)));
  return Addresses(list);
}

Result<> connect_to(const std::string& host, const std::string& port, std::chrono::milliseconds timeout) {
  const Result<Addresses> addresses = look_up(host, port, 0);
  if (addresses.has_error()) return addresses.error();
  Error last = fail(Code::unavailable, "no address");
  for (const addrinfo* at = addresses->get(); at != nullptr; at = at->ai_next) {
    const UniqueFd fd(::socket(at->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
    if (!fd) continue;
    if (::connect(fd.get(), at->ai_addr, at->ai_addrlen) == 0) return {};
    if (errno != EINPROGRESS) {
      last = fail_errno(errno, "cannot connect");
      continue;
    }
    pollfd wait{fd.get(), POLLOUT, 0};
    if (::poll(&wait, 1, static_cast<int>(timeout.count())) != 1) {
      last = fail(Code::deadline_exceeded, fmt::format("no answer within {}", format_duration(timeout)));
      continue;
    }
    int problem = 0;
    socklen_t size = sizeof problem;
    if (::getsockopt(fd.get(), SOL_SOCKET, SO_ERROR, &problem, &size) == 0 && problem == 0) return {};
    last = fail_errno(problem, "cannot connect");
  }
  return last;
}

Check configuration(const config::Loaded& loaded) {
  if (loaded.valid()) {
    const std::string files = loaded.config.files.empty() ? "defaults" : join(loaded.config.files, ", ");
    return {"configuration", Outcome::ok, files, ""};
  }
  return {"configuration", Outcome::problem,
          fmt::format("{} faults, first: {}", loaded.faults.size(), loaded.faults.front().text()),
          "omnitide-agent config check"};
}

// Advice is for the one who asks: somebody who is not root need not be able to write.
Outcome for_user(Outcome outcome) { return ::geteuid() == 0 ? outcome : Outcome::warning; }

Check state_dir(const std::string& path) {
  struct stat info {};
  if (::stat(path.c_str(), &info) != 0) {
    if (errno == ENOENT) return {"state folder", Outcome::ok, fmt::format("{} is made at the first start", path), ""};
    return {"state folder", for_user(Outcome::problem), fail_errno(errno, path).message, "sudo omnitide-agent doctor"};
  }
  if (!S_ISDIR(info.st_mode)) return {"state folder", Outcome::problem, path + " is not a folder", "move it away"};
  if (::access(path.c_str(), W_OK | X_OK) != 0) {
    return {"state folder", for_user(Outcome::problem), fmt::format("{} is not writable for this user", path),
            "sudo omnitide-agent doctor"};
  }
  if ((info.st_mode & 0022) != 0) {
    return {"state folder", Outcome::problem, fmt::format("others can write into {}", path), "chmod 0750 " + path};
  }
  return {"state folder", Outcome::ok, path, ""};
}

Check disk_space(std::string path) {
  constexpr std::uint64_t kTooLittle = 64U << 20U, kLittle = 512U << 20U;
  struct statvfs space {};
  while (::statvfs(path.c_str(), &space) != 0) {
    if (errno != ENOENT || path.size() <= 1)
      return {"disk space", Outcome::warning, fail_errno(errno, path).message, "check the state folder"};
    path = path.substr(0, std::max<std::size_t>(path.rfind('/'), 1));  // its parent
  }
  const std::uint64_t left = static_cast<std::uint64_t>(space.f_bavail) * space.f_frsize;
  const std::string finding = fmt::format("{} free at {}", human_bytes(left), path);
  if ((space.f_flag & ST_RDONLY) != 0)
    return {"disk space", Outcome::problem, path + " is mounted read-only", "set paths.state_dir to a writable folder"};
  if (left < kTooLittle) return {"disk space", Outcome::problem, finding, "make room: state cannot be kept"};
  if (space.f_files != 0 && space.f_favail < 100)
    return {"disk space", Outcome::problem, fmt::format("{} free inodes at {}", space.f_favail, path), "remove files"};
  if (left < kLittle) return {"disk space", Outcome::warning, finding, "make room soon"};
  return {"disk space", Outcome::ok, finding, ""};
}

Check listen_address(const char* name, const std::string& address) {
  const std::size_t colon = address.rfind(':');
  std::string host = address.substr(0, colon);
  if (host.starts_with('[')) host = host.substr(1, host.size() - 2);
  const Result<Addresses> addresses = look_up(host, address.substr(colon + 1), AI_PASSIVE | AI_NUMERICSERV);
  if (addresses.has_error()) return {name, Outcome::problem, addresses.error().message, "choose another address"};
  const addrinfo& at = **addresses;
  const UniqueFd fd(::socket(at.ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const int on = 1;
  if (fd) (void)::setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (fd && ::bind(fd.get(), at.ai_addr, at.ai_addrlen) == 0 && ::listen(fd.get(), 1) == 0)
    return {name, Outcome::ok, address + " is free", ""};
  const int problem = errno;
  return {name, Outcome::problem, fail_errno(problem, address).message,
          problem == EADDRINUSE ? "see who holds it: ss -ltnp; or set another address" : "set another address"};
}

Check registry_reachable(const std::string& endpoint) {
  const Result<io::Url> url = io::parse_url(endpoint);
  if (url.has_error()) return {"registry", Outcome::problem, url.error().message, "set registration.endpoint"};
  const Result<> connected = try_connect(url->host, url->port, kConnectTimeout);
  if (connected.has_value()) return {"registry", Outcome::ok, endpoint + " takes connections", ""};
  return {"registry", Outcome::problem, fmt::format("{}: {}", endpoint, connected.error().message),
          "check name, route and firewall; the agent goes on with its last accepted state"};
}

// The database of an embedded registry is the system's, and not every system has it.
Check no_endpoint(const config::Config& config) {
  if (!config.registry.embedded) return {"registry", Outcome::ok, "registration is not configured", ""};
  if (const Result<> loaded = load_library("libsqlite3.so.0"); loaded.has_error())
    return {"registry", Outcome::problem, loaded.error().text(),
            "install it: Debian's libsqlite3-0, Red Hat's sqlite-libs"};
  return {"registry", Outcome::ok, "embedded", ""};
}

}  // namespace

std::optional<Check> check_secret_file(const char* name, const std::string& path) {
  struct stat info {};
  if (path.empty()) return std::nullopt;
  if (::stat(path.c_str(), &info) != 0) {
    if (errno == EACCES && ::geteuid() != 0)
      return Check{name, Outcome::warning, path + " is not visible here", "run as root"};
    return Check{name, Outcome::problem, fail_errno(errno, path).message, "make the file, mode 0600"};
  }
  if (!S_ISREG(info.st_mode)) return Check{name, Outcome::problem, path + " is not a regular file", "name a file"};
  if ((info.st_mode & 0077) != 0)
    return Check{name, Outcome::problem,
                 fmt::format("{} has mode {:04o}: others can read it", path, info.st_mode & 07777U),
                 "chmod 0600 " + path};
  return Check{name, Outcome::ok, path, ""};
}

Result<> try_connect(const std::string& host, const std::string& port, std::chrono::milliseconds timeout) {
  // Looking up a name may block for longer than anybody waits: it is left to its thread then.
  struct Shared {
    std::mutex mutex;
    std::condition_variable done;
    std::optional<Result<>> result;
  };
  const auto shared = std::make_shared<Shared>();
  std::thread([shared, host, port, timeout] {
    Result<> result = connect_to(host, port, timeout);
    const std::lock_guard lock(shared->mutex);
    shared->result = std::move(result);
    shared->done.notify_one();
  }).detach();
  std::unique_lock lock(shared->mutex);
  if (!shared->done.wait_for(lock, timeout + std::chrono::milliseconds(200),
                             [&] { return shared->result.has_value(); }))
    return fail(Code::deadline_exceeded, fmt::format("no answer within {}", format_duration(timeout)));
  return *shared->result;
}

Checks check_configuration(const config::Loaded& loaded) {
  const config::Config& config = loaded.config;
  Checks out{configuration(loaded), state_dir(config.paths.state_dir), disk_space(config.paths.state_dir)};
  const std::string key = config.paths.state_dir + "/identity/node.key";
  if (::access(key.c_str(), F_OK) == 0) {
    if (auto check = check_secret_file("identity key", key)) out.push_back(std::move(*check));
  } else if (auto check = check_secret_file("join token", config.registration.token_file)) {
    out.push_back(std::move(*check));
  }
  if (auto check = check_secret_file("bearer token", config.http.bearer_token_file)) out.push_back(std::move(*check));
  if (!config.http.web_config_file.empty()) {
    const bool readable = ::access(config.http.web_config_file.c_str(), R_OK) == 0;
    out.push_back({"web configuration", readable ? Outcome::ok : for_user(Outcome::problem),
                   readable ? config.http.web_config_file : fail_errno(errno, config.http.web_config_file).message,
                   readable ? "" : "see docs/web-config.md"});
  }
  if (config.registration.endpoint.empty()) {
    out.push_back(no_endpoint(config));
  } else {
    out.push_back(registry_reachable(config.registration.endpoint));
  }
  return out;
}

Checks check_ports(const config::Config& config) {
  Checks out;
  if (config.http.enabled) out.push_back(listen_address("http.listen", config.http.listen));
  if (config.registry.embedded) out.push_back(listen_address("registry.listen", config.registry.listen));
  return out;
}

}  // namespace omnitide::cli
