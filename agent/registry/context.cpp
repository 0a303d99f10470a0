#include "agent/registry/context.hpp"

#include <algorithm>

#include "agent/base/log.hpp"
#include "agent/base/random.hpp"
#include "agent/registry/policy_repository.hpp"
#include "agent/registry/repository.hpp"

namespace omnitide::registry {

namespace {

constexpr std::size_t kNonces = 65'536, kAddresses = 65'536;
constexpr double kNoLimit = 1e9;

io::RateLimiter limiter(double rate, double burst) {
  return rate > 0 ? io::RateLimiter(rate, burst, kAddresses) : io::RateLimiter(kNoLimit, kNoLimit, kAddresses);
}

}  // namespace

Result<Snapshot> load_snapshot(Database& database) {
  Snapshot out;
  Result<std::uint64_t> version = last_resource_version(database);
  if (version.has_error()) return std::move(version).error();
  out.version = *version;
  Result<std::vector<NodeRecord>> nodes = load_nodes(database);
  if (nodes.has_error()) return std::move(nodes).error();
  out.nodes = std::move(*nodes);
  Result<std::vector<TokenRecord>> tokens = load_tokens(database);
  if (tokens.has_error()) return std::move(tokens).error();
  out.tokens = std::move(*tokens);
  Result<std::vector<OperatorRecord>> operators = load_operators(database);
  if (operators.has_error()) return std::move(operators).error();
  out.operators = std::move(*operators);
  Result<std::vector<AuthorityRecord>> authorities = load_authorities(database);
  if (authorities.has_error()) return std::move(authorities).error();
  out.authorities = std::move(*authorities);
  Result<std::vector<PolicyRecord>> policies = load_policies(database);
  if (policies.has_error()) return std::move(policies).error();
  out.policies = std::move(*policies);
  Result<std::vector<VersionRecord>> versions = load_versions(database);
  if (versions.has_error()) return std::move(versions).error();
  out.versions = std::move(*versions);
  Result<std::vector<std::pair<std::string, AppliedRecord>>> applied = load_applied(database);
  if (applied.has_error()) return std::move(applied).error();
  out.applied = std::move(*applied);
  return out;
}

Context::Context(boost::asio::io_context& io, Options opts, Database write, Database read)
    : loop(io),
      options(std::move(opts)),
      run(static_cast<std::int64_t>(random_u64() >> 1U)),
      events(io, options.event_log),
      nonces(options.nonce_lifetime, kNonces),
      strangers(limiter(options.stranger_rate, options.stranger_burst)),
      by_node(limiter(options.node_rate, options.node_burst)),
      renewals(options.renewals_per_second, options.renewals_per_second, 1),
      writer(io, std::move(write), options.write_queue),
      reader(io, std::move(read), 256, false) {}

void Context::install(Snapshot snapshot, Authorities loaded) {
  authorities = std::move(loaded);
  nodes.reset(std::move(snapshot.nodes));
  for (auto& [node_id, applied] : snapshot.applied)
    nodes.restore_applied(node_id, std::move(applied));
  desired.reset(std::move(snapshot.policies), snapshot.versions);
  tokens.clear();
  for (TokenRecord& token : snapshot.tokens)
    tokens.emplace(token.token_id, std::move(token));
  operators.clear();
  for (OperatorRecord& record : snapshot.operators)
    operators.emplace(record.serial, std::move(record));
  events.reset(snapshot.version);
}

void Context::committed(NodeRecord node, Change change) {
  events.publish({node.resource_version, change, node.node_id});
  if (change == Change::deleted) {
    nodes.erase(node.node_id);
  } else {
    nodes.put(std::move(node));
  }
}

void Context::cloned(const NodeRecord& node) {
  ++counters.clones;
  log::warning(log::Part::registry, "an identity is cloned, quarantining it until an operator decides",
               {{"node_id", node.node_id}, {"reason", node.state_reason}});
}

std::chrono::seconds Context::heartbeat_interval() const {
  const std::size_t rate = std::max<std::uint32_t>(options.heartbeats_per_second, 1);
  const std::chrono::seconds needed{static_cast<std::int64_t>((nodes.count(State::approved) + rate - 1) / rate)};
  return std::max(options.heartbeat_interval, needed);
}

}  // namespace omnitide::registry
