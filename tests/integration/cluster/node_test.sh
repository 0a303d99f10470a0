#!/usr/bin/env bash
# A node in its cluster: heartbeat, NodeInventory and labels of the agents of the local overlay, what another owner has, Node Feature
# Discovery, writes that an agent's token must not do, and removal. Run by run.sh. With OMNITIDE_AUDIT_DIR the roles are kept there, for
# rbac_audit.sh.
set -uo pipefail
here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd -P)"
root="$(cd "$here/../../.." && pwd -P)"
# shellcheck source=tests/integration/checks.bash
source "$here/../checks.bash"
# shellcheck source=tests/integration/cluster/nodes.bash
source "$here/nodes.bash"
image="${1:?the image}"
: "${OMNITIDE_CLUSTER:?}" "${OMNITIDE_CLUSTER_RUN:?}" "${OMNITIDE_SHARED:?}"
space=omnitide-system overlay="$root/manifests/kustomize/overlays/local"
work="$(mktemp -d)"
trap 'rm -rf -- "$work"' EXIT

apply() { kubectl apply -f - >/dev/null; }
same() { [[ "$1" == "$2" ]] || { echo "\"$1\" is not \"$2\"" >&2 && return 1; }; }
part() { agent "$1" status -o json | jq -r '.parts[] | select(.name == "kubernetes-node") | .state + " " + .reason'; }
is_told() { [[ "$(part "$1")" == *"$2"* ]]; } # NODE WORDS
lease() { kubectl -n $space get lease "omnitide-node-node-$1" -o json; }
inventory() { kubectl get nodeinventory "node-$1" -o json; }
our_labels() { kubectl get node "node-$1" -o json | jq -r '.metadata.labels | to_entries[] | select(.key | startswith("omnitide.io/") or startswith("feature.node.kubernetes.io/")) | .key + "=" + .value' | sort; }
label() { kubectl get node "node-$1" -o json | jq -r --arg key "$2" '.metadata.labels[$key] // ""'; }
has_label() { same "$(label "$1" "$2" 2>/dev/null)" "$3" 2>/dev/null; } # NODE KEY VALUE, empty for none
roll_out() {
  kubectl -n $space rollout restart ds/omnitide-agent >/dev/null
  kubectl -n $space rollout status ds/omnitide-agent --timeout=90s >/dev/null
}
install() {
  kubectl apply -k "$overlay" >/dev/null 2>&1
  check "$1: agents roll out" kubectl -n $space rollout status ds/omnitide-agent --timeout=90s
  for node in 1 2; do check "$1: node $node tells the cluster of itself" within 30 is_told "$node" PART_STATE_ON; done
}

heartbeats() {
  local node first
  for node in 1 2; do
    lease "$node" >"$work/lease"
    check "node $node: its Lease is held by it" same "$(jq -r .spec.holderIdentity "$work/lease")" "node-$node"
    check "node $node: its Lease lasts a minute" same "$(jq -r .spec.leaseDurationSeconds "$work/lease")" 60
    check "node $node: its Lease belongs to the Node" same "$(jq -r '.metadata.ownerReferences[0].uid' "$work/lease")" \
      "$(kubectl get node node-$node -o 'jsonpath={.metadata.uid}')"
    first="$(jq -r .spec.renewTime "$work/lease")"
    check "node $node: its Lease is renewed within a third of that" within 21 renewed "$node" "$first"
  done
}
renewed() { [[ "$(lease "$1" | jq -r .spec.renewTime)" > "$2" ]]; }

# The node's own words against the object's.
facts() {
  local node name sizes
  for node in 1 2; do
    inventory "$node" >"$work/inventory"
    says() { jq -r "$1" "$work/inventory"; }
    check "node $node: NodeInventory: CPUs" same "$(says .status.cpu.threads)" "$(on_node "$node" nproc --all)"
    # shellcheck disable=SC2016
    check "node $node: NodeInventory: memory" same "$(says .status.memory.totalBytes)" \
      "$(on_node "$node" awk '$1 == "MemTotal:" { printf "%.0f", $2 * 1024 }' /proc/meminfo)"
    check "node $node: NodeInventory: kernel" same "$(says .status.system.kernel)" "$(on_node "$node" uname -r)"
    check "node $node: NodeInventory: machine" same "$(says .status.system.machineID)" "$(on_node "$node" cat /etc/machine-id)"
    check "node $node: NodeInventory: the device with the Node's address" same \
      "$(says '.status.nics[] | select(.name == "eth0") | .mac')" "$(on_node "$node" cat /sys/class/net/eth0/address)"
    check "node $node: NodeInventory: no device of a pod" same "$(says '[.status.nics[] | select(.name != "eth0" and .kind == "veth")] | length')" 0
    sizes=''
    # shellcheck disable=SC2016
    for name in $(says '.status.disks[].name'); do sizes+="$(on_node "$node" awk '{ printf "%.0f ", $1 * 512 }' "/sys/block/$name/size")"; done
    check "node $node: NodeInventory: disks" same "$(says '[.status.disks[].sizeBytes | tostring + " "] | add')" "$sizes"
    check "node $node: NodeInventory: nothing of it was cut off" same "$(agent "$node" discover -o json | jq -r '.facts.storage.devices | map(select(.kind == "disk")) | length')" \
      "$(says '.status.disks | length')"
    check "node $node: NodeInventory belongs to the Node" same "$(says '.metadata.ownerReferences[0].kind')/$(says '.metadata.ownerReferences[0].name')" "Node/node-$node"
  done
  kubectl get nodeinventories >"$work/table"
  cat "$work/table"
  check "the table of NodeInventory has its columns" same "$(awk 'NR == 1 { $1 = $1; print }' "$work/table")" "NAME CPUS MEMORY DISKS NICS GPUS KERNEL OS AGENT AGE"
}

labels() {
  local node
  for node in 1 2; do
    agent "$node" discover -o labels | sort >"$work/labels"
    check "node $node: labels are those of discovery" same "$(our_labels "$node")" "$(cat "$work/labels")"
    check "node $node: and not few" test "$(wc -l <"$work/labels")" -gt 20
  done
  # One of another owner, and one that an earlier agent found and this one does not.
  kubectl label node node-1 omnitide.io/cgroup=mine --overwrite >/dev/null
  kubectl label node node-1 example.com/rack=7 >/dev/null
  jq -n --arg uid "$(kubectl get node node-2 -o 'jsonpath={.metadata.uid}')" \
    '{apiVersion: "v1", kind: "Node", metadata: {name: "node-2", labels: {"omnitide.io/was-here": "true"}}}' >"$work/earlier"
  kubectl apply --server-side --field-manager=omnitide-agent -f "$work/earlier" >/dev/null
  roll_out
  check "another owner's label is told in status" within 30 is_told 1 "omnitide.io/cgroup is left as it is: it belongs to kubectl-label"
  check "another owner's label stays" has_label 1 omnitide.io/cgroup mine
  check "the others are there all the same" has_label 1 feature.node.kubernetes.io/kernel-version.full "$(uname -r)"
  check "a label that was found no more is gone" within 20 has_label 2 omnitide.io/was-here ''
  kubectl label node node-1 omnitide.io/cgroup- >/dev/null
  roll_out
  check "a label that its owner let go of is set again" within 30 label_is_back
}
label_is_back() { [[ "$(label 1 omnitide.io/cgroup)" =~ ^(unified|hybrid|legacy)$ ]]; }

feature_discovery() {
  kubectl apply --server-side -f "$OMNITIDE_SHARED/crds/node-feature-discovery.yaml" >/dev/null
  kubectl wait --for=condition=Established crd/nodefeatures.nfd.k8s-sigs.io --timeout=20s >/dev/null
  kubectl create namespace node-feature-discovery >/dev/null
  apply <<'YAML'
apiVersion: apps/v1
kind: Deployment
metadata: {name: nfd-master, namespace: node-feature-discovery}
spec:
  selector: {matchLabels: {app: nfd-master}}
  template:
    metadata: {labels: {app: nfd-master}}
    spec:
      terminationGracePeriodSeconds: 0
      containers: [{name: master, image: "localhost/agnhost:1", imagePullPolicy: Never, args: [pause]}]
YAML
  kubectl -n node-feature-discovery rollout status deployment/nfd-master --timeout=60s >/dev/null
  roll_out
  for node in 1 2; do
    check "a master runs: node $node asks it by NodeFeature" within 30 is_told "$node" "labels by NodeFeature"
    check "a master runs: the NodeFeature of node $node has its labels" within 10 feature_is_true "$node"
    check "a master runs: node $node sets none itself" same "$(our_labels "$node")" ''
  done
  kubectl -n node-feature-discovery delete deployment nfd-master --wait=true >/dev/null
  kubectl -n node-feature-discovery wait --for=delete pod -l app=nfd-master --timeout=30s >/dev/null 2>&1
  roll_out
  for node in 1 2; do check "the master is gone: node $node sets its labels again" within 30 is_told "$node" "labels on the Node"; done
  check "the master is gone: no NodeFeature is left" within 10 no_feature
}
feature_is_true() {
  local found
  found="$(kubectl -n $space get nodefeature "node-$1" -o json)" || return 1
  [[ "$(jq -r '.metadata.labels["nfd.node.kubernetes.io/node-name"]' <<<"$found")" == "node-$1" ]] &&
    [[ "$(jq -r '.spec.labels | to_entries[] | .key + "=" + .value' <<<"$found" | sort)" == "$(agent "$1" discover -o labels | sort)" ]]
}
no_feature() { [[ -z "$(kubectl get nodefeatures -A -o name)" ]]; }

# With the token of the agent on node 1.
forge() { # METHOD PATH TYPE BODY
  curl -s --cacert "$OMNITIDE_CLUSTER_RUN/pki/ca.crt" -H "Authorization: Bearer $token" -H "Content-Type: application/$3" -X "$1" \
    "https://172.30.0.1:6443$2" ${4:+-d "$4"} -o "$work/answer" -w '%{http_code}' >"$work/code"
}
refused() { # NAME WORDS METHOD PATH TYPE BODY
  forge "${@:3}"
  if [[ "$(cat "$work/code")" == 422 && "$(jq -r .message "$work/answer")" == *"$2"* ]]; then
    ok "refused: $1"
  else
    not_ok "refused: $1" "$(cat "$work/code") $(head -c 600 "$work/answer")"
  fi
}
accepted() { # NAME METHOD PATH TYPE BODY
  forge "${@:2}"
  if [[ "$(cat "$work/code")" == 20[01] ]]; then ok "accepted: $1"; else not_ok "accepted: $1" "$(cat "$work/code") $(head -c 600 "$work/answer")"; fi
}
slot() { # HOLDER RENEWED
  printf '{"apiVersion":"coordination.k8s.io/v1","kind":"Lease","metadata":{"name":"omnitide-slot-1"},"spec":{"holderIdentity":"%s","leaseDurationSeconds":60,"renewTime":"%s"}}' "$1" "$2"
}

forged_writes() {
  local leases=/apis/coordination.k8s.io/v1/namespaces/$space/leases nodes=/api/v1/nodes inventories=/apis/omnitide.io/v1alpha1/nodeinventories
  local by='?fieldManager=forger&force=true' features=/apis/nfd.k8s-sigs.io/v1alpha1/namespaces/$space/nodefeatures
  token="$(cat "/proc/$(agent_pid 1)/root/var/run/secrets/kubernetes.io/serviceaccount/token")"
  # What other parts of the agent write there: the rule that refuses must not be the one of RBAC.
  kubectl create clusterrole forger --verb=patch --resource=nodes/status >/dev/null
  kubectl create clusterrolebinding forger --clusterrole=forger --serviceaccount=$space:omnitide-agent >/dev/null
  within 10 kubectl auth can-i patch nodes/status --as=system:serviceaccount:$space:omnitide-agent >/dev/null 2>&1
  local other="the agent on node node-1 may not write"
  refused "another node's Node" "$other the Node node-2" PATCH $nodes/node-2 merge-patch+json '{"metadata":{"labels":{"omnitide.io/x":"y"}}}'
  refused "another node's conditions" "$other the Node node-2" PATCH $nodes/node-2/status merge-patch+json '{"status":{"conditions":null}}'
  refused "another node's heartbeat" "$other the Lease omnitide-node-node-2" PATCH $leases/omnitide-node-node-2 merge-patch+json '{"spec":{"leaseDurationSeconds":1}}'
  refused "another node's heartbeat, to remove it" "$other the Lease omnitide-node-node-2" DELETE $leases/omnitide-node-node-2 json
  refused "a Lease of no node" "$other the Lease mine" POST $leases json "$(slot node-1 2026-01-01T00:00:00.000000Z | sed s/omnitide-slot-1/mine/)"
  refused "its heartbeat in another's name" "must be held by it" PATCH $leases/omnitide-node-node-1 merge-patch+json '{"spec":{"holderIdentity":"node-2"}}'
  refused "another node's NodeInventory" "$other the NodeInventory of node-2" PATCH $inventories/node-2/status merge-patch+json '{"status":{"agentVersion":"9"}}'
  refused "another node's NodeInventory, to remove it" "$other the NodeInventory of node-2" DELETE $inventories/node-2 json
  refused "another node's NodeFeature by its label" "may not write a NodeFeature of another" PATCH "$features/node-1$by" apply-patch+yaml \
    '{"apiVersion":"nfd.k8s-sigs.io/v1alpha1","kind":"NodeFeature","metadata":{"name":"node-1","labels":{"nfd.node.kubernetes.io/node-name":"node-2"}},"spec":{}}'
  refused "a foreign label by NodeFeature" "labels of omnitide.io/ and feature.node.kubernetes.io/ alone" PATCH "$features/node-1$by" apply-patch+yaml \
    '{"apiVersion":"nfd.k8s-sigs.io/v1alpha1","kind":"NodeFeature","metadata":{"name":"node-1","labels":{"nfd.node.kubernetes.io/node-name":"node-1"}},"spec":{"labels":{"example.com/x":"y"}}}'
  refused "a label of another prefix" "may not write the label example.com/x" PATCH $nodes/node-1 merge-patch+json '{"metadata":{"labels":{"example.com/x":"y"}}}'
  refused "another owner's label, to remove it" "may not write the label example.com/rack" PATCH $nodes/node-1 merge-patch+json '{"metadata":{"labels":{"example.com/rack":null}}}'
  refused "a label by the status" "may not write the label example.com/x" PATCH $nodes/node-1/status merge-patch+json '{"metadata":{"labels":{"example.com/x":"y"}}}'
  refused "an annotation" "may not write annotations" PATCH $nodes/node-1 merge-patch+json '{"metadata":{"annotations":{"x":"y"}}}'
  refused "a taint" "may not write the taint example.com/x" PATCH $nodes/node-1 merge-patch+json '{"spec":{"taints":[{"key":"example.com/x","effect":"NoExecute"}]}}'
  refused "cordoning" "may not cordon" PATCH $nodes/node-1 merge-patch+json '{"spec":{"unschedulable":true}}'
  refused "another field of the Node's spec" "other fields of a Node's spec" PATCH $nodes/node-1 merge-patch+json '{"spec":{"providerID":"x://y"}}'
  refused "a condition of the kubelet" "may not write the condition Ready" PATCH $nodes/node-1/status strategic-merge-patch+json '{"status":{"conditions":[{"type":"Ready","status":"False"}]}}'
  refused "a condition of nobody" "may not write the condition Foreign" PATCH $nodes/node-1/status strategic-merge-patch+json '{"status":{"conditions":[{"type":"Foreign","status":"True"}]}}'
  refused "another field of the Node's status" "other fields of a Node's status" PATCH $nodes/node-1/status merge-patch+json '{"status":{"capacity":{"example.com/gpu":"8"}}}'
  accepted "a condition of its own" PATCH $nodes/node-1/status strategic-merge-patch+json '{"status":{"conditions":[{"type":"KernelDeadlock","status":"False"}]}}'
  # shellcheck disable=SC2016
  accepted "and its removal" PATCH $nodes/node-1/status strategic-merge-patch+json '{"status":{"conditions":[{"type":"KernelDeadlock","$patch":"delete"}]}}'
  accepted "a taint of its own" PATCH $nodes/node-1 merge-patch+json '{"spec":{"taints":[{"key":"omnitide.io/sick","effect":"PreferNoSchedule"}]}}'
  accepted "and its removal" PATCH $nodes/node-1 merge-patch+json '{"spec":{"taints":null}}'
  accepted "a free slot" POST $leases json "$(slot node-1 2026-01-01T00:00:00.000000Z)"
  accepted "to keep it" PATCH $leases/omnitide-slot-1 merge-patch+json '{"spec":{"renewTime":"2026-01-01T00:00:30.000000Z"}}'
  refused "a slot for another" "may not take the slot" PATCH $leases/omnitide-slot-1 merge-patch+json '{"spec":{"holderIdentity":"node-2"}}'
  kubectl -n $space patch lease omnitide-slot-1 --type=merge -p '{"spec":{"holderIdentity":"node-2"}}' >/dev/null
  refused "a slot that another holds" "may not take the slot" PATCH $leases/omnitide-slot-1 merge-patch+json '{"spec":{"holderIdentity":"node-1","renewTime":"2026-01-01T00:01:00.000000Z"}}'
  accepted "a slot that its holder let lapse" PATCH $leases/omnitide-slot-1 merge-patch+json '{"spec":{"holderIdentity":"node-1","renewTime":"2026-01-01T00:02:00.000000Z"}}'
  refused "a slot, to remove it" "may not take the slot" DELETE $leases/omnitide-slot-1 json
  kubectl -n $space delete lease omnitide-slot-1 >/dev/null
  kubectl delete clusterrolebinding/forger clusterrole/forger >/dev/null
}

nothing_of_ours() { [[ -z "$(our_labels "$1")" ]]; }
no_lease() { ! lease "$1" >/dev/null 2>&1; }
no_inventory() { [[ -z "$(kubectl get nodeinventories -o name 2>/dev/null)" ]]; }
removal() {
  local node
  # Its namespace, definitions and rights stay: what goes, the agent took away.
  kubectl -n $space delete ds omnitide-agent >/dev/null
  for node in 1 2; do
    check "DaemonSet deleted: node $node has no label of the agent" within 15 nothing_of_ours "$node"
    check "DaemonSet deleted: node $node has no Lease" within 15 no_lease "$node"
  done
  check "DaemonSet deleted: another owner's label stays" has_label 1 example.com/rack 7
  check "DaemonSet deleted: no NodeInventory is left" within 15 no_inventory
  kubectl -n $space wait --for=delete pod -l app.kubernetes.io/name=omnitide-agent --timeout=60s >/dev/null 2>&1
  install "again"
  check "deleted as a whole" kubectl delete -k "$overlay" --wait=true --timeout=90s
  for node in 1 2; do check "deleted as a whole: node $node has no label of the agent" within 15 nothing_of_ours "$node"; done
  check "deleted as a whole: no policy of admission is left" same "$(kubectl get validatingadmissionpolicies,validatingadmissionpolicybindings -o name)" ''
}

"$OMNITIDE_CLUSTER" load "$image" >/dev/null || exit 1
# ClusterNetworkPolicies are listed, too, where the server has no WatchList.
kubectl apply --server-side -f "$OMNITIDE_SHARED/crds/clusternetworkpolicies.yaml" >/dev/null
kubectl wait --for=condition=Established crd/clusternetworkpolicies.policy.networking.k8s.io --timeout=20s >/dev/null
install "installed"
if [[ -n "${OMNITIDE_AUDIT_DIR:-}" ]]; then
  kubectl get clusterroles,roles -A -l app.kubernetes.io/part-of=omnitide -o json >"$OMNITIDE_AUDIT_DIR/granted.json"
fi
heartbeats
facts
labels
feature_discovery
forged_writes
removal
echo "$passed passed, $failed failed"
[[ $failed -eq 0 ]]
