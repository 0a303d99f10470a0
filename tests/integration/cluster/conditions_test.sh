#!/usr/bin/env bash
# What health says of a node, in the cluster: conditions of the Node with their times beside kubelet's own, Events with series, a cordon
# that the fleet allows to one node; through a killed agent and an API server that is away; and nothing of it after removal. Run by run.sh.
set -uo pipefail
here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd -P)"
root="$(cd "$here/../../.." && pwd -P)"
# shellcheck source=tests/integration/checks.bash
source "$here/../checks.bash"
# shellcheck source=tests/integration/cluster/nodes.bash
source "$here/nodes.bash"
image="${1:?the image}"
: "${OMNITIDE_CLUSTER:?}" "${OMNITIDE_CLUSTER_RUN:?}" "${OMNITIDE_SHARED:?}"
space=omnitide-system
work="$(mktemp -d)"
trap 'rm -rf -- "$work"' EXIT

# The faults of this test: a file of the node that is missing. Each rule, check and slot is the site's own, laid over the local overlay.
overlay() {
  cp -r "$root/manifests/kustomize" "$root/manifests/crds" "$work/"
  mkdir "$work/kustomize/overlays/faulty"
  cat >"$work/kustomize/overlays/faulty/30-faults.yaml" <<'YAML'
health:
  interval: 2s
  checks:
  - {name: wheel, file: /var/lib/omnitide/wheel, condition: KernelDeadlock, reason: WheelIsStuck, interval: 1s, timeout: 1s, failures: 1}
  - {name: web, file: /var/lib/omnitide/web, interval: 1s, timeout: 1s, failures: 1}
  remediation: {cordon_for: [KernelDeadlock], cordon_slots: 1}
YAML
  cat >"$work/kustomize/overlays/faulty/kustomization.yaml" <<'YAML'
apiVersion: kustomize.config.k8s.io/v1beta1
kind: Kustomization
namespace: omnitide-system
sortOptions: {order: fifo}
resources: [../local]
components: [../../components/cordon]
configMapGenerator:
- {name: omnitide-agent-config, behavior: merge, files: [30-faults.yaml]}
YAML
}

node_json() { kubectl get node "node-$1" -o json; }
condition() { # NODE TYPE FIELD
  node_json "$1" | jq -re --arg type "$2" ".status.conditions[] | select(.type == \$type) | .$3"
}
is() { # NODE TYPE STATUS
  [[ "$(condition "$1" "$2" status)" == "$3" ]]
}
no_condition() { ! condition "$1" "$2" type >/dev/null; }
fault() { on_node "$1" rm -f "/var/lib/omnitide/$2"; }
mend() { on_node "$1" touch "/var/lib/omnitide/$2"; }
seconds_of() { date -ud "$1" +%s; }
older_than() { [[ $(($(date +%s) - $(seconds_of "$1"))) -ge $2 ]]; }
kubelets() { # NODE: what kubelet alone writes, without its heartbeats
  node_json "$1" | jq -S '[.status.conditions[] | select(.type as $t | ["Ready", "MemoryPressure", "DiskPressure", "PIDPressure", "NetworkUnavailable"] | index($t)) | del(.lastHeartbeatTime)]'
}
kubelets_same() { [[ "$(kubelets "$1")" == "$(cat "$work/kubelets-$1")" ]]; }
# The controllers take a node for lost that they hear nothing of for 20 s, as while the API server was away: since when its kubelet's
# conditions are so is another time then.
kubelets_said() { [[ "$(kubelets "$1" | jq -S 'map(del(.lastTransitionTime))')" == "$(jq -S 'map(del(.lastTransitionTime))' "$work/kubelets-$1")" ]]; }
managers_of_kubelets() { # NODE: whether the agent has put a hand on one of them
  ! node_json "$1" >/dev/null || kubectl get node "node-$1" -o json --show-managed-fields |
    jq -e '[.metadata.managedFields[] | select(.manager | startswith("omnitide")) | .fieldsV1["f:status"]["f:conditions"] // {} | keys[] |
      select(test("\"(Ready|MemoryPressure|DiskPressure|PIDPressure|NetworkUnavailable)\""))] == []' >/dev/null
}
node_status_on() { agent "$1" status -o json | jq -e '.parts[] | select(.name == "node-status") | .state == "PART_STATE_ON"' >/dev/null; }
events() { # NODE REASON
  kubectl get events.events.k8s.io -n default -o json | jq -e --arg node "node-$1" --arg reason "$2" '[.items[] | select(.regarding.kind == "Node" and .regarding.name == $node and .reason == $reason and .reportingController == "omnitide.io/agent")]'
}
has_event() { [[ "$(events "$1" "$2" | jq length)" -ge 1 ]]; }
has_series() { events "$1" "$2" | jq -e 'any(.series.count >= 2 and .series.lastObservedTime != null)' >/dev/null; }

set_up() {
  overlay
  check "nodes are ready" kubectl wait --for=condition=Ready node --all --timeout=60s
  for node in 1 2; do
    on_node $node mkdir -p /var/lib/omnitide
    mend $node wheel
    mend $node web
    kubelets $node >"$work/kubelets-$node"
  done
  "$OMNITIDE_CLUSTER" load "$image" >/dev/null || exit 1
  kubectl apply --server-side -f "$OMNITIDE_SHARED/crds/clusternetworkpolicies.yaml" >/dev/null
  kubectl wait --for=condition=Established crd/clusternetworkpolicies.policy.networking.k8s.io --timeout=20s >/dev/null
  kubectl apply -k "$work/kustomize/overlays/faulty" >"$work/apply" 2>&1 || not_ok "apply" "$(cat "$work/apply")"
  check "agents rolled out" kubectl -n $space rollout status ds/omnitide-agent --timeout=90s
  for node in 1 2; do
    check "node $node: what health says is written" within 20 node_status_on $node
    check "node $node: KernelDeadlock is False" within 10 is $node KernelDeadlock False
  done
}

fault_appears() {
  local began
  began=$(date +%s)
  fault 1 web
  check "a check of the site's own is a condition, with the agent's prefix" within 10 is 1 OmnitideWebUnhealthy True
  check "node 2 has it not" is 2 OmnitideWebUnhealthy False
  local since beat
  since="$(condition 1 OmnitideWebUnhealthy lastTransitionTime)"
  beat="$(condition 1 OmnitideWebUnhealthy lastHeartbeatTime)"
  check "its transition is when it was found" test $(($(seconds_of "$since") - began)) -ge 0 -a $(($(seconds_of "$since") - began)) -le 10
  check "its heartbeat is not before" test "$(seconds_of "$beat")" -ge "$(seconds_of "$since")"
  echo "$since" >"$work/since"
  check "an Event tells of it" within 10 has_event 1 "$(condition 1 OmnitideWebUnhealthy reason)"
  check "kubectl describe shows the Event" bash -c "'$OMNITIDE_CLUSTER' kubectl describe node node-1 | grep -q 'Node condition WebUnhealthy is now: True'"
}

series() {
  local reason
  reason="$(condition 1 OmnitideWebUnhealthy reason)"
  for _ in 1 2; do
    mend 1 web
    within 10 is 1 OmnitideWebUnhealthy False
    fault 1 web
    within 10 is 1 OmnitideWebUnhealthy True
  done
  check "what comes again is a series" within 20 has_series 1 "$reason"
  check "and one Event" test "$(events 1 "$reason" | jq length)" -eq 1
  condition 1 OmnitideWebUnhealthy lastTransitionTime >"$work/since"
}

killed() {
  local pid
  pid="$(agent_pid 1)"
  kill -9 "$pid"
  check "agent killed: another one runs" within 40 another_agent 1 "$pid"
  check "agent killed: it writes again" within 20 node_status_on 1
  check "agent killed: the condition is as it was" is 1 OmnitideWebUnhealthy True
  check "agent killed: since when it was" test "$(condition 1 OmnitideWebUnhealthy lastTransitionTime)" == "$(cat "$work/since")"
}
another_agent() { local now && now="$(agent_pid "$1")" && [[ $now != "$2" ]]; }

without_api() {
  local pid arguments mended
  pid="$(cat "$OMNITIDE_CLUSTER_RUN/apiserver.pid")"
  mapfile -d '' -t arguments <"/proc/$pid/cmdline"
  kill -9 "$pid"
  while [[ -e "/proc/$pid" ]]; do sleep 0.1; done
  mend 1 web
  sleep 5
  mended=$(date +%s)
  sleep 15
  nsenter --net=/run/netns/oc-cp setsid "${arguments[@]}" >>"$OMNITIDE_CLUSTER_RUN/apiserver.log" 2>&1 </dev/null &
  echo $! >"$OMNITIDE_CLUSTER_RUN/apiserver.pid"
  within 30 kubectl get --raw /readyz >/dev/null 2>&1
  check "API server back: what changed meanwhile is there" within 75 is 1 OmnitideWebUnhealthy False
  check "API server back: with the time at which it changed" test "$(seconds_of "$(condition 1 OmnitideWebUnhealthy lastTransitionTime)")" -le "$mended"
}

cordoned() { node_json "$1" | jq -e '.spec.unschedulable == true and .metadata.labels["omnitide.io/cordoned"] == "KernelDeadlock" and any(.spec.taints[]?; .key == "omnitide.io/unhealthy" and .effect == "NoSchedule")' >/dev/null; }
open_node() { node_json "$1" | jq -e '(.spec.unschedulable // false) == false and (.metadata.labels | has("omnitide.io/cordoned") | not) and all(.spec.taints[]?; .key != "omnitide.io/unhealthy")' >/dev/null; }
one_cordoned() { cordoned 1 || cordoned 2; }
holder() { kubectl -n $space get lease omnitide-slot-0 -o 'jsonpath={.spec.holderIdentity}'; }

one_slot() {
  local sick other
  fault 1 wheel
  fault 2 wheel
  for node in 1 2; do check "node $node: KernelDeadlock is True" within 10 is $node KernelDeadlock True; done
  check "one node is cordoned" within 60 one_cordoned
  sick=1 other=2
  cordoned 2 && sick=2 other=1
  check "it holds the slot" test "$(holder)" == "node-$sick"
  sleep 30
  check "the other one is not cordoned" open_node $other
  check "and says why, as an Event" within 20 has_event $other RemedyHeld
  agent $other health -o json >"$work/health"
  check "and in health" jq -e '.remedies[] | select(.steps == ["cordon"]) | .notNow | test("no more nodes")' "$work/health"
  pid="$(agent_pid $sick)"
  kill -9 "$pid"
  check "its agent killed: another one runs" within 40 another_agent $sick "$pid"
  sleep 5
  check "its agent killed: it stays cordoned" cordoned $sick
  kubectl uncordon "node-$sick" >/dev/null
  kubectl cordon "node-$other" >/dev/null
  echo "$sick" >"$work/sick"
}

policy_event() { # KIND NAME REASON
  kubectl get events.events.k8s.io -A -o json | jq -e --arg kind "$1" --arg name "$2" --arg reason "$3" \
    '[.items[] | select(.regarding.kind == $kind and .regarding.name == $name and .reason == $reason)] | length == 1' >/dev/null
}
accepted() { # KIND STATUS
  [[ "$(kubectl get "$1" bad -o json | jq -r '.status.conditions[]? | select(.type == "omnitide.io/Accepted") | .status')" == "$2" ]]
}
host_policy() { # EXCEPTION: outside of its cidr it is refused by the agents, which no schema can say
  kubectl apply -f - >/dev/null <<YAML
apiVersion: omnitide.io/v1alpha1
kind: HostPolicy
metadata: {name: bad}
spec:
  nodeSelector: {matchLabels: {no-such: node}}
  policyTypes: [Ingress]
  ingress: [{from: [{ipBlock: {cidr: 192.0.2.0/24, except: [$1]}}]}]
YAML
}
cluster_policy() { # OPERATOR: one that there is not is refused by the agents; the schema takes any text
  kubectl apply -f - >/dev/null <<YAML
apiVersion: policy.networking.k8s.io/v1alpha2
kind: ClusterNetworkPolicy
metadata: {name: bad}
spec:
  tier: Admin
  priority: 10
  subject: {namespaces: {matchExpressions: [{key: no-such, operator: $1}]}}
  ingress: [{name: none, action: Deny, from: [{namespaces: {matchLabels: {no-such: namespace}}}]}]
YAML
}
policies() {
  host_policy 198.51.100.0/25
  check "a refused HostPolicy has one Event for both nodes" within 20 policy_event HostPolicy bad PolicyRefused
  check "and is not accepted" within 10 accepted hostpolicy False
  cluster_policy Sometimes
  check "a refused ClusterNetworkPolicy has one Event for both nodes" within 20 policy_event ClusterNetworkPolicy bad PolicyRefused
  check "and is not accepted, either" within 10 accepted clusternetworkpolicy False
  kubectl apply -f - >/dev/null <<'YAML'
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: odd, namespace: default}
spec: {podSelector: {matchLabels: {no-such: pod}}, ingress: [{from: [{ipBlock: {cidr: 192.0.2.1/24}}]}]}
YAML
  check "a NetworkPolicy that means something else than it says has an Event" within 20 policy_event NetworkPolicy odd PolicyRemark
  host_policy 192.0.2.0/25
  check "mended, it is accepted" within 20 accepted hostpolicy True
  cluster_policy Exists
  check "mended, the ClusterNetworkPolicy is accepted" within 20 accepted clusternetworkpolicy True
}

kubelet_untouched() { # HOW: kubelets_same or kubelets_said
  for node in 1 2; do
    check "node $node: kubelet's conditions are as they were" within 20 "$1" $node
    check "node $node: kubelet's conditions are kubelet's" managers_of_kubelets $node
  done
}

clean() {
  node_json "$1" | jq -e '[.status.conditions[].type] - ["Ready", "MemoryPressure", "DiskPressure", "PIDPressure", "NetworkUnavailable"] == []' >/dev/null
}
removal() {
  local sick
  sick="$(cat "$work/sick")"
  kubectl delete -k "$work/kustomize/overlays/faulty" --wait=true --timeout=90s >/dev/null 2>&1
  for node in 1 2; do
    check "removed: node $node has no condition but kubelet's" within 20 clean $node
    check "removed: node $node: kubelet's conditions are as they were" kubelets_said $node
  done
  check "removed: the taint is gone" within 5 bash -c "! '$OMNITIDE_CLUSTER' kubectl get node node-$sick -o json | grep -q omnitide.io/unhealthy"
  check "removed: no label says cordoned" within 5 bash -c "! '$OMNITIDE_CLUSTER' kubectl get nodes -o json | grep -q omnitide.io/cordoned"
  check "removed: the operator's cordon stays" bash -c "'$OMNITIDE_CLUSTER' kubectl get node node-$((3 - sick)) -o json | jq -e .spec.unschedulable"
}

set_up
fault_appears
series
killed
kubelet_untouched kubelets_same
without_api
policies
one_slot
kubelet_untouched kubelets_said
removal
echo "$passed passed, $failed failed"
[[ $failed -eq 0 ]]
