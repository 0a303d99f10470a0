// The way to the cluster's API server that all parts of the agent share: one client, one connection.
#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <memory>
#include <string>

#include "agent/base/error.hpp"
#include "agent/config/config.hpp"
#include "agent/io/worker_pool.hpp"
#include "agent/kubernetes/client.hpp"

namespace omnitide::daemon {

class KubernetesConnection {
 public:
  // By the kubeconfig that the configuration names, or by the pod's own service account. Connects when it is first
  // used.
  [[nodiscard]] static Result<std::unique_ptr<KubernetesConnection>> open(boost::asio::io_context& context,
                                                                          io::WorkerPool& pool,
                                                                          const config::KubernetesConfig& config);
  KubernetesConnection(boost::asio::io_context& context, io::WorkerPool& pool, kubernetes::Access access);

  [[nodiscard]] kubernetes::Client& client() { return client_; }
  [[nodiscard]] const std::string& server() const { return server_; }
  // What tells one cluster from another: in pods all of them have the same address.
  [[nodiscard]] const std::string& cluster() const { return cluster_; }

  // While somebody keeps it, stop() leaves the connection open: for what is taken away at the end.
  [[nodiscard]] std::shared_ptr<void> hold();
  // Ends the connection when nobody holds it any more, and after ten seconds in any case; whoever waits gets
  // Code::aborted.
  void stop();

 private:
  void close();

  kubernetes::Client client_;
  std::string server_, cluster_;
  boost::asio::steady_timer timer_;
  std::shared_ptr<KubernetesConnection*> self_ = std::make_shared<KubernetesConnection*>(this);
  std::weak_ptr<void> held_;
  bool stopping_ = false;
};

}  // namespace omnitide::daemon
