// Keeps the node's conditions on the Node's status: each change at once, all of them every five minutes as their
// heartbeat (node-problem-detector's, pkg/exporters/k8sexporter/condition), the latest state when the API server was
// away. Types that somebody else writes are left to them, and those of kubelet are never asked for.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "agent/base/clock.hpp"
#include "agent/kubernetes/client.hpp"
#include "agent/kubernetes/node_conditions.hpp"
#include "agent/kubernetes/retry.hpp"

namespace omnitide::daemon {

class NodeConditionsWriter {
 public:
  using Source = std::function<std::vector<kubernetes::NodeCondition>(const std::vector<std::string>& written)>;
  struct Times {
    std::chrono::milliseconds first{5'000};        // after the start, when nothing changes before
    std::chrono::milliseconds pause{1'000};        // between two writes
    std::chrono::milliseconds heartbeat{300'000};  // four fifths of it to the whole, at random
    std::chrono::milliseconds abandoned{900'000};  // a type whose writer was silent so long is taken over
    std::chrono::milliseconds retry{1'000}, longest_retry{60'000};
  };
  // `source` says what is to be written; it is given the types that this run wrote. `on_change`: problem() or what is
  // written is another. `client` outlives run().
  NodeConditionsWriter(boost::asio::io_context& context, kubernetes::Client& client, std::string node, Source source,
                       std::function<void()> on_change, Times times);

  [[nodiscard]] boost::asio::awaitable<void> run();  // until stop()
  void stop();
  void changed();
  // True: takes all of them away and writes none, until it is told false.
  void leave(bool leave);
  [[nodiscard]] bool left() const { return leaving_ && clean_; }

  struct Counts {
    std::uint64_t writes = 0, failures = 0;
  };
  [[nodiscard]] const Counts& counts() const { return counts_; }
  [[nodiscard]] const std::string& problem() const { return problem_; }
  [[nodiscard]] const std::vector<std::string>& written() const { return written_; }  // types
  [[nodiscard]] const std::vector<std::string>& foreign() const { return foreign_; }  // types of others

 private:
  using Conditions = std::vector<kubernetes::NodeCondition>;
  using Fault = kubernetes::Fault;
  [[nodiscard]] boost::asio::awaitable<boost::system::result<void, Fault>> write();
  [[nodiscard]] boost::asio::awaitable<boost::system::result<void, Fault>> apply(Conditions conditions, bool force);
  [[nodiscard]] Conditions wanted() const;
  [[nodiscard]] bool learn(const Fault& fault, std::vector<std::string>& taken);
  [[nodiscard]] boost::asio::awaitable<std::vector<std::string>> abandoned(std::vector<std::string> types);
  void settle(const boost::system::result<void, Fault>& written);
  void wake(SteadyTime at);

  kubernetes::Client& client_;
  std::string node_;
  Source source_;
  std::function<void()> on_change_;
  Times times_;
  kubernetes::Retry retry_;
  boost::asio::steady_timer timer_;
  SteadyTime due_{}, last_{}, beat_{};
  std::vector<std::string> written_, foreign_;
  std::vector<std::string> not_admitted_;  // written with our prefix: the cluster does not know them as ours
  std::string problem_;
  Counts counts_;
  bool leaving_ = false, clean_ = false, stopping_ = false;
  std::shared_ptr<void> return_;
};

}  // namespace omnitide::daemon
