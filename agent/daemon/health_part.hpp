// Health on the daemon's loop: rounds of checks, the kernel's log and systemd's units become conditions and events;
// what may be done about them is decided, saved, done, and seen by the next rounds.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "agent/base/clock.hpp"
#include "agent/base/log.hpp"
#include "agent/base/root.hpp"
#include "agent/config/health_config.hpp"
#include "agent/daemon/health_history.hpp"
#include "agent/daemon/health_kernel_log.hpp"
#include "agent/daemon/health_logs.hpp"
#include "agent/daemon/health_plugins.hpp"
#include "agent/daemon/health_probes.hpp"
#include "agent/daemon/health_services.hpp"
#include "agent/daemon/health_state.hpp"
#include "agent/daemon/health_units.hpp"
#include "agent/io/worker_pool.hpp"
#include "agent/metrics/collection.hpp"
#include "agent/model/condition.hpp"
#include "agent/model/part_status.hpp"
#include "agent/model/sample_batch.hpp"
#include "health/checks/checks.hpp"
#include "health/checks/condition_store.hpp"
#include "health/checks/event_limiter.hpp"
#include "health/remediation/decider.hpp"
#include "health/remediation/quarantine.hpp"

namespace omnitide::node::v1 {
class HealthEvent;
class HealthStatus;
}  // namespace omnitide::node::v1

namespace omnitide::daemon {

class HealthPart {
 public:
  struct Place {
    std::string state_dir, boot_id;
  };
  struct Certificate {
    WallTime begins{}, ends{}, renews{};  // renews: when the agent begins to ask for the next one
  };
  struct Sources {
    std::function<std::optional<Certificate>()> certificate;  // of the registration
    // Since the registry was heard last, or since the agent's start; none where nothing is registered.
    std::function<std::optional<std::chrono::duration<double>>()> registry_silence;
    // Asks the registry for a lease of a restart of the node, and says on the loop what came of it. Empty: there is no
    // registry.
    std::function<void(std::function<void(health::Allowance)>)> ask_allowance;
    std::function<void()> on_change;                             // conditions() says something else
    std::function<void(const node::v1::HealthEvent&)> on_event;  // each line of the history; may be empty
    // The node is to take no new work because of this condition (empty: it may), `done`: it was seen to before. Empty:
    // there is no cluster that could be told.
    std::function<void(const std::string& condition, bool done)> on_quarantine;
    std::function<void(model::PartState, std::string reason)> on_state;
  };

  HealthPart(boost::asio::io_context& context, io::WorkerPool& pool, Root root, config::HealthConfig config,
             Place place, Sources sources);
  void start();
  void stop();  // saves
  // Takes over what a reload may change: the interval and what may be done. Budgets and pauses stay.
  void adjust(const config::HealthConfig& next);

  [[nodiscard]] std::vector<model::Condition> conditions() const { return store_.conditions(); }
  void fill(node::v1::HealthStatus& out) const;
  void fill_history(node::v1::HealthHistory& out) const { history_.fill(out); }
  void add_samples(model::SampleBatch& out) const;

  [[nodiscard]] Result<> pause(std::chrono::seconds time);  // 0: until resumed
  [[nodiscard]] Result<> resume();
  // What came of on_quarantine: it is done or was taken back; it is held, and why.
  void cordoned(bool done);
  void cordon_held(const std::string& reason);
  // A round of this check, or of all when it is empty.
  [[nodiscard]] boost::asio::awaitable<Result<>> run_check(std::string name);

 private:
  struct Scheduled {
    health::Check check;
    SteadyTime last{};
  };
  void load();
  void make_logs(bool same_boot);
  [[nodiscard]] std::vector<health::Finding> log_defaults() const;
  [[nodiscard]] bool keep(std::string_view otherwise);
  [[nodiscard]] Result<> save();
  void make_checks();
  void load_plugins();
  void make_probes();
  void heard(health::Finding finding, const Probe& probe);
  void forget_others();
  [[nodiscard]] std::vector<std::string> problems() const;
  void spawn(boost::asio::awaitable<void> work);
  [[nodiscard]] boost::asio::awaitable<void> rounds();
  [[nodiscard]] boost::asio::awaitable<void> round(std::vector<std::size_t> due);
  void add_own(model::SampleBatch& out);
  void settle(health::Finding finding, health::Hysteresis hysteresis, WallTime now);
  void quiet_log_conditions(WallTime now);
  void changed(const health::ConditionChange& change);
  void tell_changes();
  void heard(const LogEvent& event);
  void heard(health::Finding finding);
  void make_units(std::vector<health::RestartCount> restarts);
  void told_units(const UnitWatch::Units& units);
  void look_at_services(WallTime now);
  [[nodiscard]] std::vector<std::string> units_to_watch() const;
  void record(const std::string& kind, const std::string& subject, const std::string& outcome,
              const std::string& reason, const std::string& message, const health::Evidence& evidence = {});
  [[nodiscard]] bool locked() const;  // the lock file exists
  [[nodiscard]] health::World world() const;
  [[nodiscard]] health::Allowance allowance() const;
  void ask_allowance();
  void decide();
  [[nodiscard]] boost::asio::awaitable<void> decide_soon();
  void carry_out(const health::Decision& decision);
  void decide_quarantine();
  void start_quarantine();
  void fill_quarantine(node::v1::HealthStatus& out) const;
  [[nodiscard]] boost::asio::awaitable<void> act(health::Action action);
  void tell_state();

  boost::asio::io_context& context_;
  io::WorkerPool& pool_;
  Root root_;
  config::HealthConfig config_;
  Place place_;
  Sources sources_;
  health::ConditionStore store_;
  std::optional<health::Decider> decider_;
  std::optional<health::Quarantine> quarantine_;
  std::string cordon_held_;  // why it is not cordoned, though it is to be
  HealthHistory history_;
  std::vector<Scheduled> checks_;
  std::unique_ptr<metrics::CollectionEngine> engine_;
  std::unique_ptr<HealthKernelLog> kernel_log_;
  std::unique_ptr<HealthLogs> logs_;  // journal and files
  HealthLogs::Positions saved_positions_;
  std::vector<std::string> refused_rules_;
  std::unique_ptr<HealthServices> services_;
  std::unique_ptr<UnitWatch> units_;
  std::vector<std::string> watched_units_;
  std::unique_ptr<HealthProbes> probes_;
  boost::asio::steady_timer round_timer_, decide_timer_;
  std::uint64_t round_ = 0, saved_sequence_ = 0, acted_ = 0;
  std::chrono::duration<double> lag_{0};
  std::string units_problem_;
  std::vector<PluginFile> plugins_;
  std::vector<std::string> refused_plugins_;  // each with its fault
  health::EventLimiter plugin_events_{std::chrono::minutes(5), 30};
  health::Allowance allowance_ = health::Allowance::unknown;
  SteadyTime allowance_ends_{}, asked_{};  // when it is to be asked again
  bool asking_ = false;
  log::Throttle complaint_{std::chrono::minutes(10)};
  bool stopping_ = false, deciding_ = false, dirty_ = false, news_ = false;
};

}  // namespace omnitide::daemon
