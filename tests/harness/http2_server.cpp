#include "tests/harness/http2_server.hpp"

#include <arpa/inet.h>
#include <fcntl.h>
#include <nghttp2/nghttp2.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <algorithm>
#include <array>
#include <list>
#include <memory>
#include <stdexcept>

namespace omnitide::test {

namespace {

std::vector<nghttp2_nv> fields_of(const Http2Fields& fields) {
  std::vector<nghttp2_nv> out;
  for (const auto& [name, value] : fields)
    out.push_back({reinterpret_cast<std::uint8_t*>(const_cast<char*>(name.data())),
                   reinterpret_cast<std::uint8_t*>(const_cast<char*>(value.data())), name.size(), value.size(), 0});
  return out;
}

int choose_h2(SSL* /*ssl*/, const unsigned char** out, unsigned char* size, const unsigned char* in, unsigned in_size,
              void* /*argument*/) {
  return nghttp2_select_next_protocol(const_cast<unsigned char**>(out), size, in, in_size) == 1 ? SSL_TLSEXT_ERR_OK
                                                                                                : SSL_TLSEXT_ERR_NOACK;
}

}  // namespace

class Http2Server::Connection {
 public:
  Connection(Http2Server& server, UniqueFd fd) : server_(server), fd_(std::move(fd)) {}
  ~Connection() {
    nghttp2_session_del(session_);
    SSL_free(ssl_);
    // Closing over what was not read would reset the connection, and with it what was sent last.
    ::shutdown(fd_.get(), SHUT_WR);
    std::array<char, 4096> rest{};
    for (pollfd wait{fd_.get(), POLLIN, 0};
         ::poll(&wait, 1, 100) == 1 && ::recv(fd_.get(), rest.data(), rest.size(), 0) > 0;) {
    }
  }

  // Whether it goes on.
  bool start() {
    if (server_.tls_ != nullptr) {
      ssl_ = SSL_new(static_cast<SSL_CTX*>(server_.tls_));
      SSL_set_fd(ssl_, fd_.get());
      if (SSL_accept(ssl_) != 1) return false;
    }
    if (!server_.raw_.empty()) return put(server_.raw_);
    nghttp2_session_callbacks* callbacks = nullptr;
    nghttp2_session_callbacks_new(&callbacks);
    nghttp2_session_callbacks_set_on_header_callback(
        callbacks, [](nghttp2_session*, const nghttp2_frame* frame, const std::uint8_t* name, std::size_t name_size,
                      const std::uint8_t* value, std::size_t value_size, std::uint8_t, void* user) {
          auto& stream = static_cast<Connection*>(user)->streams_[frame->hd.stream_id];
          stream.asked.headers[{reinterpret_cast<const char*>(name), name_size}] = {
              reinterpret_cast<const char*>(value), value_size};
          return 0;
        });
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(
        callbacks,
        [](nghttp2_session*, std::uint8_t, std::int32_t id, const std::uint8_t* bytes, std::size_t size, void* user) {
          static_cast<Connection*>(user)->streams_[id].asked.body.append(reinterpret_cast<const char*>(bytes), size);
          return 0;
        });
    nghttp2_session_callbacks_set_on_frame_recv_callback(
        callbacks, [](nghttp2_session*, const nghttp2_frame* frame, void* user) {
          const bool request = frame->hd.type == NGHTTP2_HEADERS || frame->hd.type == NGHTTP2_DATA;
          if (request && (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) != 0)
            static_cast<Connection*>(user)->asked(frame->hd.stream_id);
          return 0;
        });
    nghttp2_session_callbacks_set_on_stream_close_callback(
        callbacks, [](nghttp2_session*, std::int32_t id, std::uint32_t, void* user) {
          static_cast<Connection*>(user)->streams_.erase(id);
          return 0;
        });
    nghttp2_session_server_new(&session_, callbacks, this);
    nghttp2_session_callbacks_del(callbacks);
    nghttp2_submit_settings(session_, 0, nullptr, 0);
    return flush();
  }

  // Takes what came and sends what is due; false at its end.
  bool turn(bool readable) {
    if (readable && !take()) return false;
    if (session_ == nullptr) return true;
    const auto now = std::chrono::steady_clock::now();
    for (auto& [id, stream] : streams_)
      if (stream.whole && !stream.answered && now >= stream.due) answer(id, stream);
    return flush() && (nghttp2_session_want_read(session_) != 0 || nghttp2_session_want_write(session_) != 0);
  }
  [[nodiscard]] int fd() const { return fd_.get(); }

 private:
  struct StreamState {
    Http2Asked asked;
    Http2Answer answer;
    std::size_t sent = 0;
    std::chrono::steady_clock::time_point due{};
    bool whole = false, answered = false;
  };

  void asked(std::int32_t id) {
    StreamState& stream = streams_[id];
    stream.answer = server_.handler_(stream.asked);
    stream.due = std::chrono::steady_clock::now() + stream.answer.after;
    stream.whole = true;
    server_.most_at_once_ = std::max<std::size_t>(server_.most_at_once_, streams_.size());
  }

  void answer(std::int32_t id, StreamState& stream) {
    stream.answered = true;
    if (stream.answer.silent) return;
    if (stream.answer.last) nghttp2_submit_goaway(session_, 0, id, NGHTTP2_NO_ERROR, nullptr, 0);
    if (stream.answer.reset != 0) {
      nghttp2_submit_rst_stream(session_, 0, id, stream.answer.reset);
      return;
    }
    stream.answer.headers.insert(stream.answer.headers.begin(), {":status", std::to_string(stream.answer.status)});
    std::vector<nghttp2_nv> fields = fields_of(stream.answer.headers);
    nghttp2_data_provider body{};
    body.source.ptr = &stream;
    body.read_callback = [](nghttp2_session* session, std::int32_t stream_id, std::uint8_t* out, std::size_t size,
                            std::uint32_t* flags, nghttp2_data_source* source, void*) {
      auto& state = *static_cast<StreamState*>(source->ptr);
      const std::size_t count = state.answer.body.copy(reinterpret_cast<char*>(out), size, state.sent);
      state.sent += count;
      if (state.sent < state.answer.body.size()) return static_cast<ssize_t>(count);
      if (state.answer.open) return count > 0 ? static_cast<ssize_t>(count) : ssize_t{NGHTTP2_ERR_DEFERRED};
      *flags |= NGHTTP2_DATA_FLAG_EOF;
      if (!state.answer.trailers.empty()) {
        *flags |= NGHTTP2_DATA_FLAG_NO_END_STREAM;
        const std::vector<nghttp2_nv> trailers = fields_of(state.answer.trailers);
        nghttp2_submit_trailer(session, stream_id, trailers.data(), trailers.size());
      }
      return static_cast<ssize_t>(count);
    };
    const bool empty = stream.answer.body.empty() && stream.answer.trailers.empty() && !stream.answer.open;
    nghttp2_submit_response(session_, id, fields.data(), fields.size(), empty ? nullptr : &body);
  }

  bool take() {
    std::array<char, 16384> buffer{};
    do {
      const ssize_t got = ssl_ != nullptr ? SSL_read(ssl_, buffer.data(), static_cast<int>(buffer.size()))
                                          : ::recv(fd_.get(), buffer.data(), buffer.size(), 0);
      if (got <= 0) return false;
      if (session_ == nullptr) continue;
      if (nghttp2_session_mem_recv(session_, reinterpret_cast<std::uint8_t*>(buffer.data()),
                                   static_cast<std::size_t>(got)) < 0)
        return false;
    } while (ssl_ != nullptr && SSL_pending(ssl_) > 0);
    return true;
  }
  bool flush() {
    const std::uint8_t* bytes = nullptr;
    for (ssize_t size = 0; (size = nghttp2_session_mem_send(session_, &bytes)) > 0;)
      if (!put({reinterpret_cast<const char*>(bytes), static_cast<std::size_t>(size)})) return false;
    return true;
  }
  bool put(std::string_view bytes) {
    while (!bytes.empty()) {
      const ssize_t done = ssl_ != nullptr ? SSL_write(ssl_, bytes.data(), static_cast<int>(bytes.size()))
                                           : ::send(fd_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (done <= 0) return false;
      bytes.remove_prefix(static_cast<std::size_t>(done));
    }
    return true;
  }

  Http2Server& server_;
  UniqueFd fd_;
  SSL* ssl_ = nullptr;
  nghttp2_session* session_ = nullptr;
  std::map<std::int32_t, StreamState> streams_;
};

Http2Server::Http2Server(Handler handler, std::string unix_path, void* tls, std::string raw)
    : handler_(std::move(handler)), unix_path_(std::move(unix_path)), raw_(std::move(raw)), tls_(tls) {
  if (tls_ != nullptr) SSL_CTX_set_alpn_select_cb(static_cast<SSL_CTX*>(tls_), choose_h2, nullptr);
  int bound = -1;
  if (unix_path_.empty()) {
    listener_.reset(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    bound = ::bind(listener_.get(), reinterpret_cast<sockaddr*>(&address), sizeof(address));
    socklen_t size = sizeof(address);
    ::getsockname(listener_.get(), reinterpret_cast<sockaddr*>(&address), &size);
    port_ = ntohs(address.sin_port);
  } else {
    listener_.reset(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    unix_path_.copy(address.sun_path, sizeof(address.sun_path) - 1);
    bound = ::bind(listener_.get(), reinterpret_cast<sockaddr*>(&address), sizeof(address));
  }
  if (bound != 0 || ::listen(listener_.get(), 16) != 0) throw std::runtime_error("cannot listen");
  thread_ = std::thread([this] { serve(); });
}

Http2Server::~Http2Server() {
  stopping_ = true;
  thread_.join();
}

std::string Http2Server::address() const {
  return unix_path_.empty() ? "127.0.0.1:" + std::to_string(port_) : "unix:" + unix_path_;
}

void Http2Server::serve() {
  std::list<std::unique_ptr<Connection>> open;
  while (!stopping_) {
    std::vector<pollfd> wait{{listener_.get(), POLLIN, 0}};
    for (const auto& each : open)
      wait.push_back({each->fd(), POLLIN, 0});
    if (::poll(wait.data(), wait.size(), 5) < 0) continue;
    std::size_t at = 1;
    for (auto each = open.begin(); each != open.end(); ++at)
      each = (*each)->turn(wait[at].revents != 0) ? std::next(each) : open.erase(each);
    if (wait[0].revents == 0) continue;
    UniqueFd fd(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC));
    if (!fd) continue;
    ++connections_;
    auto fresh = std::make_unique<Connection>(*this, std::move(fd));
    if (fresh->start()) open.push_back(std::move(fresh));
  }
}

}  // namespace omnitide::test
