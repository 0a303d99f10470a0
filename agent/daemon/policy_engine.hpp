// Network policy from its sources to the kernel: files and the registry's documents -> store -> compiler ->
// enforcement. Everything here blocks and is called by one worker at a time; PolicyPart has the loop's side.
#pragma once

#include <chrono>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "agent/base/clock.hpp"
#include "agent/base/log.hpp"
#include "agent/config/config.hpp"
#include "agent/policy/compiler.hpp"
#include "agent/policy/directory.hpp"
#include "agent/policy/store.hpp"
#include "agent/registration/desired.hpp"
#include "ebpf/enforcement/enforcement.hpp"

namespace omnitide::daemon {

// What one object of the Kubernetes API says, as text for the parser.
struct PolicyText {
  std::string source;  // "kubernetes:Pod/shop/web-0"
  std::string text;    // empty: the object is gone
};

// What is to be done in one turn, and what others gave for it.
struct PolicyWork {
  bool directory = false, links = false, settle = false, search = false, counters = false;
  bool retry = false;                // publish again what failed
  registration::DesiredRef desired;  // what the registry wants, when it is another content; else null
  std::vector<PolicyText> kubernetes;
  bool kubernetes_whole = false;  // with these all that the API server has is known
  [[nodiscard]] bool changes_objects() const {
    return directory || desired != nullptr || !kubernetes.empty() || kubernetes_whole;
  }
  [[nodiscard]] bool any() const { return changes_objects() || links || settle || search || counters || retry; }
};

// The state after a turn. A plain value that the loop keeps.
struct PolicyReport {
  enforcement::Status enforcement;
  enforcement::Counters counters;
  SteadyTime counted;
  std::vector<policy::Fault> faults;
  std::vector<std::string> notices;  // an address that two pods claim, a device that is not found, ...
  std::size_t objects = 0;
  policy::CompilerUse use;
  policy::CompilerLimits limits;
  std::uint64_t refused = 0;           // changes that did not fit into a limit, beside enforcement.failures
  std::string failure;                 // why the last change is not in force; the policy before it holds
  registration::AppliedState applied;  // of the registry's documents, what is in force
  std::optional<WallTime> last_change;
  std::chrono::duration<double> parse{0}, compile{0}, publish{0};  // of the last change
  std::optional<std::chrono::milliseconds> again_after;            // something in the directory is not settled
};

// A verdict with the names that its numbers had when it was read.
struct NamedFlow {
  enforcement::FlowEvent event;
  WallTime time;
  std::optional<policy::ObjectKey> source, destination;
  std::optional<policy::RuleOrigin> rule;
  std::string device;
};

class PolicyEngine {
 public:
  // The node's name is that of Pod.spec.nodeName. `from_kubernetes`: nothing is published before the objects of the API
  // server are known as a whole.
  PolicyEngine(config::PolicyConfig config, std::string node_name, bool from_kubernetes);
  [[nodiscard]] Result<> open();
  // Does the work; failures are in the report.
  [[nodiscard]] PolicyReport turn(PolicyWork work);
  [[nodiscard]] std::vector<NamedFlow> flows(std::size_t most);
  [[nodiscard]] int monitor_fd() const { return enforcement_->monitor_fd(); }
  [[nodiscard]] int events_fd() const { return enforcement_->events_fd(); }

 private:
  void defer(PolicyWork& work);
  void add_deferred(PolicyWork& work);
  [[nodiscard]] policy::Changes read(PolicyWork& work);
  void compile_and_publish(const policy::Changes& changes);
  void publish(const policy::PlanUpdate& update, bool whole);
  void start_over();
  void note_sets(const policy::PlanUpdate& update, bool whole);
  void fill_report();
  void note_applied();
  [[nodiscard]] std::string may_not_start() const;  // empty: it may

  config::PolicyConfig config_;
  std::string node_name_;
  bool awaits_kubernetes_;
  PolicyWork deferred_;  // what came while nothing may be published
  std::optional<enforcement::Enforcement> enforcement_;
  std::optional<policy::Directory> directory_;
  policy::Store store_;
  std::optional<policy::Compiler> compiler_;
  std::unordered_map<policy::SetId, std::vector<std::uint32_t>> rule_origins_;  // PlanRule.origin by set and rule
  std::vector<policy::Fault> file_faults_;
  registration::DesiredRef desired_;
  PolicyReport report_;
  bool whole_next_ = true;                                // the next publication replaces everything
  bool compile_anew_ = false;                             // the compiler has not taken what the store has
  log::Throttle changes_told_{std::chrono::seconds(10)};  // a large cluster changes a hundred times a second
};

[[nodiscard]] enforcement::Options enforcement_options(const config::PolicyConfig& config);

}  // namespace omnitide::daemon
