#!/usr/bin/env bash
# The image and both kinds of manifests on a real cluster: each brings an agent up on every node that sees its node and not its
# container, and takes it away again without a trace. Arguments: the image of ./dev image, and helm. Run by run.sh.
set -uo pipefail
here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd -P)"
root="$(cd "$here/../../.." && pwd -P)"
# shellcheck source=tests/integration/checks.bash
source "$here/../checks.bash"
# shellcheck source=tests/integration/cluster/nodes.bash
source "$here/nodes.bash"
image="${1:?the image}" helm="${2:-}"
: "${OMNITIDE_CLUSTER:?}" "${OMNITIDE_CLUSTER_RUN:?}"
space=omnitide-system
new_pods=(--set policy=enforce --set cni.enabled=true --set cni.confDir=/etc/cni/net.d --set cni.binDir=/opt/cni/bin)
work="$(mktemp -d)"
trap 'rm -rf -- "$work"' EXIT

scrape() { on_node "$1" curl -sf "${@:2}" http://127.0.0.1:9797/metrics; }
rolled_out() { kubectl -n $space rollout status ds/omnitide-agent --timeout=90s >"$work/rollout" 2>&1; }

explain() {
  kubectl -n $space get pods -o wide
  kubectl -n $space describe pods | tail -n 40
  kubectl -n $space logs ds/omnitide-agent --tail=30
}

same() { [[ "$1" == "$2" ]] || { echo "$1 is not $2" >&2 && return 1; }; }

# What an agent in a pod knows of its node.
node_is_seen() {
  local node=$1 size
  agent "$node" status -o json >"$work/status"
  check "node $node: the agent is ready" jq -e .ready "$work/status"
  check "node $node: it knows the Node's name" same "$(agent "$node" config show -o json | jq -r '.items[] | select(.key == "node.name") | .value')" "node-$node"
  for part in discovery metrics ebpf-metrics health; do
    check "node $node: $part is on" jq -e ".parts[] | select(.name == \"$part\") | .state == \"PART_STATE_ON\"" "$work/status"
  done
  agent "$node" discover -o json >"$work/facts"
  check "node $node: the node's own interface is a fact" \
    grep -q "172\.30\.0\.$((10 + node))" "$work/facts"
  scrape "$node" >"$work/metrics"
  check "node $node: counters of the node's interface" grep -q '^node_network_receive_bytes_total{device="eth0"}' "$work/metrics"
  size="$(on_node "$node" stat -f -c '%b %S' / | awk '{ printf "%.0f", $1 * $2 }')"
  check "node $node: the node's root filesystem has the node's size" \
    same "$(awk '/^node_filesystem_size_bytes.*mountpoint="\/"/ { printf "%.0f", $NF }' "$work/metrics")" "$size"
  check "node $node: run-queue latency by eBPF, by cgroup" grep -q '^omnitide_scheduler_wait_seconds_bucket{.*cgroup="' "$work/metrics"
  check "node $node: cgroups of the node, not of the container alone" grep -qE 'cgroup="/?(system.slice|k8s.io|kubepods)' "$work/metrics"
}

# Of a process in the pod: three capabilities, none to gain, a root that takes nothing.
is_confined() {
  local node=$1 pid
  pid="$(agent_pid "$node")"
  check "node $node: its capabilities are BPF, PERFMON and NET_ADMIN" same "$(awk '$1 == "CapBnd:" { print $2 }' "/proc/$pid/status")" 000000c000001000
  check "node $node: it can gain none" same "$(awk '$1 == "NoNewPrivs:" { print $2 }' "/proc/$pid/status")" 1
  check "node $node: seccomp filters it" same "$(awk '$1 == "Seccomp:" { print $2 }' "/proc/$pid/status")" 2
  check "node $node: its root is read-only" grep -qE '^[0-9]+ [0-9]+ [0-9:]+ \S+ / ro[, ]' "/proc/$pid/mountinfo"
}

no_agent() { [[ -z "$(kubectl get pods -A -l app.kubernetes.io/name=omnitide-agent -o name)" ]] && ! pgrep -f '^/usr/bin/omnitide-agent run' >/dev/null; }
no_object() { [[ -z "$(kubectl get ds,sa,cm,secret,lease,clusterrole,clusterrolebinding,validatingadmissionpolicy,validatingadmissionpolicybinding -A -l app.kubernetes.io/part-of=omnitide -o name)" ]]; }
# Debian's bpftool knows no tcx: what is attached by it shows as a program that is loaded.
no_program() { local shown && shown="$(bpftool prog show)" && ! grep -q 'name policy_' <<<"$shown"; }

# Of labels, conditions and taints, on any Node; and no object of a kind that is deleted with its definition.
nothing_on_nodes() { no_words && no_inventory; }
no_words() {
  local said
  said="$(conditions_of 1 && conditions_of 2 && kubectl get nodes -o json | jq -r '.items[] |
    (.metadata.labels | keys[] | select(test("omnitide.io/|^feature.node.kubernetes.io/"))), (.spec.taints[]?.key | select(test("omnitide.io/")))')" || return 1
  [[ -z $said ]] || { echo "$said" >&2 && return 1; }
}
no_inventory() { [[ -z "$(kubectl get nodeinventories -o name 2>/dev/null)" ]]; }
labelled() { kubectl get node "node-$1" -o json | jq -e '[.metadata.labels | keys[] | select(test("omnitide.io/"))] | length > 0' >/dev/null; }
with_conditions() { [[ -n "$(conditions_of "$1")" ]]; }
wrote() { # HOW
  for node in 1 2; do
    check "$1: node $node has labels of the agent" within 20 labelled $node
    check "$1: node $node has conditions of the agent" within 20 with_conditions $node
  done
}

is_gone() {
  check "$1: no agent is left" within 60 no_agent
  check "$1: no object is left" within 30 no_object
  check "$1: no program of policy is loaded" within 10 no_program
  check "$1: no Node has a label, a condition, a taint or a NodeInventory" nothing_on_nodes
  for node in 1 2; do
    check "$1: node $node: no pin is left" no_pin "$node"
    check "$1: node $node: the runtime's network configuration is as it was" no_entry "$node"
  done
}

with_kustomize() {
  local before
  kubectl apply -k "$root/manifests/kustomize/overlays/local" >/dev/null || not_ok "apply -k"
  if rolled_out; then ok "kustomize: rolled out"; else not_ok "kustomize: rolled out" "$(cat "$work/rollout")"; explain; fi
  for node in 1 2; do
    node_is_seen "$node"
    is_confined "$node"
  done
  before="$(on_node 1 find /var/lib/omnitide -type f | sort)"
  kubectl -n $space rollout restart ds/omnitide-agent >/dev/null
  check "kustomize: a roll-out ends" rolled_out
  check "kustomize: omnitide-cni is chained" within 20 has_entry 1
  wrote kustomize
  check "kustomize: state outlives the pod" same "$(on_node 1 find /var/lib/omnitide -type f | sort)" "$before"
  check "kustomize: delete" kubectl delete -k "$root/manifests/kustomize/overlays/local" --wait=true --timeout=90s
  is_gone kustomize
}

# /metrics on the node's address, for who has the token.
with_metrics() {
  local token=4f1d7c5e9a2b
  cp -r "$root/manifests/kustomize" "$root/manifests/crds" "$work/"
  sed -i 's|^images:|components: [../../components/metrics]\nimages:|' "$work/kustomize/overlays/local/kustomization.yaml"
  kubectl create namespace $space >/dev/null
  kubectl -n $space create secret generic omnitide-agent-metrics --from-literal=token=$token >/dev/null
  kubectl apply -k "$work/kustomize/overlays/local" >/dev/null 2>&1
  if rolled_out; then ok "metrics: rolled out"; else not_ok "metrics: rolled out" "$(cat "$work/rollout")"; explain; fi
  check "metrics: from another node with the token" \
    on_node 2 curl -sf -o /dev/null -H "Authorization: Bearer $token" http://172.30.0.11:9797/metrics
  check "metrics: refused without it" same "$(on_node 2 curl -s -o /dev/null -w '%{http_code}' http://172.30.0.11:9797/metrics)" 401
  kubectl delete -k "$work/kustomize/overlays/local" --wait=true --timeout=90s >/dev/null
  is_gone metrics
}

with_helm() {
  export KUBECONFIG="$OMNITIDE_CLUSTER_RUN/admin.conf"
  kubectl create namespace $space >/dev/null
  kubectl label namespace $space pod-security.kubernetes.io/enforce=privileged >/dev/null
  local options=(--namespace "$space" --values "$root/manifests/helm/omnitide-agent/values-k3s.yaml" --set host.mountPropagation=None "${new_pods[@]}")
  check "helm: the chart is a good one" "$helm" lint --quiet "$root/manifests/helm/omnitide-agent"
  check "helm: install" "$helm" install omnitide-agent "$root/manifests/helm/omnitide-agent" "${options[@]}" --wait --timeout 90s
  node_is_seen 1
  check "helm: omnitide-cni is chained" within 20 has_entry 1
  check "helm: its test passes" "$helm" test omnitide-agent --namespace $space
  check "helm: read-only to its depth is refused where later mounts are followed" bash -c "! '$helm' template x '$root/manifests/helm/omnitide-agent' --set host.recursiveReadOnly=IfPossible 2>/dev/null"
  check "helm: a value that is none is refused" bash -c "! '$helm' template x '$root/manifests/helm/omnitide-agent' --set metrics.port=abc 2>/dev/null"
  same_objects
  check "helm: upgrade with a configuration" "$helm" upgrade omnitide-agent "$root/manifests/helm/omnitide-agent" "${options[@]}" \
    --set config.log.level=debug --wait --timeout 90s
  check "helm: the configuration arrived" same "$(agent 1 config show -o json | jq -r '.items[] | select(.key == "log.level") | .value')" debug
  wrote helm
  check "helm: uninstall" "$helm" uninstall omnitide-agent --namespace $space --wait --timeout 90s
  kubectl delete namespace $space --wait=true --timeout=60s >/dev/null
  is_gone helm
}

# The chart with the local values renders what the local overlay has, but for what each kind of delivery adds of its own.
same_objects() {
  local strip='[.[] | if .items then .items[] else . end | select(.kind | test("^(DaemonSet|(Cluster)?Role(Binding)?|ValidatingAdmissionPolicy(Binding)?)$")) |
    select(.metadata.annotations["helm.sh/hook"] == null) | {kind, name: .metadata.name, rules, roleRef, subjects, spec: (.spec // {} | del(.template.metadata.annotations["checksum/config"]) |
      del(.template.spec.volumes[]? | select(.name == "config")))}] | sort_by(.kind, .name)'
  "$helm" template omnitide-agent "$root/manifests/helm/omnitide-agent" --namespace $space --values "$root/manifests/helm/omnitide-agent/values-k3s.yaml" \
    --set host.mountPropagation=None "${new_pods[@]}" --set-json 'extraEnv=[{"name":"OMNITIDE_POLICY_MODE","value":"enforce"}]' | kubectl create --dry-run=client -o json -f - | jq -S -s "$strip" >"$work/helm.json"
  kubectl kustomize "$root/manifests/kustomize/overlays/local" | kubectl create --dry-run=client -o json -f - | jq -S -s "$strip" >"$work/kustomize.json"
  check "helm and kustomize: the same DaemonSet, rights and policies of admission" diff "$work/kustomize.json" "$work/helm.json"
  check "helm and kustomize: none of them was missed" jq -e 'length >= 11' "$work/helm.json"
}

"$OMNITIDE_CLUSTER" load "$image" >/dev/null || { echo "the image cannot be imported" >&2 && exit 1; }
with_kustomize
with_metrics
if [[ -n $helm ]]; then with_helm; else not_ok "helm" "OMNITIDE_HELM names no helm"; fi
echo "$passed passed, $failed failed"
[[ $failed -eq 0 ]]
