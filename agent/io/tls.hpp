// TLS contexts: what a side proves and whom it believes. TLS 1.3 only unless said otherwise; no 0-RTT, no tickets.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "agent/base/clock.hpp"
#include "agent/base/error.hpp"
#include "agent/io/crypto.hpp"

namespace omnitide::io {

enum class ClientAuth { none, optional, required };

struct ServerTlsOptions {
  std::vector<std::string>
      chain;  // DER, leaf first; the CA itself goes last, so that a joining agent can check its pin
  PrivateKey key;
  std::vector<std::string> client_cas;  // DER
  ClientAuth client_auth = ClientAuth::none;
  // A client's expired certificate is let through the handshake and marked in Peer, so that the answer can say what to
  // do instead of a bare TLS alert.
};

struct ClientTlsOptions {
  std::vector<std::string> trusted_cas;  // DER
  std::string
      ca_pin;  // SHA-256 of a CA's public key info; when set, that CA out of the server's chain is the only trust
  std::string certificate;  // DER, empty for none
  PrivateKey key;           // with certificate
  // Certificates are judged at this time: a lower bound of the true time. So expiry counts and "not yet valid" does
  // not. With ca_pin no time is judged: a pin holds at any clock.
  WallTime judged_at{};
};

// Why there is no TLS with an endpoint, in words that say whose fault it is: only a certificate that is refused, by
// either side, is a matter of trust.
[[nodiscard]] Error handshake_failure(Error error, const std::string& endpoint);

// Shared, immutable once made.
class TlsContext {
 public:
  TlsContext() = default;
  [[nodiscard]] static Result<TlsContext> server(const ServerTlsOptions& options);
  [[nodiscard]] static Result<TlsContext> client(const ClientTlsOptions& options);
  // For servers of any kind: the system's CAs, or those of a PEM file; TLS 1.2 and 1.3, validity by this machine's
  // clock. With a PEM chain and its key the client proves who it is, when it is asked.
  [[nodiscard]] static Result<TlsContext> client_of_cas(const std::string& ca_file, const std::string& chain_file = {},
                                                        const std::string& key_file = {});
  // For an API server: PEM texts. CAs (empty: the system's), and what this side proves, a chain with a key of any kind
  // (empty: nothing). TLS 1.2 and 1.3, validity by this machine's clock.
  [[nodiscard]] static Result<TlsContext> client_from_pem(const std::string& cas, const std::string& chain,
                                                          const std::string& key);
  // For files that a web config names: PEM chain and key of any kind, client CAs, "TLS12" or "TLS13" as the least.
  [[nodiscard]] static Result<TlsContext> server_from_pem(const std::string& chain_file, const std::string& key_file,
                                                          const std::string& client_ca_file, ClientAuth auth,
                                                          bool allow_tls12);
  [[nodiscard]] void* native() const { return context_.get(); }  // SSL_CTX*
  [[nodiscard]] explicit operator bool() const { return context_ != nullptr; }

 private:
  std::shared_ptr<void> context_;
};

}  // namespace omnitide::io
