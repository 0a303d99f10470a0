// All played nodes on one epoll loop, on one thread.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <queue>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "agent/base/clock.hpp"
#include "agent/base/error.hpp"
#include "agent/base/fd.hpp"
#include "agent/io/tls.hpp"
#include "tests/bench/load_latencies.hpp"
#include "tests/bench/load_node.hpp"

namespace omnitide::bench {

struct FleetCounters {
  std::uint64_t heartbeats = 0, puts = 0, connections = 0;
  std::uint64_t lost = 0, unexpected = 0;
  std::map<std::string, std::uint64_t> retries;  // by cause; at most kCauses of them
  std::vector<std::string> complaints;           // of lost and unexpected, the first few
};

class Fleet {
 public:
  // Nodes send from 127.1.0.1 onwards, each from an address of its own.
  Fleet(std::uint16_t port, io::TlsContext pinned, io::TlsContext mutual, Contract contract)
      : port_(port), pinned_(std::move(pinned)), mutual_(std::move(mutual)), contract_(std::move(contract)) {}

  [[nodiscard]] Result<> make_nodes(unsigned count);
  // Runs until `done` is true (asked after each batch of events); false when `limit` came first.
  bool run_until(const std::function<bool()>& done, std::chrono::milliseconds limit);
  void run_for(std::chrono::milliseconds time);

  // At most `parallel` nodes join at once; the next begins when one is registered.
  void begin_joins(unsigned parallel);
  // So many nodes change their facts now; they PUT at once.
  void change(unsigned count);
  // Such a part of the heartbeats is preceded by a change.
  void set_change_rate(double part) { change_rate_ = part; }
  // Each node asks again as soon as it has its answer.
  void set_closed_loop(bool on);
  // back() counts the nodes that were acknowledged since the joins began or the last forget_back().
  void forget_back();
  void close_all();

  [[nodiscard]] std::size_t back() const { return back_; }
  [[nodiscard]] std::size_t connected() const;
  [[nodiscard]] const std::deque<Node>& nodes() const { return nodes_; }
  [[nodiscard]] const Contract& contract() const { return contract_; }
  [[nodiscard]] FleetCounters& counters() { return counters_; }
  // Latencies of heartbeats from write to parsed answer, since the last call.
  Latencies take_latencies() { return std::exchange(latencies_, {}); }
  // How late the loop itself was with what was due, since the last call.
  Latencies take_lags() { return std::exchange(lags_, {}); }

 private:
  struct Action {
    SteadyTime due;
    std::uint32_t node, ticket;
    bool operator>(const Action& other) const { return due > other.due; }
  };
  void plan(std::uint32_t number, SteadyTime due);
  void begin(std::uint32_t number);
  void ask(std::uint32_t number);
  void on_progress(std::uint32_t number, Connection::Progress progress);
  void on_answer(std::uint32_t number);
  void on_registered(std::uint32_t number);
  void back_off(std::uint32_t number, const std::string& cause, std::chrono::milliseconds more);
  void complain(std::uint32_t number, const std::string& cause);
  void fire_due();
  void sweep();
  void join_next();

  std::uint16_t port_;
  io::TlsContext pinned_, mutual_;
  Contract contract_;
  UniqueFd epoll_;
  std::deque<Node> nodes_;
  std::priority_queue<Action, std::vector<Action>, std::greater<>> actions_;
  std::vector<char> scratch_ = std::vector<char>(64U << 10U);
  std::mt19937_64 random_{20'260'131};
  SteadyTime now_ = std::chrono::steady_clock::now(), next_sweep_{};
  FleetCounters counters_;
  Latencies latencies_, lags_;
  std::size_t back_ = 0;
  std::uint32_t next_join_ = 0;
  double change_rate_ = 0;
  bool closed_loop_ = false;
};

}  // namespace omnitide::bench
