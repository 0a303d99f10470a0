// A small cluster made of YAML: compiled, and each answer held against the oracle before a test gets it.
#pragma once

#include <string>
#include <string_view>

#include "agent/policy/compiler.hpp"
#include "agent/policy/verdict.hpp"
#include "tests/harness/policy_agreement.hpp"

namespace omnitide::policy {

// Namespaces x, y and z, labelled ns=x, ...; in each the pods a, b and c, labelled pod=a, ...: x/a has 10.0.1.1 and
// fd00::1:1, y/c has 10.0.2.3 and fd00::2:3. Each has the ports 80 and 81 of TCP, UDP and SCTP, named serve-80-tcp, ...
[[nodiscard]] std::string conformance_cluster();

// spec: the lines below `spec:`, with any indentation that they share.
[[nodiscard]] std::string network_policy(std::string_view name_space, std::string_view name, std::string_view spec);
[[nodiscard]] std::string cluster_policy(std::string_view name, std::string_view spec);
[[nodiscard]] std::string host_policy(std::string_view name, std::string_view spec);
// fields: lines below the Pod itself (metadata: with its labels is written here), e.g. "spec: {hostNetwork: true}".
[[nodiscard]] std::string pod(std::string_view name_space, std::string_view name, std::string_view labels,
                              std::string_view fields);

class World {
 public:
  explicit World(const std::string& yaml, std::string node_name = {});

  // Objects that are new or replace those of the same name. Throws what is wrong with the YAML, and what a limit
  // refuses.
  PlanUpdate apply(const std::string& yaml);
  PlanUpdate remove(ObjectKey::Kind kind, std::string_view name_space, std::string_view name);

  // Ends are "namespace/pod", meaning its first address, or addresses; `port` is "80", "80/UDP" or "ICMP". An end that
  // is no endpoint lets everything pass.
  [[nodiscard]] bool egress(std::string_view from, std::string_view to, std::string_view port = "80") const;
  [[nodiscard]] bool ingress(std::string_view from, std::string_view to, std::string_view port = "80") const;
  [[nodiscard]] bool reaches(std::string_view from, std::string_view to, std::string_view port = "80") const;
  // HostPolicy: from the peer to the host, or the other way.
  [[nodiscard]] bool host(Direction direction, std::string_view peer, std::string_view port) const;
  [[nodiscard]] Verdict verdict(Direction direction, std::string_view subject, std::string_view peer,
                                std::string_view port) const;

  [[nodiscard]] const Plan& plan() const { return plan_; }
  [[nodiscard]] const Compiler& compiler() const { return compiler_; }
  [[nodiscard]] const agreement::Objects& objects() const { return objects_; }
  [[nodiscard]] Address address(std::string_view end) const;

 private:
  PlanUpdate take(const Changes& changes);

  std::string node_name_;
  Compiler compiler_;
  Plan plan_;
  agreement::Objects objects_;
};

}  // namespace omnitide::policy
