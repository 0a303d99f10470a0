# shellcheck shell=bash
# What the tests of the image share: kubectl, a node's namespaces, the agent on a node. OMNITIDE_CLUSTER is the cluster's script.
kubectl() { "$OMNITIDE_CLUSTER" kubectl "$@"; }
on_node() { "$OMNITIDE_CLUSTER" node "$@"; }

# agent NODE COMMAND...: the agent's command in its pod there.
agent() {
  local pod
  pod="$(kubectl -n omnitide-system get pods -l app.kubernetes.io/name=omnitide-agent --field-selector "spec.nodeName=node-$1" \
    -o 'jsonpath={.items[*].metadata.name}')"
  kubectl -n omnitide-system exec "$pod" -- omnitide-agent "${@:2}"
}

# agent_pid NODE: the agent there, as a process of this machine.
agent_pid() {
  local each own
  own="$(on_node "$1" readlink /proc/self/ns/net)"
  for each in $(pgrep -f '^/usr/bin/omnitide-agent run'); do
    if [[ "$(readlink "/proc/$each/ns/net")" == "$own" ]]; then echo "$each" && return; fi
  done
  return 1
}

# conditions_of NODE: types that are not kubelet's.
conditions_of() {
  kubectl get node "node-$1" -o json |
    jq -r '.status.conditions[].type | select(IN("Ready", "MemoryPressure", "DiskPressure", "PIDPressure", "NetworkUnavailable") | not)'
}

no_pin() { [[ -z "$(on_node "$1" find /sys/fs/bpf -mindepth 1 ! -name '*.debug' -print -quit)" ]]; }

# has_entry NODE, no_entry NODE: of omnitide-cni in the runtime's network configuration, and its file.
has_entry() { on_node "$1" grep -q omnitide-cni /etc/cni/net.d/10-pods.conflist && on_node "$1" test -x /opt/cni/bin/omnitide-cni; }
no_entry() { ! on_node "$1" grep -rq omnitide-cni /etc/cni/net.d && ! on_node "$1" test -e /opt/cni/bin/omnitide-cni; }

# policy_ready NODE: the agent there follows the API server and enforces.
policy_ready() {
  agent "$1" status -o json |
    jq -e '[.parts[] | select(.name == "policy" or .name == "kubernetes") | .state] == ["PART_STATE_ON", "PART_STATE_ON"]' >/dev/null
}
