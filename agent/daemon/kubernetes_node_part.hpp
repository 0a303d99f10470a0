// This node in its cluster, on the daemon's loop: a Lease as heartbeat, a NodeInventory with its facts, its labels. All
// of it goes when the agent is taken away for good.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "agent/base/backoff.hpp"
#include "agent/base/clock.hpp"
#include "agent/config/config.hpp"
#include "agent/daemon/kubernetes_connection.hpp"
#include "agent/kubernetes/client.hpp"
#include "agent/kubernetes/node_objects.hpp"
#include "agent/kubernetes/write_state.hpp"
#include "agent/model/node_facts.hpp"
#include "agent/model/part_status.hpp"

namespace omnitide::daemon {

class KubernetesNodePart {
 public:
  struct Sources {
    std::function<const model::NodeFacts*()> facts;  // null: not known yet
    std::function<std::string()> removal_problem;    // why a removal would not be heard of; empty: it would
    std::function<void(model::PartState, std::string)> on_state;
  };
  // `node`: the Node's name. The connection outlives this.
  KubernetesNodePart(boost::asio::io_context& context, KubernetesConnection& connection,
                     const config::KubernetesConfig& config, std::string node, Sources sources);

  void start();
  void facts_changed();
  // The agent is uninstalled (true): what it wrote is taken away, now, while it still may. Or is not after all.
  void leave(bool leave);
  // Ends; while something is being taken away, with that.
  void stop();
  // All is taken away that could be; what could not, and why.
  [[nodiscard]] bool left() const { return left_; }
  [[nodiscard]] std::string left_behind() const;

 private:
  using Answer = boost::system::result<kubernetes::Body, kubernetes::Fault>;
  struct Item {  // something that is kept in the cluster
    kubernetes::WriteState state{{}};
    std::string problem;
  };
  enum class Taken : std::uint8_t { done, not_yet };  // done: it is gone, or will not go
  enum class LabelPlace : std::uint8_t { nowhere, node, node_feature };

  [[nodiscard]] boost::asio::awaitable<void> run();
  [[nodiscard]] boost::asio::awaitable<void> sleep();
  [[nodiscard]] boost::asio::awaitable<Answer> ask(kubernetes::Request request);
  // Each one piece of work, so that a heartbeat never waits for more than that.
  [[nodiscard]] boost::asio::awaitable<void> step();
  [[nodiscard]] boost::asio::awaitable<void> find_out();
  [[nodiscard]] boost::asio::awaitable<std::optional<kubernetes::Fault>> find_self();
  [[nodiscard]] boost::asio::awaitable<std::optional<kubernetes::Fault>> find_label_place();
  [[nodiscard]] boost::asio::awaitable<std::optional<kubernetes::Fault>> count_feature_masters();
  [[nodiscard]] boost::asio::awaitable<void> beat();
  [[nodiscard]] boost::asio::awaitable<void> write_inventory();
  [[nodiscard]] boost::asio::awaitable<void> write_labels();
  [[nodiscard]] boost::asio::awaitable<void> write_feature();
  [[nodiscard]] boost::asio::awaitable<void> drop_feature();
  [[nodiscard]] boost::asio::awaitable<void> take_away();
  [[nodiscard]] boost::asio::awaitable<Taken> took_away(kubernetes::Request request, std::string_view what);
  [[nodiscard]] kubernetes::Request removal(const kubernetes::Resource& resource, const std::string& space) const;

  void settle(Item& item, const Answer& answer, std::string_view what);
  [[nodiscard]] bool hopeless(const kubernetes::Fault& fault) const;
  void want();
  void server_is_back();
  void poke();
  void report();
  [[nodiscard]] std::string problems() const;
  [[nodiscard]] std::string summary() const;
  [[nodiscard]] SteadyTime next() const;
  [[nodiscard]] bool may_write() const { return self_.has_value() && stranger_.empty(); }

  boost::asio::io_context& context_;
  KubernetesConnection& connection_;
  config::KubernetesConfig config_;
  std::string node_, space_;
  Sources sources_;
  boost::asio::steady_timer timer_;
  std::shared_ptr<void> hold_;  // while something is being taken away

  std::optional<kubernetes::OwnerNode> self_;
  std::vector<std::string> addresses_;
  std::string unbound_;   // why nothing is written to the Node itself; empty: it is
  std::string stranger_;  // why nothing is written at all
  std::string unknown_;   // why the last look at the cluster failed
  Backoff find_backoff_{std::chrono::seconds(1), std::chrono::minutes(2)};
  SteadyTime find_{};

  WallTime acquired_{};
  Backoff beat_backoff_;
  SteadyTime beat_{};
  std::string beat_problem_;

  Item inventory_, labels_, feature_;
  kubernetes::LabelMap wanted_labels_;
  std::map<std::string, std::string> conflicts_;  // label: who else owns it
  LabelPlace place_ = LabelPlace::nowhere;
  std::size_t masters_ = 0;     // of Node Feature Discovery, running
  unsigned master_missed_ = 0;  // looks in a row
  bool feature_known_ = false;  // the cluster has NodeFeature
  bool drop_feature_ = false;   // one of an earlier time may be there

  std::map<std::string, std::string, std::less<>> left_behind_;  // what could not be taken away yet, and why
  Backoff leave_backoff_{std::chrono::milliseconds(200), std::chrono::seconds(10)};
  SteadyTime leave_{};
  std::string broken_;
  bool leaving_ = false, left_ = false, stopping_ = false, poked_ = false;
  std::shared_ptr<void> return_;
};

}  // namespace omnitide::daemon
