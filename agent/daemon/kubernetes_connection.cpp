#include "agent/daemon/kubernetes_connection.hpp"

#include <cstdlib>
#include <utility>

#include "agent/base/file.hpp"

namespace omnitide::daemon {

namespace asio = boost::asio;
namespace k8s = kubernetes;

namespace {

constexpr std::size_t kMostPem = std::size_t{1} << 20U;
constexpr std::chrono::seconds kLongestHold{10};

std::string environment_variable(const char* name) {
  const char* const value = std::getenv(name);  // NOLINT: read before any thread changes it
  return value == nullptr ? "" : value;
}

std::string authority_of(const k8s::Access& access) {
  if (!access.cas.text.empty()) return access.cas.text;
  const Result<std::string> text = read_file(access.cas.file, kMostPem);
  return text.has_value() ? *text : std::string();
}

}  // namespace

Result<std::unique_ptr<KubernetesConnection>> KubernetesConnection::open(asio::io_context& context,
                                                                         io::WorkerPool& pool,
                                                                         const config::KubernetesConfig& config) {
  Result<k8s::Access> access = config.kubeconfig.empty()
                                   ? k8s::in_cluster(environment_variable("KUBERNETES_SERVICE_HOST"),
                                                     environment_variable("KUBERNETES_SERVICE_PORT"))
                                   : k8s::access_of_kubeconfig(config.kubeconfig);
  if (access.has_error()) return std::move(access).error();
  return std::make_unique<KubernetesConnection>(context, pool, std::move(*access));
}

KubernetesConnection::KubernetesConnection(asio::io_context& context, io::WorkerPool& pool, k8s::Access access)
    : client_(context, pool, access),
      server_(access.server),
      cluster_(access.server + "\n" + authority_of(access)),
      timer_(context) {}

std::shared_ptr<void> KubernetesConnection::hold() {
  std::shared_ptr<void> held = held_.lock();
  if (held) return held;
  held = std::shared_ptr<void>(self_.get(), [weak = std::weak_ptr(self_)](void*) {
    const auto self = weak.lock();
    if (self && (*self)->stopping_) (*self)->close();
  });
  held_ = held;
  return held;
}

void KubernetesConnection::stop() {
  stopping_ = true;
  if (held_.expired()) return close();
  timer_.expires_after(kLongestHold);
  timer_.async_wait([this](const boost::system::error_code& error) {
    if (!error) client_.close();
  });
}

void KubernetesConnection::close() {
  timer_.cancel();
  client_.close();
}

}  // namespace omnitide::daemon
