// Kubernetes' objects as plain values: only what the agent needs of them is kept.
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "agent/base/clock.hpp"
#include "agent/kubernetes/resource.hpp"

namespace omnitide::kubernetes {

using Labels = std::vector<std::pair<std::string, std::string>>;  // by key

// A UID as its 16 bytes; one of another form as the first 16 bytes of its SHA-256.
using Uid = std::array<std::uint8_t, 16>;
[[nodiscard]] Uid uid_of(std::string_view text);

struct Meta {
  Name name;
  Uid uid{};
  Labels labels;
  Labels annotations{};      // those of omnitide.io/ alone
  bool terminating = false;  // deletionTimestamp is set
};

struct Namespace {
  Meta meta;
};

struct Pod {
  struct Port {
    std::string name, protocol;  // protocol: "TCP", "UDP", "SCTP"
    std::uint16_t port = 0;
  };
  struct Container {
    std::string name, id;  // id: without its "containerd://"
  };
  Meta meta;
  Uid kubelet_uid{};                            // of a static pod: the kubelet's own, a hash; else that of `meta`
  std::string node;                             // empty: not scheduled yet
  std::vector<std::string> addresses;           // podIPs, as the API has them
  std::vector<Port> named_ports;                // ports without a name are not kept; of sidecars too
  std::vector<Container> containers;            // of a pod of another node than Decoding::own_node: not kept
  bool host_network = false, finished = false;  // finished: Succeeded or Failed
};

struct Node {
  struct Taint {
    std::string key, value, effect;
  };
  Meta meta;
  std::vector<std::pair<std::string, std::string>> addresses;  // type, address
  std::vector<std::string> pod_cidrs;
  std::vector<Taint> taints;
  bool unschedulable = false;
};

struct Selector {
  struct Requirement {
    std::string key, operation;  // "In", "NotIn", "Exists", "DoesNotExist"
    std::vector<std::string> values;
  };
  Labels labels;
  std::vector<Requirement> requirements;
};

struct NetworkPolicy {
  struct Port {
    std::string protocol;       // empty: TCP
    std::optional<int> number;  // neither number nor name: every port
    std::string name;
    std::optional<int> last;  // endPort
  };
  struct Peer {
    std::optional<Selector> pods, namespaces;
    std::string cidr;  // empty: no ipBlock
    std::vector<std::string> except;
  };
  struct Rule {
    std::vector<Port> ports;  // empty: all
    std::vector<Peer> peers;  // empty: all
  };
  Meta meta;
  Selector pods;
  std::vector<Rule> ingress, egress;
  std::vector<std::string> types;
};

struct Lease {
  Meta meta;
  std::string holder, resource_version;
  std::chrono::seconds duration{0};
  std::optional<WallTime> acquired, renewed;
  int transitions = 0;
};

struct DaemonSet {
  Meta meta;
  std::int64_t generation = 0;
};

// A custom resource: its JSON without managedFields, for the parser of its kind.
struct CustomObject {
  Meta meta;
  std::string json;
};

}  // namespace omnitide::kubernetes
