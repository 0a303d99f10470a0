// One HTTPS connection of a played node, driven by the fleet's epoll loop. It has no coroutine, no timer and, while it
// waits, no buffer: the generator shares the machine with the registry that it measures.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "agent/base/error.hpp"
#include "agent/base/fd.hpp"
#include "agent/io/crypto.hpp"
#include "agent/io/tls.hpp"

namespace omnitide::bench {

struct Answer {
  unsigned status = 0;
  std::string_view body;  // valid until the connection is used again
  std::optional<std::uint32_t> retry_after_seconds;
  std::optional<std::uint64_t> known_generation;
  bool close = false;
};

// A certificate as OpenSSL wants it: reading it anew for each connection would be a sixth of a handshake.
using ClientCertificate = std::shared_ptr<void>;
[[nodiscard]] ClientCertificate read_certificate(std::string_view der);  // null when it is none

class Connection {
 public:
  enum class Progress : std::uint8_t {
    waiting,
    ready,     // the handshake is done
    answered,  // answer() is there
    ended,     // the registry closed it while nothing was asked
    failed,    // cause() says why
  };

  // From `source` (an IPv4 address in host order) to 127.0.0.1:port. `certificate` may be null. Adds itself to
  // `epoll` with the number given, edge-triggered, once and for all.
  [[nodiscard]] Result<> open(int epoll, std::uint32_t number, std::uint32_t source, std::uint16_t port,
                              const io::TlsContext& tls, const ClientCertificate& certificate,
                              const io::PrivateKey& key);
  // What an event brings. `scratch` is shared by all connections.
  [[nodiscard]] Progress drive(std::span<char> scratch);
  // The bytes must stay until the answer is there.
  [[nodiscard]] Progress send(std::string_view request);
  void close();

  [[nodiscard]] bool open() const { return static_cast<bool>(socket_); }
  [[nodiscard]] bool idle() const { return state_ == State::idle; }
  [[nodiscard]] const Answer& answer() const { return answer_; }
  [[nodiscard]] const std::string& cause() const { return cause_; }

 private:
  enum class State : std::uint8_t { closed, connecting, handshaking, idle, writing, reading };
  struct SslFree {
    void operator()(void* ssl) const;
  };
  [[nodiscard]] Progress failed(const char* doing, int result);
  [[nodiscard]] Progress connected(std::span<char> scratch);
  [[nodiscard]] Progress shake();
  [[nodiscard]] Progress write();
  [[nodiscard]] Progress read(std::span<char> scratch);

  UniqueFd socket_;
  std::unique_ptr<void, SslFree> ssl_;
  State state_ = State::closed;
  std::string_view out_;
  std::string partial_;  // an answer that came in pieces
  Answer answer_;
  std::string cause_;
};

}  // namespace omnitide::bench
