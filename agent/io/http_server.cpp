#include "agent/io/http_server.hpp"

#include <fmt/format.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <cerrno>
#include <list>
#include <unordered_map>
#include <utility>

#include "agent/base/address.hpp"
#include "agent/base/log.hpp"
#include "agent/base/text.hpp"
#include "agent/io/http_session.hpp"

namespace omnitide::io {

namespace asio = boost::asio;
using asio::ip::tcp;
using Acceptor = asio::basic_socket_acceptor<asio::generic::stream_protocol>;
using namespace std::chrono_literals;

namespace {

constexpr auto kSweepEvery = 500ms;
constexpr std::size_t kEvictedAtOnce = 16;
constexpr auto kPauseWhenFull = 50ms;  // out of descriptors: let some go before the next accept

// Nothing on a unix socket. A socket for both families shows IPv4 as ::ffff:a.b.c.d, the form that Address has anyway.
std::optional<Address> address_of(const StreamSocket& socket) {
  boost::system::error_code error;
  const auto remote = socket.remote_endpoint(error);
  if (error) return std::nullopt;
  const int family = remote.protocol().family();
  if (family != AF_INET && family != AF_INET6) return std::nullopt;
  tcp::endpoint endpoint;
  endpoint.resize(remote.size());
  std::memcpy(endpoint.data(), remote.data(), remote.size());
  const asio::ip::address address = endpoint.address();
  const asio::ip::address_v6 wide =
      address.is_v4() ? asio::ip::make_address_v6(asio::ip::v4_mapped, address.to_v4()) : address.to_v6();
  return Address{wide.to_bytes()};
}

// "192.0.2.1" for one address, "2001:db8::/64" for a net.
std::string holder_of(const Address& address) {
  return address.is_v4() ? format(address) : format(holder_prefix(address));
}

std::optional<std::uint32_t> uid_of(const StreamSocket& socket) {
  ucred credentials{};
  socklen_t length = sizeof credentials;
  if (::getsockopt(const_cast<StreamSocket&>(socket).native_handle(), SOL_SOCKET, SO_PEERCRED, &credentials, &length) !=
      0) {
    return std::nullopt;
  }
  return credentials.uid;
}

Error not_listenable(const std::string& text) {
  return fail(Code::invalid_argument, "\"" + text + "\" is not ADDRESS:PORT")
      .with_hint("such as 127.0.0.1:9797 or [::1]:0");
}

Result<tcp::endpoint> parse_listen_address(const std::string& text) {
  const std::size_t colon = text.rfind(':');
  if (colon == std::string::npos) return not_listenable(text);
  std::string host = text.substr(0, colon);
  if (host.size() > 2 && host.front() == '[' && host.back() == ']') host = host.substr(1, host.size() - 2);
  if (host == "localhost") host = "127.0.0.1";
  boost::system::error_code error;
  const auto address =
      host.empty() ? asio::ip::address(asio::ip::address_v6::any()) : asio::ip::make_address(host, error);
  const auto port = parse_number<std::uint16_t>(std::string_view(text).substr(colon + 1));
  if (error || !port) return not_listenable(text);
  return tcp::endpoint(address, *port);
}

}  // namespace

class HttpServer::Impl : public std::enable_shared_from_this<HttpServer::Impl> {
 public:
  Impl(asio::io_context& context, std::vector<Route> routes, ServerLimits limits, Guard guard)
      : context_(context), sweep_(context) {
    shared_.routes = std::move(routes);
    shared_.limits = limits;
    shared_.guard = std::move(guard);
  }

  Result<> listen(asio::generic::stream_protocol protocol, const asio::generic::stream_protocol::endpoint& endpoint,
                  bool tls, const std::string& name) {
    boost::system::error_code error;
    auto acceptor = std::make_shared<Acceptor>(context_);
    acceptor->open(protocol, error);
    if (!error && protocol.family() != AF_UNIX) acceptor->set_option(asio::socket_base::reuse_address(true), error);
    if (!error) acceptor->bind(endpoint, error);
    if (!error) acceptor->listen(asio::socket_base::max_listen_connections, error);
    if (error) return fail_errno(error.value(), "cannot listen on " + name);
    acceptors_.push_back(acceptor);
    asio::co_spawn(context_, accept_loop(shared_from_this(), acceptor, tls), asio::detached);
    if (!sweeping_) asio::co_spawn(context_, sweep_loop(shared_from_this()), asio::detached);
    sweeping_ = true;
    return {};
  }

  [[nodiscard]] std::uint16_t last_port() const {
    tcp::endpoint endpoint;
    boost::system::error_code error;
    const auto local = acceptors_.back()->local_endpoint(error);
    endpoint.resize(local.size());
    std::memcpy(endpoint.data(), local.data(), local.size());
    return endpoint.port();
  }

  void stop() {
    if (std::exchange(shared_.stopping, true)) return;
    boost::system::error_code ignored;
    for (const auto& acceptor : acceptors_)
      acceptor->close(ignored);
    sweep_.cancel();
    for (HttpSession* session : sessions_)
      session->stop();
    if (!unix_path_.empty()) ::unlink(unix_path_.c_str());
  }

  TlsContext tls_;
  ServerShared shared_;
  std::string unix_path_;

 private:
  using Sessions = std::list<HttpSession*>;

  static asio::awaitable<void> accept_loop(std::shared_ptr<Impl> self, std::shared_ptr<Acceptor> acceptor, bool tls) {
    while (!self->shared_.stopping) {
      auto [error, socket] = co_await acceptor->async_accept(asio::as_tuple(asio::use_awaitable));
      if (error == asio::error::operation_aborted || self->shared_.stopping) break;
      if (error) {
        asio::steady_timer pause(self->context_, kPauseWhenFull);
        co_await pause.async_wait(asio::as_tuple(asio::use_awaitable));
        continue;
      }
      self->admit(std::move(socket), tls);
    }
  }

  // The oldest one that may go is gone in a moment: the limit is passed by one for that long.
  bool make_room() {
    if (sessions_.size() >= shared_.limits.connections + kEvictedAtOnce) return false;
    return std::any_of(sessions_.begin(), sessions_.end(), [](HttpSession* session) { return session->evict(); });
  }

  void admit(StreamSocket socket, bool tls) {
    ++shared_.counters.accepted;
    const std::optional<Address> address = address_of(socket);
    const std::string holder = address ? holder_of(*address) : std::string();
    const auto held = by_holder_.find(holder);
    const bool crowded = shared_.limits.connections_per_address > 0 && held != by_holder_.end() &&
                         held->second >= shared_.limits.connections_per_address;
    // Idle connections of nobody in particular make room, so that holding them open locks nobody out.
    const bool full = sessions_.size() >= shared_.limits.connections;
    if (crowded || (full && !make_room())) {
      ++shared_.counters.refused_full;
      return;  // the socket closes
    }
    boost::system::error_code ignored;
    auto peer = std::make_shared<Peer>();
    peer->connection = shared_.counters.accepted;
    peer->connected = std::chrono::steady_clock::now();
    if (address) {
      socket.set_option(tcp::no_delay(true), ignored);
      if (shared_.limits.connections_per_address > 0) ++by_holder_[holder];
      peer->address = format(*address);
      peer->holder = holder;
    } else {
      peer->uid = uid_of(socket);
    }
    auto session =
        std::make_unique<HttpSession>(shared_, Stream(std::move(socket)), std::move(peer), tls ? tls_ : TlsContext{});
    asio::co_spawn(context_, run_session(shared_from_this(), std::move(session)), asio::detached);
  }

  static asio::awaitable<void> run_session(std::shared_ptr<Impl> self, std::unique_ptr<HttpSession> session) {
    const auto place = self->sessions_.insert(self->sessions_.end(), session.get());
    try {
      co_await session->run();
    } catch (const std::exception& caught) {
      log::error(log::Part::http, "a connection failed, closing it", {{"reason", caught.what()}});
    }
    self->sessions_.erase(place);
    const auto counted = self->by_holder_.find(session->peer().holder);
    if (counted != self->by_holder_.end() && --counted->second == 0) self->by_holder_.erase(counted);
  }

  static asio::awaitable<void> sweep_loop(std::shared_ptr<Impl> self) {
    // Until the last session has ended: the deadlines hold while the server stops.
    while (!self->shared_.stopping || !self->sessions_.empty()) {
      self->sweep_.expires_after(kSweepEvery);
      co_await self->sweep_.async_wait(asio::as_tuple(asio::use_awaitable));
      const auto now = std::chrono::steady_clock::now();
      for (HttpSession* session : self->sessions_)
        session->expire(now);
    }
  }

 public:
  [[nodiscard]] std::size_t open() const { return sessions_.size(); }

 private:
  asio::io_context& context_;
  asio::steady_timer sweep_;
  std::vector<std::shared_ptr<Acceptor>> acceptors_;
  Sessions sessions_;
  std::unordered_map<std::string, std::size_t> by_holder_;
  bool sweeping_ = false;
};

HttpServer::HttpServer(asio::io_context& context, std::vector<Route> routes, ServerLimits limits, Guard guard)
    : impl_(std::make_shared<Impl>(context, std::move(routes), limits, std::move(guard))) {}
HttpServer::~HttpServer() { stop(); }

Result<std::uint16_t> HttpServer::listen_tcp(const std::string& address, TlsContext tls) {
  const Result<tcp::endpoint> endpoint = parse_listen_address(address);
  if (endpoint.has_error()) return endpoint.error();
  if (tls) impl_->tls_ = tls;
  Result<> listening = impl_->listen(endpoint->protocol(), *endpoint, static_cast<bool>(tls), address);
  if (listening.has_error()) {
    Error error = std::move(listening).error();
    if (error.code == Code::failed_precondition) error.hint = "another process listens there; name another address";
    if (error.code == Code::invalid_argument) error.hint = "name an address that this machine has";
    if (error.code == Code::permission_denied) error.hint = "ports below 1024 are for root and CAP_NET_BIND_SERVICE";
    return error;
  }
  return impl_->last_port();
}

Result<> HttpServer::listen_unix(const std::string& path, unsigned mode) {
  if (path.size() >= sizeof(sockaddr_un::sun_path)) {
    return fail(Code::invalid_argument,
                fmt::format("socket path {} is longer than {} bytes", path, sizeof(sockaddr_un::sun_path) - 1));
  }
  if (::unlink(path.c_str()) != 0 && errno != ENOENT) {
    return fail_errno(errno, fmt::format("cannot make the socket {}, something else is there", path))
        .with_hint("move it away, or name another folder for the socket");
  }
  const asio::local::stream_protocol::endpoint endpoint(path);
  // The file appears with its mode: nobody can connect in between.
  const mode_t before = ::umask(static_cast<mode_t>(~mode & 0777U));
  Result<> listening = impl_->listen(endpoint.protocol(), endpoint, false, path);
  ::umask(before);
  if (listening.has_value()) impl_->unix_path_ = path;
  return listening;
}

void HttpServer::replace_tls(TlsContext tls) { impl_->tls_ = std::move(tls); }
void HttpServer::stop() { impl_->stop(); }

ServerCounters HttpServer::counters() const {
  ServerCounters out = impl_->shared_.counters;
  out.open = impl_->open();
  return out;
}

}  // namespace omnitide::io
