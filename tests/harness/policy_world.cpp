#include "tests/harness/policy_world.hpp"

#include <fmt/format.h>

#include <stdexcept>

#include "agent/base/text.hpp"
#include "agent/policy/parse.hpp"
#include "tests/harness/policy_oracle.hpp"

namespace omnitide::policy {

namespace {

struct Target {
  Protocol protocol = Protocol::tcp;
  std::uint16_t port = 0;
};

Target target(std::string_view text) {
  if (text == "ICMP") return {.protocol = Protocol::icmp, .port = 0};
  const std::vector<std::string_view> parts = split(text, '/');
  const std::string_view name = parts.size() > 1 ? parts[1] : "TCP";
  const Protocol protocol = name == "UDP" ? Protocol::udp : name == "SCTP" ? Protocol::sctp : Protocol::tcp;
  return {.protocol = protocol, .port = parse_number<std::uint16_t>(parts[0]).value()};
}

// The lines with the indentation that YAML needs below a key of the top level.
std::string indented(std::string_view lines) {
  std::string out;
  std::size_t shared = std::string_view::npos;
  for (const std::string_view line : split(lines, '\n')) {
    if (!trim(line).empty()) shared = std::min(shared, line.find_first_not_of(' '));
  }
  for (const std::string_view line : split(lines, '\n')) {
    if (!trim(line).empty()) out += fmt::format("  {}\n", line.substr(shared));
  }
  return out;
}

std::string document(std::string_view version, std::string_view kind, std::string_view metadata,
                     std::string_view spec) {
  return fmt::format("---\napiVersion: {}\nkind: {}\nmetadata: {{{}}}\nspec:\n{}", version, kind, metadata,
                     indented(spec));
}

}  // namespace

std::string conformance_cluster() {
  std::string out;
  int space = 0;
  for (const char* name_space : {"x", "y", "z"}) {
    ++space;
    out += fmt::format("---\napiVersion: v1\nkind: Namespace\nmetadata: {{name: \"{0}\", labels: {{ns: \"{0}\"}}}}\n",
                       name_space);
    int number = 0;
    for (const char* name : {"a", "b", "c"}) {
      ++number;
      std::string ports;
      for (const char* protocol : {"tcp", "udp", "sctp"}) {
        for (const int port : {80, 81}) {
          ports += fmt::format("    - {{name: serve-{}-{}, containerPort: {}, protocol: {}}}\n", port, protocol, port,
                               protocol[0] == 't'   ? "TCP"
                               : protocol[0] == 'u' ? "UDP"
                                                    : "SCTP");
        }
      }
      out += pod(name_space, name, fmt::format("pod: {}", name),
                 fmt::format("spec:\n  containers:\n  - name: cont\n    ports:\n{}"
                             "status:\n  phase: Running\n  podIPs: [{{ip: 10.0.{}.{}}}, {{ip: \"fd00::{}:{}\"}}]\n",
                             ports, space, number, space, number));
    }
  }
  return out;
}

std::string pod(std::string_view name_space, std::string_view name, std::string_view labels, std::string_view fields) {
  return fmt::format("---\napiVersion: v1\nkind: Pod\nmetadata: {{namespace: \"{}\", name: {}, labels: {{{}}}}}\n{}\n",
                     name_space, name, labels, fields);
}

std::string network_policy(std::string_view name_space, std::string_view name, std::string_view spec) {
  return document("networking.k8s.io/v1", "NetworkPolicy", fmt::format("namespace: \"{}\", name: {}", name_space, name),
                  spec);
}

std::string cluster_policy(std::string_view name, std::string_view spec) {
  return document("policy.networking.k8s.io/v1alpha2", "ClusterNetworkPolicy", fmt::format("name: {}", name), spec);
}

std::string host_policy(std::string_view name, std::string_view spec) {
  return document("omnitide.io/v1alpha1", "HostPolicy", fmt::format("name: {}", name), spec);
}

World::World(const std::string& yaml, std::string node_name)
    : node_name_(std::move(node_name)), compiler_({.node_name = node_name_}) {
  apply(yaml);
}

PlanUpdate World::apply(const std::string& yaml) {
  const Parsed parsed = parse(yaml, "world.yaml");
  for (const Fault& fault : parsed.faults) {
    if (!fault.applied) throw std::invalid_argument(fault.text());
  }
  Changes changes;
  for (const Object& object : parsed.objects) {
    changes.upserts.push_back(std::make_shared<const Object>(object));
    objects_.insert_or_assign(key_of(object), changes.upserts.back());
  }
  return take(changes);
}

PlanUpdate World::remove(ObjectKey::Kind kind, std::string_view name_space, std::string_view name) {
  const ObjectKey key{.kind = kind, .name_space = std::string(name_space), .name = std::string(name)};
  if (objects_.erase(key) == 0) throw std::invalid_argument("there is no " + describe(key));
  return take({.upserts = {}, .removals = {key}, .relocated = {}});
}

PlanUpdate World::take(const Changes& changes) {
  Result<PlanUpdate> update = compiler_.apply(changes);
  if (update.has_error()) throw std::runtime_error(update.error().text());
  plan_.apply(*update);
  if (const auto problem = agreement::disagreement(plan_, objects_, node_name_, 1, 30))
    throw std::logic_error(*problem);
  return std::move(*update);
}

Address World::address(std::string_view end) const {
  if (const auto literal = parse_address(end)) return *literal;
  const std::vector<std::string_view> parts = split(end, '/');
  const auto found = objects_.find(
      {.kind = ObjectKey::Kind::pod, .name_space = std::string(parts.at(0)), .name = std::string(parts.at(1))});
  if (found == objects_.end()) throw std::invalid_argument("there is no pod " + std::string(end));
  return std::get<Pod>(*found->second).addresses.at(0);
}

Verdict World::verdict(Direction direction, std::string_view subject, std::string_view peer,
                       std::string_view port) const {
  const Target asked = target(port);
  const PlanEndpoint* endpoint =
      parse_address(subject) ? plan_.endpoint_at(address(subject)) : plan_.endpoint(std::string(subject));
  if (endpoint == nullptr) return {};
  const Verdict out =
      plan_.judge(*endpoint, direction, address(peer), static_cast<std::uint8_t>(asked.protocol), asked.port);
  const oracle::Oracle truth(agreement::list(objects_), node_name_);
  const oracle::Packet packet{.peer = address(peer), .protocol = asked.protocol, .port = asked.port};
  const bool ingress = direction == Direction::ingress;
  bool expected = false;
  if (endpoint->kind == EndpointKind::host) {
    expected = truth.host_allows(ingress, packet);
  } else {
    const auto& subject_pod = std::get<Pod>(*objects_.at(*compiler_.holder(endpoint->addresses.front())));
    expected = ingress ? truth.allows_ingress(subject_pod, packet) : truth.allows_egress(subject_pod, packet);
  }
  if (out.allowed != expected) throw std::logic_error("the oracle says otherwise about " + std::string(subject));
  return out;
}

bool World::egress(std::string_view from, std::string_view to, std::string_view port) const {
  return verdict(Direction::egress, from, to, port).allowed;
}

bool World::ingress(std::string_view from, std::string_view to, std::string_view port) const {
  return verdict(Direction::ingress, to, from, port).allowed;
}

bool World::reaches(std::string_view from, std::string_view to, std::string_view port) const {
  return egress(from, to, port) && ingress(from, to, port);
}

bool World::host(Direction direction, std::string_view peer, std::string_view port) const {
  return verdict(direction, "host", peer, port).allowed;
}

}  // namespace omnitide::policy
