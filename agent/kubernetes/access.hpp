// Where the API server is and how this side proves who it is: from a pod's own files or from a kubeconfig file.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "agent/base/clock.hpp"
#include "agent/base/error.hpp"
#include "agent/io/tls.hpp"

namespace omnitide::kubernetes {

// A text, or the file that has it, which may be replaced while the agent runs.
struct Material {
  std::string text, file;
  [[nodiscard]] bool empty() const { return text.empty() && file.empty(); }
};

struct Access {
  std::string server;       // "https://host:port", with a path before every request's where a proxy wants one
  std::string server_name;  // what its certificate must name, when it is not the host
  std::string default_namespace = "default";
  Material cas;               // PEM; empty: the system's
  Material certificate, key;  // PEM; empty: none
  Material token;             // empty: none
};

inline constexpr std::string_view kServiceAccountFolder = "/var/run/secrets/kubernetes.io/serviceaccount";

// In a pod: `host` and `port` are KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT; the folder has token, ca.crt and
// namespace, of which the token and the CAs are read anew as they rotate.
[[nodiscard]] Result<Access> in_cluster(const std::string& host, const std::string& port,
                                        std::string folder = std::string(kServiceAccountFolder));

// One context of a kubeconfig file (empty: its current-context): CA, client certificate and token as data or files,
// which are relative to its own folder. Programs that give credentials (exec, auth-provider), passwords, impersonation
// and insecure-skip-tls-verify are refused by name.
[[nodiscard]] Result<Access> access_of_kubeconfig(const std::string& path, const std::string& context = {});

// What is proven, read anew as its files change. Reads files of at most a mebibyte on the calling thread.
class Credentials {
 public:
  explicit Credentials(Access access) : access_(std::move(access)) {}
  [[nodiscard]] const Access& access() const { return access_; }
  // Empty when there is none. Out of a file it is at most a minute old; `anew`: it was refused, so it is read at once.
  [[nodiscard]] Result<std::string> token(SteadyTime now, bool anew = false);
  // The same object as long as CAs, certificate and key are the same.
  [[nodiscard]] Result<io::TlsContext> tls();

 private:
  Access access_;
  std::string token_, tls_of_;
  std::optional<SteadyTime> token_read_;
  io::TlsContext tls_;
};

}  // namespace omnitide::kubernetes
