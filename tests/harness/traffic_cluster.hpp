// A cluster with real pods and real packets: objects -> compiler -> plan -> the kernel of a node, and questions that
// are put by traffic. Each answer is held against the plan, and against the oracle (policy_world.hpp).
//
// A question is a line:
//
//   y/a -> x/a 80                            reaches it, over each family that both ends have; -x for: does not
//   y/a -> fd00::1:1 80/UDP                  one address, another protocol: TCP, UDP, SCTP, ICMP (without a port)
//   x/a -> 172.30.0.10 80 as y/a 8080        through a Service: y/a answers, and the plan is asked about it
//   192.0.2.1 as masq -> node 30080 as x/a 80   the pod sees a masqueraded source. The plan judges it, unless a pod of
//                                               this node sent it: then that pod
//
// Ends are pods, addresses, "node" (node-1, where policy is enforced), "node-2" and "masq".
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "tests/harness/enforced_node.hpp"
#include "tests/harness/policy_world.hpp"
#include "tests/harness/traffic_flow.hpp"
#include "tests/harness/traffic_network.hpp"
#include "tests/harness/traffic_probe.hpp"
#include "tests/harness/traffic_responder.hpp"

namespace omnitide::test {

using Lines = std::vector<std::string>;

// The conformance cluster on node-1, and y/far (labels pod=far, 10.1.2.9, fd01::2:9) on node-2.
[[nodiscard]] std::string real_cluster();
// A Pod on node-1, for Cluster::apply(). addresses: "10.0.1.9, fd00::1:9".
[[nodiscard]] std::string local_pod(std::string_view name_space, std::string_view name, std::string_view labels,
                                    std::string_view addresses, std::string_view spec = {},
                                    std::string_view status = "phase: Running");

class Cluster {
 public:
  Cluster(const std::string& bpffs, Topology topology);
  Cluster(const Cluster&) = delete;
  Cluster& operator=(const Cluster&) = delete;

  // In one step. Pods of this node that are new get a namespace first; what they send before the step is not judged.
  void apply(const std::string& yaml);
  void remove(policy::ObjectKey::Kind kind, std::string_view name_space, std::string_view name);
  void remove_policy(std::string_view name_space, std::string_view name) {
    remove(policy::ObjectKey::Kind::network_policy, name_space, name);
  }
  // Back to real_cluster() and no policy.
  void reset();
  // A namespace for a pod that no object speaks of yet.
  void plug(const std::string& name, const std::vector<Address>& addresses);

  // The lines that are not so, each with what happened. All are asked at once.
  [[nodiscard]] Lines wrong(const Lines& lines);
  // Every pod to every pod, both families: a line for each where packets and plan differ.
  [[nodiscard]] Lines wrong_in_matrix(const std::vector<std::string>& ports);
  // "y/a -> x/a 80": a connection that stays.
  [[nodiscard]] Flow open(const std::string& line);
  // The same line as one probe, over IPv4 where both ends have it.
  [[nodiscard]] Probe probe(const std::string& line) const;
  // Packets counted under a reason ("no_rule"), both directions, since the start.
  [[nodiscard]] std::uint64_t counted(std::string_view reason);

  void publish(const policy::PlanUpdate& update, bool whole = false);
  [[nodiscard]] policy::World& world() { return world_; }
  [[nodiscard]] EnforcedNode& node() { return node_; }
  [[nodiscard]] NodeNetwork& network() { return network_; }
  [[nodiscard]] Responder& responder() { return responder_; }

  struct End {
    std::string name;  // of the server there
    const PodNamespace* space = nullptr;
    std::vector<Address> addresses;
    bool any_source = false;  // the kernel chooses
    [[nodiscard]] const Address* of_family(bool four) const;
  };
  [[nodiscard]] End end(std::string_view text) const;

 private:
  struct Question;
  struct Asked;
  [[nodiscard]] Question read(const std::string& line) const;
  [[nodiscard]] std::optional<Asked> over(const Question& question, bool four) const;
  [[nodiscard]] Lines answers_that_are_wrong(const std::vector<Question>& questions);
  [[nodiscard]] bool plan_allows(const Asked& asked) const;
  void plug_new_pods();
  void unplug_gone_pods();
  void find_devices();

  // The process is in the node's cgroup as long as this lives: sockets of the node are judged there.
  class Membership {
   public:
    explicit Membership(std::string folder);
    Membership(const Membership&) = delete;
    Membership& operator=(const Membership&) = delete;
    ~Membership();

   private:
    std::string folder_;
  };

  NodeNetwork network_;
  EnforcedNode node_;
  Membership membership_;
  Responder responder_;
  policy::World world_;
  std::set<std::string> plugged_;
};

// Runs `body` with the one cluster of this process, as it was at first. Its topology is what the environment's
// OMNITIDE_TOPOLOGY says, "routed" without it.
void with_cluster(const std::function<void(Cluster&)>& body);

}  // namespace omnitide::test
