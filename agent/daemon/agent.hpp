// The running agent: its parts and what goes from one to the other. Inside of the room.
#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/signal_set.hpp>
#include <chrono>
#include <memory>
#include <optional>
#include <string>

#include "agent/config/load.hpp"
#include "agent/daemon/cni_part.hpp"
#include "agent/daemon/discovery_part.hpp"
#include "agent/daemon/ebpf_metrics_part.hpp"
#include "agent/daemon/health_part.hpp"
#include "agent/daemon/kubernetes_connection.hpp"
#include "agent/daemon/kubernetes_node_part.hpp"
#include "agent/daemon/kubernetes_part.hpp"
#include "agent/daemon/kubernetes_removal.hpp"
#include "agent/daemon/local_api.hpp"
#include "agent/daemon/log_levels.hpp"
#include "agent/daemon/log_sinks.hpp"
#include "agent/daemon/node_status_part.hpp"
#include "agent/daemon/notifier.hpp"
#include "agent/daemon/parts.hpp"
#include "agent/daemon/policy_part.hpp"
#include "agent/daemon/report.hpp"
#include "agent/daemon/sandboxes.hpp"
#include "agent/daemon/telemetry_part.hpp"
#include "agent/daemon/thrift.hpp"
#include "agent/daemon/web.hpp"
#include "agent/io/http_server.hpp"
#include "agent/io/worker_pool.hpp"
#include "agent/metrics/collection.hpp"
#include "agent/registration/registration.hpp"
#include "agent/registry/registry.hpp"
#include "ebpf/collectors/pod_names.hpp"

namespace omnitide::daemon {

class Agent {
 public:
  Agent(config::LoadOptions options, config::Config config, std::shared_ptr<EventRing> ring, SteadyTime started);
  // Starts every part that is enabled. An error: nothing can work (the local API cannot listen).
  [[nodiscard]] Result<> start();
  void run();  // until a signal ends it

 private:
  void start_registry();
  void start_registration();
  [[nodiscard]] bool known_to_embedded_registry() const;
  void start_discovery();
  void start_policy();
  void start_kubernetes();
  void watch_removal();
  void start_kubernetes_node();
  void uninstalled(bool gone);  // the DaemonSet that runs this agent was deleted, or is there again
  void stop_kubernetes();
  void leave_node();
  void start_node_status();
  void start_cni();
  void leave_cni();
  [[nodiscard]] boost::asio::awaitable<Result<cni::Answer>> judge_sandbox(cni::Sandbox sandbox,
                                                                          std::chrono::milliseconds timeout);
  void add_kubernetes_objects(std::vector<PolicyText> changes, bool whole);
  void policy_changed();
  void add_policy(LocalSources& sources);
  Result<> start_local_api();
  void start_web();
  void wait_for_signal();
  void reload();
  void stop(int signal_number);
  void facts_changed();
  void state_changed();
  [[nodiscard]] std::string not_ready_because() const;  // empty: ready
  [[nodiscard]] std::string state_line() const;         // for systemd
  [[nodiscard]] Snapshot snapshot();
  void start_metrics();
  void start_ebpf_metrics(std::vector<model::Collector>& collectors);
  void add_samples(model::SampleBatch& out);
  [[nodiscard]] std::string summary();
  [[nodiscard]] boost::asio::awaitable<PageView> page_view();
  void add_metrics(LocalSources& sources);
  void start_health();
  void health_changed();
  void add_health(LocalSources& sources);
  void start_telemetry();
  [[nodiscard]] TelemetryFeed::Sources telemetry_sources();
  void add_telemetry(LocalSources& sources);
  void tell_telemetry();  // of conditions and certificates
  [[nodiscard]] std::vector<std::string> collector_names() const;

  config::LoadOptions load_options_;
  config::Config config_;
  std::shared_ptr<EventRing> ring_;
  SteadyTime started_steady_;
  WallTime started_ = wall_now();
  std::string boot_id_, facts_sha256_;
  std::chrono::duration<double> ready_after_{0};
  bool ready_ = false, notified_ = false, stopping_ = false, uninstalled_ = false;

  boost::asio::io_context context_{1};
  io::WorkerPool pool_;
  boost::asio::signal_set signals_;
  Notifier notifier_;
  Thrift thrift_{context_};
  LogLevels levels_;
  Parts parts_;
  std::unique_ptr<registry::Registry> registry_;
  std::unique_ptr<registration::Registration> registration_;
  std::unique_ptr<DiscoveryPart> discovery_;
  std::unique_ptr<PolicyPart> policy_;
  std::unique_ptr<KubernetesConnection> kubernetes_connection_;
  std::unique_ptr<RemovalWatch> removal_watch_;
  std::unique_ptr<KubernetesNodePart> kubernetes_node_;
  std::unique_ptr<KubernetesPart> kubernetes_;
  std::unique_ptr<NodeStatusPart> node_status_;
  std::unique_ptr<Sandboxes> sandboxes_;
  std::unique_ptr<CniPart> cni_;
  std::shared_ptr<collectors::PodNames> pods_ = std::make_shared<collectors::PodNames>();  // of this node
  std::unique_ptr<EbpfMetricsPart> ebpf_metrics_;
  std::unique_ptr<metrics::CollectionEngine> metrics_;
  std::unique_ptr<HealthPart> health_;
  std::vector<model::Condition> stated_conditions_;  // what the registry was told
  std::unique_ptr<TelemetryPart> telemetry_;
  std::optional<WallTime> certificate_expires_;
  std::unique_ptr<io::HttpServer> local_api_;
  std::unique_ptr<Web> web_;
  std::string bootstrap_token_;  // file that the embedded registry's token was written to; removed once joined
};

}  // namespace omnitide::daemon
