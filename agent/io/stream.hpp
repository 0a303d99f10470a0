// A connected byte stream: TCP or unix socket, plain or TLS. TLS runs on the descriptor itself, so that an idle
// connection holds no record buffers; Asio's own ssl::stream keeps about 90 KB for each.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/asio/generic/stream_protocol.hpp>
#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "agent/base/error.hpp"
#include "agent/io/http.hpp"
#include "agent/io/tls.hpp"

namespace omnitide::io {

using StreamSocket = boost::asio::generic::stream_protocol::socket;

class Stream {
 public:
  explicit Stream(StreamSocket socket);  // connected
  ~Stream();
  Stream(Stream&&) noexcept;
  Stream& operator=(Stream&&) = delete;

  // Runs the handshake. `host` is checked against the server's certificate and sent as SNI unless it is an address.
  [[nodiscard]] boost::asio::awaitable<Result<>> accept_tls(TlsContext tls);
  // `protocol`: one that both must agree on by ALPN, as "h2"; empty: none is asked for. HTTP/1.1 is offered beside it,
  // so that a server without it ends the handshake well; that is Code::unimplemented.
  [[nodiscard]] boost::asio::awaitable<Result<>> connect_tls(TlsContext tls, const std::string& host,
                                                             std::string protocol = {});
  // At least one byte, or 0 at an orderly end (close_notify under TLS). A truncated TLS stream is data_loss.
  [[nodiscard]] boost::asio::awaitable<Result<std::size_t>> read_some(std::span<char> buffer);
  [[nodiscard]] boost::asio::awaitable<Result<>> write_all(std::string_view bytes);
  // Returns when a read would make progress; at once when bytes are buffered.
  [[nodiscard]] boost::asio::awaitable<Result<>> wait_readable();
  // Wakes whoever waits, with this error; nothing can be read or written afterwards.
  void abort(Error reason);
  // Sends close_notify as far as that does not block, and closes.
  void close();
  [[nodiscard]] bool open() const { return socket_.is_open(); }
  // After a handshake: the peer's verified certificate.
  [[nodiscard]] std::optional<Peer::Certificate> peer_certificate() const;
  [[nodiscard]] StreamSocket& socket() { return socket_; }

 private:
  struct Tls;  // the SSL object
  [[nodiscard]] boost::asio::awaitable<Result<>> wait(bool readable);
  [[nodiscard]] boost::asio::awaitable<Result<>> handshake();
  [[nodiscard]] Result<bool> tls_wants(int result, const char* what);  // true: wait for reading, false: for writing

  StreamSocket socket_;
  std::unique_ptr<Tls> tls_;
  std::unique_ptr<Error> aborted_;
};

}  // namespace omnitide::io
