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

#include "agent/base/clock.hpp"
#include "agent/daemon/kubernetes_connection.hpp"
#include "agent/daemon/kubernetes_journal.hpp"
#include "agent/io/worker_pool.hpp"
#include "agent/kubernetes/watcher.hpp"
#include "agent/model/part_status.hpp"
#include "ebpf/collectors/pod_names.hpp"

namespace omnitide::daemon {

class KindFollower;

class KubernetesPart {
 public:
  struct Hooks {
    // See PolicyPart::add_kubernetes. Empty: there is no policy here, and the node's own pods alone are followed.
    std::function<void(std::vector<PolicyText>, bool whole)> on_objects;
    std::function<void(model::PartState, std::string)> on_state;
  };
  struct Own {
    std::string node;                            // as Pod.spec.nodeName has it
    std::shared_ptr<collectors::PodNames> pods;  // gets the names of the node's pods
  };
  // `state_dir` is the agent's. The connection outlives this; what runs on it ends with it. Everything is called on the
  // loop.
  KubernetesPart(boost::asio::io_context& context, io::WorkerPool& pool, KubernetesConnection& connection, Own own,
                 const std::string& state_dir, Hooks hooks);
  ~KubernetesPart();
  KubernetesPart(const KubernetesPart&) = delete;
  KubernetesPart& operator=(const KubernetesPart&) = delete;

  void start();
  void stop();
  // What policy was told, by source, as text for its parser: of the disk, and what came since. failed_precondition: it
  // was told nothing yet.
  [[nodiscard]] boost::asio::awaitable<Result<PolicyTexts>> objects();

 private:
  void spawn(boost::asio::awaitable<void> work);
  [[nodiscard]] boost::asio::awaitable<void> run();
  [[nodiscard]] boost::asio::awaitable<void> load();
  [[nodiscard]] boost::asio::awaitable<void> keep();
  void take(PolicyText change);
  void publish();
  void publish_when_known();
  void flush();
  void report();
  [[nodiscard]] std::string problem() const;
  [[nodiscard]] bool all_known() const;

  boost::asio::io_context& context_;
  io::WorkerPool& pool_;
  KubernetesConnection& connection_;
  Own own_;
  Hooks hooks_;
  std::shared_ptr<KubernetesJournal> journal_;
  std::string journal_problem_, broken_;
  std::vector<std::unique_ptr<KindFollower>> kinds_;
  // The last word about each object: what policy was not told yet (before the first whole state: all of them), and what
  // is not on the disk.
  PolicyTexts untold_, unkept_;
  SteadyTime began_{};
  bool loaded_ = false;    // untold_ began with a whole state of an earlier start
  bool told_ = false;      // policy has a whole state
  bool replaced_ = false;  // the file has one of this start, or needs none
  bool flushing_ = false, stopping_ = false;
  bool keeping_ = false;
  boost::asio::steady_timer tick_;
};

}  // namespace omnitide::daemon
