#!/usr/bin/env bash
# omnitide-cni on a real cluster: pods that send from their first microsecond are judged before anything passes; the runtime's list is
# kept chained, an agent that is away is what the configuration says, and removal leaves nothing. Run by run.sh, on bridge and on ptp.
set -uo pipefail
here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd -P)"
root="$(cd "$here/../../.." && pwd -P)"
# shellcheck source=tests/integration/checks.bash
source "$here/../checks.bash"
# shellcheck source=tests/integration/cluster/nodes.bash
source "$here/nodes.bash"
# shellcheck source=tests/integration/cluster/chatter.bash
source "$here/chatter.bash"
image="${1:?the image}"
: "${OMNITIDE_CLUSTER:?}" "${OMNITIDE_CLUSTER_RUN:?}" "${OMNITIDE_SHARED:?}"
work="$(mktemp -d)"
trap 'rm -rf -- "$work"' EXIT
list=/etc/cni/net.d/10-pods.conflist

pod() { # NAME NODE APP ARGUMENTS...: without arguments it waits; a first argument "init:..." is of its init container
  local name=$1 node=$2 app=$3 init=''
  shift 3
  if [[ ${1:-} == init:* ]]; then
    init="  initContainers: [{name: early, image: 'localhost/chatter:1', imagePullPolicy: Never, args: [${1#init:}]}]"
    shift
  fi
  cat <<YAML
---
apiVersion: v1
kind: Pod
metadata: {name: $name, namespace: shop, labels: {app: $app}}
spec:
  nodeName: node-$node
  restartPolicy: Never
  terminationGracePeriodSeconds: 0
  automountServiceAccountToken: false
$init
  containers: [{name: main, image: 'localhost/chatter:1', imagePullPolicy: Never, args: [$1]}]
YAML
}
apply() { kubectl apply -f - >/dev/null; }
running() { kubectl -n shop wait --for=condition=Ready "pod/$1" --timeout=60s >/dev/null; }
all_hear() { hears sink1 "$1" && hears sink2 "$1"; }
# is_heard NAME SECONDS POD: by all, in that time; else what was heard of it, and when.
is_heard() {
  local each sink
  if within "$2" all_hear "$3"; then ok "$1" && return; fi
  not_ok "$1"
  for sink in sink1 sink2; do
    for each in $(addresses "$3"); do
      kubectl -n shop logs --timestamps $sink | grep -F " $each" | sed "s/^/        $sink: /" || echo "        $sink: nothing of $each"
    done
  done
  kubectl -n shop get pod "$3" -o json | jq -c '.status.containerStatuses[0].state'
  for each in 1 2; do on_node $each find /sys/fs/bpf -name '*-in' -o -name '*-out' | sed "s/^/        node $each: /"; done
}
all_deaf() { deaf sink1 "$1" && deaf sink2 "$1"; }

agents() { kubectl -n omnitide-system rollout status ds/omnitide-agent --timeout=90s >/dev/null 2>&1; }
no_agents() { [[ "$(kubectl -n omnitide-system get pods -o name | wc -l)" == 0 ]]; }
set_selector() { # none brings the agents away without removing their DaemonSet
  kubectl -n omnitide-system patch ds omnitide-agent --type=merge -p "{\"spec\":{\"template\":{\"spec\":{\"nodeSelector\":$1}}}}" >/dev/null
}
entry() { on_node "$1" cat "${2:-$list}" | jq -c '.plugins[] | select(.type == "omnitide-cni")'; }
chained() { [[ -n "$(entry "$@")" ]]; }
entry_says() { [[ "$(entry "$1" | jq -r .absent)" == "$2" ]]; }
part_on() { agent "$1" status -o json | jq -e '.parts[] | select(.name == "cni") | .state == "PART_STATE_ON"' >/dev/null; }

set_up() {
  load_chatter "$image" || exit 1
  for node in 1 2; do on_node $node cat $list >"$work/list$node"; done
  kubectl create namespace shop >/dev/null
  for node in 1 2; do pod sink$node $node sink sink; done | apply
  apply <<'YAML'
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: silent, namespace: shop}
spec: {podSelector: {matchLabels: {app: silent}}, policyTypes: [Ingress, Egress]}
YAML
  kubectl apply -k "$root/manifests/kustomize/overlays/local" >/dev/null 2>&1
  check "agents rolled out" agents
  for node in 1 2; do
    check "node $node: the plugin is chained" within 20 chained $node
    check "node $node: the part says so" within 10 part_on $node
    running sink$node || not_ok "sink$node runs"
  done
  sinks="$(addresses sink1) $(addresses sink2)"
  targets="$(sed 's/ /, /g; s/[^ ,]\+/"&"/g' <<<"$sinks")"
}

first_packets() {
  local each names=(silent1 silent2 silent3 silent4 silent5 silent6 silent7 silent8)
  for each in 1 2 3 4 5 6 7 8; do
    pod "silent$each" $((each % 2 + 1)) silent "init:send, '1.5', $targets" "send, '0', $targets"
  done | apply
  for each in 1 2; do pod "loud$each" "$each" loud "send, '0', $targets"; done | apply
  for each in 1 2; do
    check "loud$each runs" running "loud$each"
    is_heard "loud$each, without a policy, is heard by all, UDP and TCP, IPv4 and IPv6" 10 "loud$each"
  done
  for each in "${names[@]}"; do running "$each" || not_ok "$each runs"; done
  for each in "${names[@]}"; do
    check "$each has sent" within 10 sent "$each"
    check "$each: nothing has passed since its first microsecond" all_deaf "$each"
  done
  kubectl -n shop label pod silent1 app=loud --overwrite >/dev/null
  is_heard "silent1 with another label is heard" 10 silent1
  kubectl -n shop delete pods -l 'app in (silent, loud)' --wait=true >/dev/null
}

# Whoever may speak is understood from the first packet on: it was judged, and not merely closed.
first_words() {
  local each
  for each in 1 2 3 4; do pod "first$each" $((each % 2 + 1)) loud "once, $(cut -d' ' -f1 <<<"$sinks")"; done | apply
  for each in 1 2 3 4; do
    check "first$each: its first connection is made at once" \
      kubectl -n shop wait --for=jsonpath='{.status.phase}'=Succeeded "pod/first$each" --timeout=30s
    kubectl -n shop logs "first$each"
  done
  kubectl -n shop delete pods -l app=loud --wait=true >/dev/null
}

owner_writes() {
  on_node 1 cp /dev/stdin $list <"$work/list1"
  check "the owner wrote its list anew: chained again" within 5 chained 1
  check "and nothing else is changed" \
    diff <(on_node 1 cat $list | jq -S 'del(.plugins[] | select(.type == "omnitide-cni"))') <(jq -S . "$work/list1")
  on_node 1 cp /dev/stdin /etc/cni/net.d/05-first.conflist <"$work/list1"
  check "a list that comes in front is chained" within 5 chained 1 /etc/cni/net.d/05-first.conflist
  on_node 1 rm /etc/cni/net.d/05-first.conflist
  on_node 1 cp /dev/stdin $list <<<'{"cniVersion":'
  sleep 1
  check "half a list is left to its owner" [ "$(on_node 1 cat $list)" = '{"cniVersion":' ]
  on_node 1 cp /dev/stdin $list <"$work/list1"
  check "the whole one is chained" within 5 chained 1
}

agent_absent() {
  set_selector '{"omnitide.io/none":"true"}'
  check "the agents are away" within 40 no_agents
  pod orphan 1 loud "send, '0', $targets" | apply
  check "absent, closed: a pod starts" running orphan
  check "absent, closed: it sends" within 10 sent orphan
  check "absent, closed: nothing passes" all_deaf orphan
  set_selector '{"omnitide.io/none":null}'
  kubectl -n omnitide-system set env ds/omnitide-agent OMNITIDE_KUBERNETES_CNI_ABSENT=open >/dev/null
  check "an agent is back" agents
  is_heard "absent, closed: opened by the agent that comes" 20 orphan
  check "a changed setting is in the entry" within 20 entry_says 1 open
  set_selector '{"omnitide.io/none":"true"}'
  check "the agents are away again" within 40 no_agents
  pod free 1 loud "send, '0', $targets" | apply
  check "absent, open: a pod starts" running free
  is_heard "absent, open: it is heard" 10 free
  set_selector '{"omnitide.io/none":null}'
  check "and back" agents
  kubectl -n shop delete pods -l app=loud --wait=true >/dev/null
}

no_trace() {
  on_node "$1" cat $list | cmp - "$work/list$1" && ! on_node "$1" test -e /opt/cni/bin/omnitide-cni && ! on_node "$1" test -e /var/lib/omnitide/cni.sock
}
removal() {
  kubectl delete -k "$root/manifests/kustomize/overlays/local" --wait=true --timeout=90s >/dev/null 2>&1
  for node in 1 2; do
    check "removed: node $node's list is as it was, byte by byte, and the plugin is gone" within 20 no_trace $node
    check "removed: node $node has no pin" within 20 no_pin $node
  done
  pod last 1 silent "send, '0', $targets" | apply
  check "removed: a pod starts" running last
  is_heard "removed: and is open" 10 last
}

set_up
first_packets
first_words
owner_writes
agent_absent
removal
echo "$passed passed, $failed failed"
[[ $failed -eq 0 ]]
