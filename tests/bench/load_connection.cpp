#include "tests/bench/load_connection.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstring>

#include "agent/base/text.hpp"

namespace omnitide::bench {

namespace {

sockaddr_in address_of(std::uint32_t address, std::uint16_t port) {
  sockaddr_in out{};
  out.sin_family = AF_INET;
  out.sin_addr.s_addr = htonl(address);
  out.sin_port = htons(port);
  return out;
}

bool is_field(std::string_view line, std::string_view name) {
  return line.size() > name.size() && ::strncasecmp(line.data(), name.data(), name.size()) == 0;
}

enum class Parsed : std::uint8_t { incomplete, whole, malformed };

// An answer of the registry: always with Content-Length, never chunked on a node's routes.
Parsed parse(std::string_view bytes, Answer& out) {
  const std::size_t end = bytes.find("\r\n\r\n");
  if (end == std::string_view::npos) return bytes.size() > 16384 ? Parsed::malformed : Parsed::incomplete;
  if (!bytes.starts_with("HTTP/1.1 ") || end < 12) return Parsed::malformed;
  out = Answer{};
  out.status = parse_number<unsigned>(bytes.substr(9, 3)).value_or(0);
  std::optional<std::size_t> length;
  std::string_view lines = bytes.substr(0, end);
  for (std::size_t at = lines.find("\r\n"); at != std::string_view::npos; at = lines.find("\r\n")) {
    lines.remove_prefix(at + 2);
    const std::string_view line = lines.substr(0, lines.find("\r\n"));
    const std::size_t colon = line.find(':');
    if (colon == std::string_view::npos) return Parsed::malformed;
    const std::string_view value = trim(line.substr(colon + 1));
    if (is_field(line, "content-length:")) length = parse_number<std::size_t>(value);
    if (is_field(line, "retry-after:")) out.retry_after_seconds = parse_number<std::uint32_t>(value);
    if (is_field(line, "omnitide-generation:")) out.known_generation = parse_number<std::uint64_t>(value);
    if (is_field(line, "connection:")) out.close = value == "close";
  }
  if (!length || out.status == 0) return Parsed::malformed;
  if (bytes.size() < end + 4 + *length) return Parsed::incomplete;
  if (bytes.size() > end + 4 + *length) return Parsed::malformed;
  out.body = bytes.substr(end + 4);
  return Parsed::whole;
}

SSL* ssl_of(void* owned) { return static_cast<SSL*>(owned); }

}  // namespace

ClientCertificate read_certificate(std::string_view der) {
  const auto* at = reinterpret_cast<const unsigned char*>(der.data());
  X509* read = d2i_X509(nullptr, &at, static_cast<long>(der.size()));
  ERR_clear_error();
  if (read == nullptr) return {};
  return {read, [](void* owned) { X509_free(static_cast<X509*>(owned)); }};
}

void Connection::SslFree::operator()(void* ssl) const { SSL_free(ssl_of(ssl)); }

Result<> Connection::open(int epoll, std::uint32_t number, std::uint32_t source, std::uint16_t port,
                          const io::TlsContext& tls, const ClientCertificate& certificate, const io::PrivateKey& key) {
  close();
  socket_.reset(::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!socket_) return fail_errno(errno, "socket");
  const int on = 1;
  ::setsockopt(socket_.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  ::setsockopt(socket_.get(), IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof on);
  const sockaddr_in from = address_of(source, 0), to = address_of(INADDR_LOOPBACK, port);
  if (::bind(socket_.get(), reinterpret_cast<const sockaddr*>(&from), sizeof from) != 0) {
    return fail_errno(errno, "bind");
  }
  if (::connect(socket_.get(), reinterpret_cast<const sockaddr*>(&to), sizeof to) != 0 && errno != EINPROGRESS) {
    return fail(Code::unavailable, std::string("connect: ") + std::strerror(errno));
  }
  ssl_.reset(SSL_new(static_cast<SSL_CTX*>(tls.native())));
  SSL* ssl = ssl_of(ssl_.get());
  if (ssl == nullptr) return fail(Code::resource_exhausted, "SSL_new");
  SSL_set_fd(ssl, socket_.get());
  SSL_set_read_ahead(ssl, 1);  // one system call a record instead of two
  SSL_set_connect_state(ssl);
  X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), "127.0.0.1");
  if (certificate) {
    if (SSL_use_certificate(ssl, static_cast<X509*>(certificate.get())) != 1 ||
        SSL_use_PrivateKey(ssl, static_cast<EVP_PKEY*>(key.native())) != 1) {
      return fail(Code::internal, "the certificate that the registry issued does not serve");
    }
  }
  epoll_event event{};
  event.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET;
  event.data.u32 = number;
  if (::epoll_ctl(epoll, EPOLL_CTL_ADD, socket_.get(), &event) != 0) return fail_errno(errno, "epoll_ctl");
  state_ = State::connecting;
  return {};
}

void Connection::close() {
  if (ssl_ && (state_ == State::idle || state_ == State::reading)) {
    ERR_clear_error();
    SSL_shutdown(ssl_of(ssl_.get()));
    ERR_clear_error();
  }
  ssl_.reset();
  socket_.reset();
  partial_ = {};
  state_ = State::closed;
}

Connection::Progress Connection::failed(const char* doing, int result) {
  const int saved = errno;
  const int kind = SSL_get_error(ssl_of(ssl_.get()), result);
  if (kind == SSL_ERROR_WANT_READ || kind == SSL_ERROR_WANT_WRITE) return Progress::waiting;
  const unsigned long code = ERR_peek_error();
  if (kind == SSL_ERROR_ZERO_RETURN || ERR_GET_REASON(code) == SSL_R_UNEXPECTED_EOF_WHILE_READING) {
    cause_ = std::string(doing) + ": ended by the registry";
  } else if (kind == SSL_ERROR_SYSCALL && saved != 0) {
    cause_ = std::string(doing) + ": " + std::strerror(saved);
  } else {
    const char* reason = ERR_reason_error_string(code);
    cause_ = std::string(doing) + ": " + (reason != nullptr ? reason : "unknown TLS error");
  }
  ERR_clear_error();
  const bool quiet_end = state_ == State::idle;
  state_ = State::closed;
  return quiet_end ? Progress::ended : Progress::failed;
}

Connection::Progress Connection::connected(std::span<char> scratch) {
  int problem = 0;
  socklen_t size = sizeof problem;
  ::getsockopt(socket_.get(), SOL_SOCKET, SO_ERROR, &problem, &size);
  if (problem != 0) {
    cause_ = std::string("connect: ") + std::strerror(problem);
    state_ = State::closed;
    return Progress::failed;
  }
  state_ = State::handshaking;
  return drive(scratch);
}

Connection::Progress Connection::shake() {
  const int done = SSL_do_handshake(ssl_of(ssl_.get()));
  if (done != 1) return failed("TLS handshake", done);
  state_ = State::idle;
  return Progress::ready;
}

Connection::Progress Connection::send(std::string_view request) {
  out_ = request;
  state_ = State::writing;
  ERR_clear_error();
  return write();
}

Connection::Progress Connection::write() {
  while (!out_.empty()) {
    std::size_t wrote = 0;
    errno = 0;
    const int done = SSL_write_ex(ssl_of(ssl_.get()), out_.data(), out_.size(), &wrote);
    if (done != 1) return failed("request", done);
    out_.remove_prefix(wrote);
  }
  state_ = State::reading;
  return Progress::waiting;
}

Connection::Progress Connection::read(std::span<char> scratch) {
  while (true) {
    std::size_t got = 0;
    errno = 0;
    const int done = SSL_read_ex(ssl_of(ssl_.get()), scratch.data(), scratch.size(), &got);
    if (done != 1) return failed(state_ == State::idle ? "idle" : "answer", done);
    std::string_view bytes(scratch.data(), got);
    if (state_ == State::idle) {
      cause_ = "idle: the registry spoke unasked";
      return Progress::failed;
    }
    if (!partial_.empty()) {
      partial_ += bytes;
      bytes = partial_;
    }
    const Parsed parsed = parse(bytes, answer_);
    if (parsed == Parsed::malformed) {
      cause_ = "answer: not HTTP";
      return Progress::failed;
    }
    if (parsed == Parsed::whole) {
      if (!partial_.empty()) {  // the body must outlive the pieces
        std::memcpy(scratch.data(), answer_.body.data(), std::min(answer_.body.size(), scratch.size()));
        answer_.body = {scratch.data(), std::min(answer_.body.size(), scratch.size())};
        partial_ = {};
      }
      state_ = State::idle;
      return Progress::answered;
    }
    if (partial_.empty()) partial_ = bytes;
  }
}

Connection::Progress Connection::drive(std::span<char> scratch) {
  ERR_clear_error();
  errno = 0;
  switch (state_) {
    case State::closed: return Progress::waiting;
    case State::connecting: return connected(scratch);
    case State::handshaking: return shake();
    case State::writing: {
      // The edge of an early answer may be this one.
      const Progress wrote = write();
      return state_ == State::reading ? read(scratch) : wrote;
    }
    case State::idle:
    case State::reading: return read(scratch);
  }
  return Progress::waiting;
}

}  // namespace omnitide::bench
