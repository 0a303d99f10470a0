// What the registry's handlers share. Lives on the loop's thread; only Writer crosses threads.
#pragma once

#include <boost/asio/io_context.hpp>
#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <set>
#include <string>
#include <utility>

#include "agent/base/error.hpp"
#include "agent/io/rate_limit.hpp"
#include "agent/registry/authority.hpp"
#include "agent/registry/desired_states.hpp"
#include "agent/registry/event_log.hpp"
#include "agent/registry/node_index.hpp"
#include "agent/registry/nonce.hpp"
#include "agent/registry/registry.hpp"
#include "agent/registry/writer.hpp"

namespace omnitide::registry {

struct ServiceCounters {
  std::uint64_t heartbeats = 0, joins = 0, renewals = 0, rejoins = 0, puts = 0, clones = 0, rate_limited = 0;
  std::uint64_t desired_fetches = 0, desired_unchanged = 0;
  std::uint64_t reboots_granted = 0, reboots_refused = 0;
  std::map<unsigned, std::uint64_t> answers;  // by status
};

// All that is read from the database when it is opened or restored.
struct Snapshot {
  std::vector<NodeRecord> nodes;
  std::vector<TokenRecord> tokens;
  std::vector<OperatorRecord> operators;
  std::vector<AuthorityRecord> authorities;
  std::vector<PolicyRecord> policies;
  std::vector<VersionRecord> versions;  // of desired state
  std::vector<std::pair<std::string, AppliedRecord>> applied;
  std::uint64_t version = 0;
};
[[nodiscard]] Result<Snapshot> load_snapshot(Database& database);

struct Context {
  using Tokens = std::map<std::string, TokenRecord, std::less<>>;
  using Operators = std::map<std::string, OperatorRecord, std::less<>>;

  Context(boost::asio::io_context& io, Options opts, Database write, Database read);

  boost::asio::io_context& loop;
  const Options options;
  const std::int64_t run;  // of this process; steady times of another run say nothing here
  Authorities authorities;
  NodeIndex nodes;
  DesiredStates desired;
  std::set<std::string, std::less<>> fetching;  // nodes that get a large desired state now
  Tokens tokens;
  Operators operators;  // by certificate serial
  EventLog events;
  Nonces nonces;
  io::RateLimiter strangers;  // by Peer::holder
  io::RateLimiter by_node;    // who shows a node's certificate has a budget of its own, whatever its neighbours do
  io::RateLimiter renewals;
  ServiceCounters counters;
  std::size_t watchers = 0;
  bool backup_running = false;
  bool stopping = false;
  std::function<void()> authorities_changed = [] {};  // the server certificate is to be issued anew
  Writer writer, reader;                              // last: their threads end before what they use

  [[nodiscard]] WallTime now() const { return options.clock(); }
  [[nodiscard]] std::string database_path() const { return options.dir + "/registry.db"; }
  // Replaces everything in memory; the authorities must have been loaded before.
  void install(Snapshot snapshot, Authorities loaded);
  // Mirrors a committed change and tells the watches.
  void committed(NodeRecord node, Change change);
  // Counts and logs an identity that was just quarantined as cloned.
  void cloned(const NodeRecord& node);
  [[nodiscard]] std::chrono::seconds heartbeat_interval() const;
};

}  // namespace omnitide::registry
