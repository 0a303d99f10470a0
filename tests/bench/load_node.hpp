// A node as the registry sees it: key, certificate, generation and requests. No I/O: the fleet carries the bytes.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "agent/base/backoff.hpp"
#include "agent/base/clock.hpp"
#include "agent/base/error.hpp"
#include "agent/io/crypto.hpp"
#include "tests/bench/load_connection.hpp"

namespace omnitide::bench {

// What all nodes have in common.
struct Contract {
  std::string host;              // of the Host header
  std::string token_credential;  // what a join sends
  std::string facts;             // serialised NodeFacts; each node adds its own name and revision
};
// Facts of the size that a small server has (about 4 KiB).
[[nodiscard]] std::string typical_facts();

class Node {
 public:
  enum class Step : std::uint8_t { nonce, join, put, heartbeat };
  enum class Outcome : std::uint8_t {
    go_on,       // the next step may follow at once
    reconnect,   // with the certificate that came
    registered,  // acknowledged: the next step is due after the interval
    retry,       // after a backoff; `cause` says why
    unexpected,  // an answer that no agent should get; `cause` says which
    lost,        // the registry has less than it acknowledged
  };

  [[nodiscard]] Result<> make(std::uint32_t number);
  [[nodiscard]] Step next_step() const;
  // The bytes of the request for `step`; they stay until the answer is judged.
  [[nodiscard]] Result<std::string_view> request(const Contract& contract);
  [[nodiscard]] Outcome judge(const Answer& answer, std::string& cause);
  // The facts change: a new generation.
  void change();

  [[nodiscard]] bool joined() const { return certificate_ != nullptr; }
  [[nodiscard]] const ClientCertificate& certificate() const { return certificate_; }
  [[nodiscard]] const io::PrivateKey& key() const { return key_; }
  [[nodiscard]] const std::string& node_id() const { return node_id_; }
  [[nodiscard]] std::uint64_t acknowledged() const { return acknowledged_; }
  [[nodiscard]] std::uint64_t generation() const { return generation_; }
  [[nodiscard]] std::string facts_sha256(const Contract& contract) const;
  [[nodiscard]] std::uint32_t interval_seconds() const { return interval_seconds_; }

  // The fleet's own notes.
  Connection connection;
  Backoff backoff{std::chrono::milliseconds{1'000}, std::chrono::milliseconds{300'000}};  // the agent's defaults
  Step step = Step::nonce;
  SteadyTime sent{}, deadline{SteadyTime::max()};
  std::uint32_t ticket = 0;  // of the action that is planned; an older one is void
  bool busy = false;         // a request or a connection is under way
  bool back = false;         // acknowledged since the fleet last asked

 private:
  [[nodiscard]] Result<std::string> join_body(const Contract& contract) const;
  [[nodiscard]] std::string put_body(const Contract& contract) const;
  [[nodiscard]] std::string heartbeat_body(const Contract& contract) const;
  [[nodiscard]] std::string facts(const Contract& contract) const;
  [[nodiscard]] Outcome judge_ack(const Answer& answer, std::string& cause);
  [[nodiscard]] Outcome judge_problem(const Answer& answer, std::string& cause);

  io::PrivateKey key_;
  std::string node_id_, hostname_, boot_id_, start_id_, nonce_;
  ClientCertificate certificate_;
  std::string request_;    // of every step but the heartbeat
  std::string heartbeat_;  // kept, since it is the same until the next change
  std::uint64_t generation_ = 1, acknowledged_ = 0;
  std::uint32_t interval_seconds_ = 30;
  bool send_facts_ = true;
};

}  // namespace omnitide::bench
