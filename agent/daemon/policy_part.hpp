// Network policy on the daemon's loop: hears of changes (the directory by inotify, devices by netlink, the registry)
// and has the engine act on them on a worker, one turn at a time. Keeps the last flows.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/steady_timer.hpp>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "agent/daemon/policy_engine.hpp"
#include "agent/io/worker_pool.hpp"

namespace omnitide::daemon {

class PolicyPart {
 public:
  // `on_change` is called on the loop after each turn.
  PolicyPart(boost::asio::io_context& context, io::WorkerPool& pool, config::PolicyConfig config, std::string node_name,
             std::function<void()> on_change, bool from_kubernetes = false);
  void start();
  void stop();
  // What the registry wants of this node. May be called before start(), and again with the same.
  void set_desired(registration::DesiredRef desired);

  // What changed at the API server; `whole`: with these, all that it has is known.
  void add_kubernetes(std::vector<PolicyText> changes, bool whole);

  [[nodiscard]] const registration::DesiredRef& desired() const { return desired_; }  // null: nothing heard yet

  [[nodiscard]] const PolicyReport& report() const { return report_; }
  [[nodiscard]] const std::string& failed() const { return failed_; }  // why the part is off for good; empty: it works
  [[nodiscard]] bool started() const { return turns_done_ > 0; }
  // Asks for counters not older than a few seconds; they are in a later report.
  void refresh_counters();

  struct Waited {
    bool enforced = false;
    std::string reason;
  };
  // Until everything that is on disk now is enforced, or the time is over.
  [[nodiscard]] boost::asio::awaitable<Waited> wait(std::chrono::milliseconds timeout);

  // Until the pod ("NAMESPACE/NAME") is judged on that device, or the time is over.
  [[nodiscard]] boost::asio::awaitable<Waited> wait_for_pod(std::string name, std::uint32_t ifindex,
                                                            std::chrono::milliseconds timeout);

  struct Flows {
    std::vector<std::shared_ptr<const NamedFlow>> items;
    std::uint64_t first = 0;  // number of items.front()
    std::uint64_t next = 0, lost = 0;
  };
  // Flows behind number `after`, at most `most`; waits for the first one.
  [[nodiscard]] boost::asio::awaitable<Flows> flows(std::uint64_t after, std::size_t most,
                                                    std::chrono::milliseconds patience);

 private:
  [[nodiscard]] boost::asio::awaitable<void> run();
  [[nodiscard]] boost::asio::awaitable<bool> one_turn();
  [[nodiscard]] boost::asio::awaitable<void> watch_directory();
  [[nodiscard]] boost::asio::awaitable<void> watch(int fd, std::function<void()> readable,
                                                   std::chrono::milliseconds pause);
  void spawn(boost::asio::awaitable<void> work);
  void want(const std::function<void(PolicyWork&)>& change);
  struct PolicyTurn {  // what of the work counts afterwards
    explicit PolicyTurn(const PolicyWork& work)
        : any(work.any()),
          retry(work.retry || work.changes_objects()),
          directory(work.directory),
          search(work.search),
          settle(work.settle) {}
    bool any, retry, directory, search, settle;
  };
  void plan_next(const PolicyTurn& done, bool published);
  void add_due(PolicyWork& work) const;
  void keep(std::vector<NamedFlow> flows);
  [[nodiscard]] Waited judge_wait() const;
  [[nodiscard]] Waited judge_pod(const std::string& name, std::uint32_t ifindex) const;

  boost::asio::io_context& context_;
  io::WorkerPool& pool_;
  config::PolicyConfig config_;
  std::function<void()> on_change_;
  std::shared_ptr<PolicyEngine> engine_;  // shared with the job that runs: it may outlive this part
  PolicyReport report_;
  PolicyWork wanted_;
  bool want_flows_ = false, stopping_ = false, opened_ = false;
  registration::DesiredRef desired_;
  std::string failed_;
  std::uint64_t turns_begun_ = 0, turns_done_ = 0;
  struct {
    std::optional<SteadyTime> retry, search, reread, settle, latest_settling;
  } due_;
  std::deque<std::shared_ptr<const NamedFlow>> flows_;
  std::uint64_t flow_number_ = 0;  // of the last one
  boost::asio::steady_timer wake_, next_;
  std::vector<std::shared_ptr<boost::asio::posix::stream_descriptor>> descriptors_;
  std::vector<std::shared_ptr<boost::asio::steady_timer>> pauses_;
};

}  // namespace omnitide::daemon
