// The API server of the cluster on the daemon's loop: follows namespaces, pods, nodes and policies, and gives their
// changes on as text for the parser of policy. What was heard is kept on disk for a start without the server.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "agent/config/config.hpp"
#include "agent/daemon/kubernetes_journal.hpp"
#include "agent/io/worker_pool.hpp"
#include "agent/kubernetes/client.hpp"
#include "agent/kubernetes/watcher.hpp"
#include "agent/model/part_status.hpp"

namespace omnitide::daemon {

class KindFollower;
class OwnDaemonSet;

class KubernetesPart {
 public:
  struct Hooks {
    std::function<void(std::vector<PolicyText>, bool whole)> on_objects;  // see PolicyPart::add_kubernetes
    std::function<void(model::PartState, std::string)> on_state;
    std::function<void()> on_uninstall;  // the DaemonSet that runs this agent was deleted
  };
  // `state_dir` is the agent's. Everything is called on the loop.
  KubernetesPart(boost::asio::io_context& context, io::WorkerPool& pool, config::KubernetesConfig config,
                 const std::string& state_dir, Hooks hooks);
  ~KubernetesPart();
  KubernetesPart(const KubernetesPart&) = delete;
  KubernetesPart& operator=(const KubernetesPart&) = delete;

  void start();
  void stop();

 private:
  [[nodiscard]] boost::asio::awaitable<void> run();
  [[nodiscard]] boost::asio::awaitable<void> load();
  [[nodiscard]] boost::asio::awaitable<void> keep();
  [[nodiscard]] Result<kubernetes::Access> access() const;
  void follow_own_daemon_set();
  void take(PolicyText change);
  void kind_is_whole();
  void flush();
  void report();
  [[nodiscard]] bool all_known() const;

  boost::asio::io_context& context_;
  io::WorkerPool& pool_;
  config::KubernetesConfig config_;
  Hooks hooks_;
  std::shared_ptr<KubernetesJournal> journal_;
  std::string server_, journal_problem_;
  std::unique_ptr<kubernetes::Client> client_;
  std::vector<std::unique_ptr<KindFollower>> kinds_;
  std::unique_ptr<OwnDaemonSet> own_;
  std::vector<PolicyText> gathered_, unkept_;  // for the policy; for the disk
  bool flushing_ = false, keeping_ = false, told_whole_ = false, stopping_ = false;
  boost::asio::steady_timer tick_;
};

}  // namespace omnitide::daemon
