#include "agent/io/connect.hpp"

#include <arpa/inet.h>
#include <netdb.h>

#include <array>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <memory>
#include <utility>

#include "agent/base/text.hpp"

namespace omnitide::io {

namespace asio = boost::asio;

namespace {

constexpr std::size_t kMostAddresses = 8;

using Addresses = std::vector<std::string>;
using AnyEndpoint = asio::generic::stream_protocol::endpoint;

Result<Addresses> ask_resolver(const std::string& host) {
  addrinfo wanted{}, *found = nullptr;
  wanted.ai_socktype = SOCK_STREAM;
  wanted.ai_flags = AI_ADDRCONFIG;
  const int problem = ::getaddrinfo(host.c_str(), nullptr, &wanted, &found);
  if (problem != 0)
    return fail(Code::unavailable, "cannot look up " + printable(host) + ": " + ::gai_strerror(problem));
  const std::unique_ptr<addrinfo, decltype(&::freeaddrinfo)> owner(found, &::freeaddrinfo);
  Addresses out;
  for (const addrinfo* each = found; each != nullptr && out.size() < kMostAddresses; each = each->ai_next) {
    std::array<char, NI_MAXHOST> text{};
    if (::getnameinfo(each->ai_addr, each->ai_addrlen, text.data(), text.size(), nullptr, 0, NI_NUMERICHOST) == 0)
      out.emplace_back(text.data());
  }
  return out;
}

}  // namespace

asio::awaitable<Result<Addresses>> NameLookup::addresses(WorkerPool& workers, std::string host,
                                                         std::chrono::milliseconds deadline) {
  boost::system::error_code no_address;
  (void)asio::ip::make_address(host, no_address);
  if (!no_address) co_return Addresses{host};
  if (host == "localhost") co_return Addresses{"127.0.0.1", "::1"};
  if (!last_.expired()) co_return fail(Code::unavailable, "the last look-up of " + printable(host) + " still hangs");
  const auto token = std::make_shared<int>();
  last_ = token;
  std::function<Result<Addresses>()> job = [host, token] { return ask_resolver(host); };
  Result<Addresses> found = co_await workers.run_for<Addresses>(job, deadline);
  if (found.has_error() && found.error().code == Code::deadline_exceeded)
    co_return fail(Code::deadline_exceeded, "looking up " + printable(host) + " took too long");
  co_return found;
}

class Connector::Impl {
 public:
  explicit Impl(asio::io_context& context) : context_(context), timer_(context) {}

  asio::awaitable<Result<StreamSocket>> any(std::vector<AnyEndpoint> endpoints, std::chrono::milliseconds timeout,
                                            std::weak_ptr<Impl> self) {
    expired_ = false;
    timer_.expires_after(timeout);
    timer_.async_wait([self](const boost::system::error_code& error) {
      const auto alive = self.lock();
      if (error || !alive) return;
      alive->expired_ = true;
      alive->end();
    });
    Result<StreamSocket> out = fail(Code::unavailable, "there is no address");
    for (const AnyEndpoint& endpoint : endpoints) {
      if (expired_ || cancelled_) break;
      out = co_await one(endpoint);
      if (out.has_value()) break;
    }
    timer_.cancel();
    if (cancelled_) co_return fail(Code::aborted, "connecting was ended");
    if (expired_ && out.has_error()) co_return fail(Code::deadline_exceeded, "connecting took too long");
    co_return out;
  }

  void cancel() {
    cancelled_ = true;
    end();
  }

 private:
  void end() {
    boost::system::error_code ignored;
    if (connecting_ != nullptr) connecting_->cancel(ignored);
  }

  asio::awaitable<Result<StreamSocket>> one(AnyEndpoint endpoint) {
    StreamSocket socket(context_);
    boost::system::error_code opened;
    socket.open(endpoint.protocol(), opened);
    if (opened) co_return fail_errno(opened.value(), "cannot make a socket");
    connecting_ = &socket;
    const auto [error] = co_await socket.async_connect(endpoint, asio::as_tuple(asio::use_awaitable));
    connecting_ = nullptr;
    if (error) {
      // That a socket's file is not there says of the server what a refusal says.
      Error failure = fail_errno(error.value(), "cannot connect");
      if (failure.code == Code::internal || failure.code == Code::not_found) failure.code = Code::unavailable;
      co_return failure;
    }
    boost::system::error_code ignored;
    if (endpoint.protocol().family() != AF_UNIX) socket.set_option(asio::ip::tcp::no_delay(true), ignored);
    co_return std::move(socket);
  }

  asio::io_context& context_;
  asio::steady_timer timer_;
  StreamSocket* connecting_ = nullptr;
  bool expired_ = false, cancelled_ = false;
};

Connector::Connector(asio::io_context& context) : impl_(std::make_shared<Impl>(context)) {}
Connector::~Connector() = default;
Connector::Connector(Connector&&) noexcept = default;
void Connector::cancel() { impl_->cancel(); }

asio::awaitable<Result<StreamSocket>> Connector::tcp(Addresses addresses, std::uint16_t port,
                                                     std::chrono::milliseconds timeout) {
  std::vector<AnyEndpoint> endpoints;
  for (const std::string& address : addresses) {
    boost::system::error_code bad;
    const auto literal = asio::ip::make_address(address, bad);
    if (!bad) endpoints.emplace_back(asio::ip::tcp::endpoint(literal, port));
  }
  return impl_->any(std::move(endpoints), timeout, impl_);
}

asio::awaitable<Result<StreamSocket>> Connector::unix_socket(std::string path, std::chrono::milliseconds timeout) {
  std::vector<AnyEndpoint> endpoints;
  constexpr std::size_t kLongest = 107;  // sun_path
  if (!path.empty() && path.size() <= kLongest) endpoints.emplace_back(asio::local::stream_protocol::endpoint(path));
  return impl_->any(std::move(endpoints), timeout, impl_);
}

}  // namespace omnitide::io
