// The Node object of the cluster, as far as health has something to say of it: conditions on its status, Events about
// it.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "agent/config/config.hpp"
#include "agent/daemon/node_conditions_writer.hpp"
#include "agent/daemon/node_cordon.hpp"
#include "agent/daemon/node_events.hpp"
#include "agent/daemon/policy_events.hpp"
#include "agent/kubernetes/client.hpp"
#include "agent/model/condition.hpp"
#include "agent/model/part_status.hpp"
#include "agent/model/sample_batch.hpp"

namespace omnitide::node::v1 {
class HealthEvent;
}

namespace omnitide::daemon {

class NodeStatusPart {
 public:
  struct Sources {
    std::function<std::vector<model::Condition>()> conditions;
    std::function<void(bool)> cordoned;  // what came of want_cordon(): see HealthPart
    std::function<void(const std::string&)> cordon_held;
    std::function<void(model::PartState, std::string)> on_state;
  };
  // `client` outlives this.
  NodeStatusPart(boost::asio::io_context& context, kubernetes::Client& client, const config::Config& config,
                 Sources sources);
  void start();
  // Ends; when the node is left, not before what is on the Node is taken away, or some seconds are over: `hold` is kept
  // until then.
  void stop(std::shared_ptr<void> hold);

  void conditions_changed();
  void event(const node::v1::HealthEvent& event);
  // See HealthPart::Sources::on_quarantine.
  void want_cordon(const std::string& condition, bool done);
  void policy_faults(std::span<const policy::Fault> faults);
  // The agent is uninstalled (true), or is not after all.
  void leave(bool leave);
  // All of it is taken away.
  [[nodiscard]] bool left() const;
  void add_samples(model::SampleBatch& out) const;

 private:
  void spawn(boost::asio::awaitable<void> work);
  [[nodiscard]] boost::asio::awaitable<void> finish(std::shared_ptr<void> hold);
  void end();
  [[nodiscard]] std::string problem() const;
  void report();

  boost::asio::io_context& context_;
  kubernetes::Client& client_;
  std::string node_;
  std::uint32_t slots_;
  Sources sources_;
  std::unique_ptr<NodeConditionsWriter> conditions_;  // null: kubernetes.conditions is false
  std::unique_ptr<NodeEvents> events_;                // null: kubernetes.events is false
  std::unique_ptr<PolicyEvents> policy_;              // null: as events_
  std::unique_ptr<NodeCordon> cordon_;                // null: never asked for
  boost::asio::steady_timer wait_;
  std::string broken_;
  bool stopping_ = false, leaving_ = false;
};

[[nodiscard]] std::vector<const model::MetricDescriptor*> node_status_descriptors();

}  // namespace omnitide::daemon
