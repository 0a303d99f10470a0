// The registration machine: joins, renews, re-joins, states facts and conditions, says that the node lives. It does no
// I/O and reads no clock: next() says what to do, accept() takes what came of it. The table of states is in
// docs/registration.md.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "agent/base/backoff.hpp"
#include "agent/base/clock.hpp"
#include "agent/base/error.hpp"
#include "agent/registration/desired.hpp"

namespace omnitide::registration {

enum class State : std::uint8_t {
  unjoined,  // no certificate and no token: waits for an operator
  joining,
  pending,      // joined, an operator has to approve
  registering,  // has a certificate; the registry has not yet acknowledged this start
  registered,
  rejoining,  // the certificate has expired
  quarantined,
  banned,
};
[[nodiscard]] std::string_view name(State state);

struct Now {
  WallTime wall;  // the system clock, as wrong as it may be
  SteadyTime steady;
  std::uint64_t random;  // fresh random bits for jitter
};

// What the machine must find again after a restart. The generation never goes back.
struct Saved {
  std::uint64_t generation = 0, acknowledged_generation = 0;
  std::string facts_sha256, conditions_sha256;
  WallTime server_time{};
  std::map<std::string, std::string> labels;
  std::uint64_t labels_version = 0, desired_version = 0;
  std::uint32_t heartbeat_interval_seconds = 0;
  std::string node_state, node_state_reason;
};

struct Validity {
  WallTime not_before{}, not_after{};
};

struct Settings {
  std::chrono::milliseconds backoff_base{1'000}, backoff_cap{300'000}, start_jitter{0};
  WallTime built{};  // lower bound of the true time
  bool has_token = false;
};

// What to do next.
enum class Verb : std::uint8_t { wait, join, renew, rejoin, put, heartbeat, fetch };
struct Step {
  Verb verb = Verb::wait;
  SteadyTime until{};  // wait: when to ask again, unless something changes before
  std::uint64_t generation = 0;
  bool with_facts = false, with_conditions = false;  // put
};

// What the registry says of a restart of the node.
enum class RebootAnswer : std::uint8_t { granted, refused };

// What came of it.
struct Joined {
  bool pending = false;
  std::optional<Validity> certificate;  // absent while pending
  WallTime server_time{};
  std::chrono::seconds poll{30};
};
struct Renewed {  // of renew and rejoin
  Validity certificate;
  WallTime server_time{};
};
struct Acknowledged {  // of put and heartbeat
  std::uint64_t generation = 0;
  std::uint32_t heartbeat_interval_seconds = 0;
  bool send_facts = false, send_conditions = false, renew_now = false;
  WallTime server_time{};
  std::uint64_t desired_version = 0, labels_version = 0;
  std::map<std::string, std::string> labels;
  std::string desired_sha256{};  // empty: the registry states no desired state
};
struct Fetched {     // the desired state
  DesiredRef state;  // null: the one that this node has is still right
};
struct Failed {
  Error error;
  std::optional<std::chrono::milliseconds> retry_after;
  std::optional<std::uint64_t> known_generation;  // the registry has a later one than was sent
  // The registry itself said so, over a connection that it proved. Only then do refusals change the node's state: a
  // local disk that is not permitted, or an alert that anybody on the way can forge, is a failure like any other.
  bool by_registry = false;
};
using Outcome = std::variant<Joined, Renewed, Acknowledged, Fetched, Failed>;

class Machine {
 public:
  Machine(Settings settings, Saved saved, std::optional<Validity> certificate, Now now);

  [[nodiscard]] Step next(Now now);
  void accept(const Step& step, const Outcome& outcome, Now now);

  // The SHA-256 of the bytes as they would be sent. A change raises the generation and asks for a PUT at once.
  void set_facts(std::string sha256);
  void set_conditions(std::string sha256);
  // The node has something else to say of itself than facts and conditions: state it again.
  void introduce_again() { introduced_ = false; }
  // The digest of the desired state that this node has, however it came by it.
  void set_held(std::string sha256) { held_sha256_ = std::move(sha256); }
  // The next heartbeat has something to tell: it goes out soon.
  void report_soon() { report_due_ = true; }
  void set_backoff(std::chrono::milliseconds base, std::chrono::milliseconds cap);
  void set_has_token(bool has_token) { settings_.has_token = has_token; }

  // True once when `saved()` has to reach the disk; ask after each call that may change it, before acting on next().
  [[nodiscard]] bool take_dirty();
  [[nodiscard]] const Saved& saved() const { return saved_; }
  [[nodiscard]] State state() const { return state_; }
  [[nodiscard]] const std::string& reason() const { return reason_; }  // why it is not registered, or the last failure
  // Lower bound of the true time: the latest of the system clock, the build and what the registry stated, the last
  // carried on by the steady clock.
  [[nodiscard]] WallTime judged(Now now) const;
  [[nodiscard]] std::optional<Validity> certificate() const { return certificate_; }
  // When the next certificate is asked for at the earliest; while that fails it stays.
  [[nodiscard]] WallTime renewal() const { return renew_at_; }
  [[nodiscard]] SteadyTime next_attempt() const { return attempt_at_; }
  // Why the stated desired state could not be fetched; empty when it is here or was not asked for yet.
  [[nodiscard]] const std::string& fetch_problem() const { return fetch_problem_; }

 private:
  void on(const Joined& joined, Now now);
  void on(const Renewed& renewed, Now now);
  void on(const Acknowledged& acknowledged, const Step& step, Now now);
  void on(const Fetched& fetched, Now now);
  void on(const Failed& failed, const Step& step, Now now);
  void back_off(const Failed& failed, Now now);
  void refused(const Failed& failed, const Step& step, Now now);
  void not_believed(const Step& step);
  void use_certificate(Validity validity, bool fresh, Now now);  // fresh: it came just now
  void learn_time(WallTime server_time, Now now);
  void enter(State state, std::string reason);
  [[nodiscard]] bool renewal_due(Now now) const;
  [[nodiscard]] bool wants_fetch() const;
  [[nodiscard]] Step between_heartbeats(Now now);
  [[nodiscard]] bool unacknowledged() const;
  [[nodiscard]] std::chrono::milliseconds interval() const;

  Settings settings_;
  Saved saved_;
  std::optional<Validity> certificate_;
  State state_ = State::unjoined;
  std::string reason_;
  Backoff backoff_, renew_backoff_, fetch_backoff_;
  SteadyTime attempt_at_{};  // the earliest next request, after a failure or between heartbeats
  SteadyTime renew_attempt_at_{}, fetch_attempt_at_{}, heard_at_{};
  WallTime renew_at_{};
  WallTime server_time_{};  // the last statement and when it came
  SteadyTime server_time_heard_{};
  std::string stated_sha256_, held_sha256_, fetch_problem_;  // of the desired state
  bool report_due_ = false;
  bool has_facts_ = false;
  unsigned trust_failures_ = 0;                        // in a row: the server could not be believed
  bool send_facts_ = false, send_conditions_ = false;  // the registry asked for them
  bool introduced_ = false;                            // this start has been acknowledged by PUT
  bool dirty_ = false;
};

}  // namespace omnitide::registration
