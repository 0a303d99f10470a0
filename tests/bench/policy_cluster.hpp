// A cluster as kubectl prints it, for benchmarks: namespaces, pods and network policies in a ratio that is usual.
#pragma once

#include <string>

namespace omnitide::bench {

struct Cluster {
  unsigned pods = 1000, policies = 1000, namespaces = 20;
  unsigned local = 100;  // the first pods are on the node "here", the others on "there"
};

// Documents of YAML, each with its "---" in front. Pod i is team-(i % namespaces)/web-i, its application one of 10;
// `moved` gives it the next application.
[[nodiscard]] std::string namespace_text(const Cluster& cluster, unsigned i);
[[nodiscard]] std::string pod_text(const Cluster& cluster, unsigned i, bool moved = false);
// Every tenth isolates a namespace, every tenth lets an application out to all but private networks, the others let one
// application into another of the same or of the next namespace, by number or by name of the port.
[[nodiscard]] std::string policy_text(const Cluster& cluster, unsigned i);
[[nodiscard]] std::string pod_address(unsigned i);

[[nodiscard]] std::string whole_text(const Cluster& cluster);
// One file for each namespace, or, with `single`, one for each object. Throws when they cannot be written.
void write_files(const Cluster& cluster, const std::string& directory, bool single);
void write_text(const std::string& path, const std::string& text);
// A namespace with all that is in it; `moved_pod` of it has its next application.
[[nodiscard]] std::string team_text(const Cluster& cluster, unsigned team, unsigned moved_pod);

}  // namespace omnitide::bench
