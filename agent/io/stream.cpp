#include "agent/io/stream.hpp"

#include <sys/socket.h>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/ip/address.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <cerrno>
#include <climits>
#include <utility>

#include "agent/base/text.hpp"
#include "agent/io/openssl.hpp"

namespace omnitide::io {

namespace asio = boost::asio;
using namespace openssl;

struct Stream::Tls {
  Session ssl;
  TlsContext context;  // keeps the SSL_CTX and what hangs on it
};

Stream::Stream(StreamSocket socket) : socket_(std::move(socket)) {
  boost::system::error_code ignored;
  socket_.non_blocking(true, ignored);
}
Stream::~Stream() = default;
Stream::Stream(Stream&&) noexcept = default;

asio::awaitable<Result<>> Stream::wait(bool readable) {
  if (aborted_) co_return *aborted_;
  const auto what = readable ? StreamSocket::wait_read : StreamSocket::wait_write;
  const auto [problem] = co_await socket_.async_wait(what, asio::as_tuple(asio::use_awaitable));
  if (aborted_) co_return *aborted_;
  if (problem) co_return fail(Code::unavailable, "connection ended: " + problem.message());
  co_return Result<>{};
}

Result<bool> Stream::tls_wants(int result, const char* what) {
  const int saved = errno;
  const int kind = SSL_get_error(tls_->ssl.get(), result);
  if (kind == SSL_ERROR_WANT_READ) return true;
  if (kind == SSL_ERROR_WANT_WRITE) return false;
  if (kind == SSL_ERROR_SYSCALL && saved != 0) {
    ERR_clear_error();
    return fail_errno(saved, what);
  }
  const long verified = SSL_get_verify_result(tls_->ssl.get());
  const unsigned long code = ERR_peek_error();
  const int reason = ERR_GET_REASON(code);
  if (reason == SSL_R_UNEXPECTED_EOF_WHILE_READING || code == 0) {
    ERR_clear_error();
    return fail(Code::data_loss, std::string(what) + ": the peer ended the TLS stream without saying so");
  }
  if (reason == SSL_R_CERTIFICATE_VERIFY_FAILED && verified != X509_V_OK) {
    ERR_clear_error();
    return fail(Code::unauthenticated,
                std::string(what) + ": certificate refused: " + X509_verify_cert_error_string(verified));
  }
  const bool alert = ERR_GET_LIB(code) == ERR_LIB_SSL && reason >= SSL_AD_REASON_OFFSET;
  return failed(what, alert ? Code::unauthenticated : Code::unavailable);
}

asio::awaitable<Result<>> Stream::handshake() {
  while (true) {
    ERR_clear_error();
    errno = 0;
    const int done = SSL_do_handshake(tls_->ssl.get());
    if (done == 1) co_return Result<>{};
    const Result<bool> wants = tls_wants(done, "TLS handshake");
    if (wants.has_error()) co_return wants.error();
    if (Result<> waited = co_await wait(*wants); waited.has_error()) co_return waited;
  }
}

asio::awaitable<Result<>> Stream::accept_tls(TlsContext tls) {
  tls_ = std::make_unique<Tls>(Tls{Session(SSL_new(static_cast<SSL_CTX*>(tls.native()))), tls});
  if (!tls_->ssl) co_return failed("cannot start TLS", Code::resource_exhausted);
  SSL_set_fd(tls_->ssl.get(), socket_.native_handle());
  SSL_set_read_ahead(tls_->ssl.get(), 1);  // one system call a record instead of two
  SSL_set_accept_state(tls_->ssl.get());
  co_return co_await handshake();
}

asio::awaitable<Result<>> Stream::connect_tls(TlsContext tls, const std::string& host, std::string protocol) {
  tls_ = std::make_unique<Tls>(Tls{Session(SSL_new(static_cast<SSL_CTX*>(tls.native()))), tls});
  if (!tls_->ssl) co_return failed("cannot start TLS", Code::resource_exhausted);
  SSL* ssl = tls_->ssl.get();
  SSL_set_fd(ssl, socket_.native_handle());
  SSL_set_read_ahead(ssl, 1);
  SSL_set_connect_state(ssl);
  boost::system::error_code not_address;
  (void)asio::ip::make_address(host, not_address);
  if (not_address) {
    SSL_set_tlsext_host_name(ssl, host.c_str());
    SSL_set1_host(ssl, host.c_str());
  } else {
    X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), host.c_str());
  }
  if (protocol.empty()) co_return co_await handshake();
  const std::string offered = static_cast<char>(protocol.size()) + protocol + "\x08http/1.1";
  SSL_set_alpn_protos(ssl, bytes(offered), static_cast<unsigned>(offered.size()));
  if (Result<> shaken = co_await handshake(); shaken.has_error()) co_return shaken;
  const unsigned char* chosen = nullptr;
  unsigned size = 0;
  SSL_get0_alpn_selected(ssl, &chosen, &size);
  if (std::string_view(reinterpret_cast<const char*>(chosen), size) != protocol)
    co_return fail(Code::unimplemented, "the server does not speak " + protocol);
  co_return Result<>();
}

asio::awaitable<Result<std::size_t>> Stream::read_some(std::span<char> buffer) {
  while (true) {
    if (aborted_) co_return *aborted_;
    bool readable = true;
    errno = 0;
    if (tls_) {
      std::size_t got = 0;
      ERR_clear_error();
      const int done = SSL_read_ex(tls_->ssl.get(), buffer.data(), buffer.size(), &got);
      if (done == 1) co_return got;
      if (SSL_get_error(tls_->ssl.get(), done) == SSL_ERROR_ZERO_RETURN) co_return std::size_t{0};
      const Result<bool> wants = tls_wants(done, "read");
      if (wants.has_error()) co_return wants.error();
      readable = *wants;
    } else {
      const ssize_t got = ::recv(socket_.native_handle(), buffer.data(), buffer.size(), 0);
      if (got >= 0) co_return static_cast<std::size_t>(got);
      if (errno == EINTR) continue;
      if (errno != EAGAIN) co_return fail_errno(errno, "read");
    }
    if (Result<> waited = co_await wait(readable); waited.has_error()) co_return std::move(waited).error();
  }
}

asio::awaitable<Result<>> Stream::write_all(std::string_view bytes) {
  while (!bytes.empty()) {
    if (aborted_) co_return *aborted_;
    bool readable = false;
    errno = 0;
    if (tls_) {
      std::size_t wrote = 0;
      ERR_clear_error();
      const int done = SSL_write_ex(tls_->ssl.get(), bytes.data(), bytes.size(), &wrote);
      if (done == 1) {
        bytes.remove_prefix(wrote);
        continue;
      }
      const Result<bool> wants = tls_wants(done, "write");
      if (wants.has_error()) co_return wants.error();
      readable = *wants;
    } else {
      const ssize_t wrote = ::send(socket_.native_handle(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (wrote >= 0) {
        bytes.remove_prefix(static_cast<std::size_t>(wrote));
        continue;
      }
      if (errno == EINTR) continue;
      if (errno != EAGAIN) co_return fail_errno(errno, "write");
    }
    if (Result<> waited = co_await wait(readable); waited.has_error()) co_return waited;
  }
  co_return Result<>{};
}

asio::awaitable<Result<>> Stream::wait_readable() {
  if (tls_ && SSL_has_pending(tls_->ssl.get()) == 1) co_return Result<>{};
  co_return co_await wait(true);
}

void Stream::abort(Error reason) {
  if (!aborted_) aborted_ = std::make_unique<Error>(std::move(reason));
  boost::system::error_code ignored;
  if (socket_.is_open()) socket_.cancel(ignored);
}

void Stream::close() {
  if (!socket_.is_open()) return;
  if (tls_ && !aborted_ && SSL_is_init_finished(tls_->ssl.get()) == 1) {
    ERR_clear_error();
    SSL_shutdown(tls_->ssl.get());
    ERR_clear_error();
  }
  boost::system::error_code ignored;
  socket_.close(ignored);
}

std::optional<Peer::Certificate> Stream::peer_certificate() const {
  if (!tls_) return std::nullopt;
  X509* certificate = SSL_get0_peer_certificate(tls_->ssl.get());
  if (certificate == nullptr || SSL_get_verify_result(tls_->ssl.get()) != X509_V_OK) return std::nullopt;
  CertificateInfo info = describe(certificate);
  return Peer::Certificate{.common_name = std::move(info.common_name),
                           .organizational_unit = std::move(info.organizational_unit),
                           .serial = std::move(info.serial),
                           .not_after = info.not_after,
                           .der_sha256 = sha256(encode_der(i2d_X509, certificate))};
}

}  // namespace omnitide::io
