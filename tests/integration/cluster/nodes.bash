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

no_pin() { [[ -z "$(on_node "$1" find /sys/fs/bpf -mindepth 1 ! -name '*.debug' -print -quit)" ]]; }
