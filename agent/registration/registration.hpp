// The agent's registration as a part: identity, machine and transport driven on the daemon's loop.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>
#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <string>

#include "agent/base/clock.hpp"
#include "agent/base/error.hpp"
#include "agent/registration/desired.hpp"
#include "agent/registration/machine.hpp"

namespace omnitide::io {
class WorkerPool;
}

namespace omnitide::registration {

struct Options {
  std::string state_dir, endpoint, token_file;
  std::string hostname, agent_version, boot_id;
  std::map<std::string, std::string> labels;
  std::chrono::milliseconds request_timeout{10'000}, backoff_base{1'000}, backoff_cap{300'000}, start_jitter{0};
  std::function<WallTime()> clock = wall_now;
  io::WorkerPool* pool = nullptr;  // writes the desired state there, which may be megabytes; null: on the loop
};

// What a reload may change.
struct Adjustable {
  std::string token_file;
  std::map<std::string, std::string> labels;
  std::chrono::milliseconds request_timeout{10'000}, backoff_base{1'000}, backoff_cap{300'000};
};

struct View {  // for status
  State state = State::unjoined;
  std::string reason, node_id, start_id;
  Saved saved;
  std::optional<WallTime> certificate_begins, certificate_expires, last_acknowledged;
  std::optional<WallTime> certificate_renews;  // when the agent begins to ask for the next one
  std::chrono::milliseconds next_attempt_in{0};
  std::chrono::nanoseconds certificate_time{0};  // spent on keys, certificates and handshakes so far
  std::uint64_t desired_version = 0;             // on this node; saved.desired_version is what the registry states
  std::string desired_sha256;                    // likewise
  std::string desired_problem;                   // why it is not the stated one, empty when it is or is on its way
  AppliedState applied;
};

class Registration {
 public:
  // Opens or makes the identity under state_dir. An error names what an operator has to mend.
  [[nodiscard]] static Result<std::unique_ptr<Registration>> open(boost::asio::io_context& context, Options options);
  ~Registration();
  Registration(const Registration&) = delete;
  Registration& operator=(const Registration&) = delete;

  // Runs until stop(). `on_change` is called on the loop after each exchange with the registry, so also when desired()
  // has become another one.
  [[nodiscard]] boost::asio::awaitable<void> run(std::function<void()> on_change);
  void stop();
  void adjust(const Adjustable& next);
  // Asks for a lease of a restart of this node; `done` is called once on the loop, unless stop() comes before. An
  // error: no registry has said anything. A second question replaces one that was not asked yet.
  void ask_reboot(std::function<void(Result<RebootAnswer>)> done);
  // Serialised NodeFacts or Conditions: they are hashed, and sent when they differ from what the registry has.
  void set_facts(std::string bytes);
  void set_conditions(std::string bytes);
  // The last desired state that came; from the disk at the start. Another pointer means another content.
  [[nodiscard]] DesiredRef desired() const;
  // What of it is in force. A change is reported within a second or so when the registry can be reached.
  void set_applied(AppliedState applied);
  [[nodiscard]] View view() const;
  [[nodiscard]] const std::string& node_id() const;

 private:
  class Impl;
  explicit Registration(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace omnitide::registration
