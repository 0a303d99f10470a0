#!/usr/bin/env bash
# What must not be noticed by a packet: an API server that is away for OMNITIDE_OUTAGE_SECONDS (300), changes when it is back, an etcd
# that was compacted while the agent was away, an agent that is killed, a roll-out of another image, and a node that loses its power. A
# prober asks all the time what must pass and what must never pass; pods send from their first microsecond; and of both Nodes a condition
# is read all the time. Arguments: the image of ./dev image, and the prober. Run by run.sh.
set -uo pipefail
here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd -P)"
root="$(cd "$here/../../.." && pwd -P)"
# shellcheck source=tests/integration/checks.bash
source "$here/../checks.bash"
# shellcheck source=tests/integration/cluster/nodes.bash
source "$here/nodes.bash"
# shellcheck source=tests/integration/cluster/chatter.bash
source "$here/chatter.bash"
# shellcheck source=tests/integration/cluster/restart.bash
source "$here/restart.bash"
image="${1:?the image}" prober="$(readlink -f "${2:?the prober}")"
: "${OMNITIDE_CLUSTER:?}" "${OMNITIDE_CLUSTER_RUN:?}" "${OMNITIDE_SHARED:?}"
outage="${OMNITIDE_OUTAGE_SECONDS:-300}"
work="$(mktemp -d)"
probing='' watching=''
declare -A address process # of a pod: NAME4, NAME6; its process

finish() {
  if [[ -n $probing ]]; then kill "$probing" 2>/dev/null && wait "$probing"; fi
  if [[ -n $watching ]]; then kill "$watching" 2>/dev/null && wait "$watching" 2>/dev/null; fi
  rm -rf -- "$work"
}
trap finish EXIT

pod() { # NAME NODE LABEL
  cat <<YAML
---
apiVersion: v1
kind: Pod
metadata: {name: $1, namespace: shop, labels: {app: $3}}
spec:
  nodeName: node-$2
  terminationGracePeriodSeconds: 0
  automountServiceAccountToken: false
  containers:
  - name: main
    image: localhost/agnhost:1
    imagePullPolicy: Never
    args: [netexec, --http-port=8080, --udp-port=8081]
    resources: {requests: {cpu: 100m}} # else a busy machine gives it next to nothing
YAML
}

chatter() { # NAME NODE LABEL ARGUMENTS
  cat <<YAML
---
apiVersion: v1
kind: Pod
metadata: {name: $1, namespace: shop, labels: {app: $3}}
spec:
  nodeName: node-$2
  terminationGracePeriodSeconds: 0
  automountServiceAccountToken: false
  containers: [{name: main, image: 'localhost/chatter:1', imagePullPolicy: Never, args: [$4]}]
YAML
}

# What the policies say: clients reach servers by TCP and UDP, strangers do not, a guest is let in and out again by another policy.
policies() {
  cat <<'YAML'
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: clients, namespace: shop}
spec:
  podSelector: {matchLabels: {app: server}}
  policyTypes: [Ingress]
  ingress:
  - from: [{podSelector: {matchLabels: {app: client}}}]
    ports: [{port: 8080}, {port: 8081, protocol: UDP}]
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: guests, namespace: shop}
spec:
  podSelector: {matchLabels: {app: server}}
  policyTypes: [Ingress]
  ingress: [{from: [{podSelector: {matchLabels: {app: guest}}}]}]
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: mute, namespace: shop}
spec: {podSelector: {matchLabels: {app: mute}}, policyTypes: [Egress]}
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: vault, namespace: shop}
spec:
  podSelector: {matchLabels: {app: vault}}
  policyTypes: [Ingress]
  ingress: [{from: [{podSelector: {matchLabels: {app: friend}}}]}]
YAML
}

# The local overlay, and a check of the site's own: a file that is missing on node 2 makes a condition of its Node.
overlay() {
  cp -r "$root/manifests/kustomize" "$root/manifests/crds" "$work/"
  mkdir "$work/kustomize/overlays/outage"
  cat >"$work/kustomize/overlays/outage/30-faults.yaml" <<'YAML'
health:
  interval: 2s
  checks:
  - {name: wheel, file: /var/lib/omnitide/wheel, condition: KernelDeadlock, reason: WheelIsStuck, interval: 1s, timeout: 1s, failures: 1}
YAML
  cat >"$work/kustomize/overlays/outage/kustomization.yaml" <<'YAML'
apiVersion: kustomize.config.k8s.io/v1beta1
kind: Kustomization
namespace: omnitide-system
sortOptions: {order: fifo}
resources: [../local]
configMapGenerator:
- {name: omnitide-agent-config, behavior: merge, files: [30-faults.yaml]}
YAML
  on_node 1 touch /var/lib/omnitide/wheel
}

# "node-1 False SINCE", "node-2 True SINCE": the conditions as the API server has them, without the weight of kubectl.
conditions() {
  curl -sSf -k --max-time 2 -H "Authorization: Bearer $(cut -d, -f1 "$OMNITIDE_CLUSTER_RUN/tokens.csv")" https://172.30.0.1:6443/api/v1/nodes 2>/dev/null |
    jq -r '.items[] | .metadata.name + " " + ([.status.conditions[] | select(.type == "KernelDeadlock") | .status + " " + .lastTransitionTime] | first // "has none")'
}
watch_conditions() {
  while true; do
    conditions
    sleep 0.5
  done >>"$work/conditions"
}
conditions_are_told() { [[ "$(conditions | cut -d' ' -f1,2 | sort | xargs)" == "node-1 False node-2 True" ]]; }
no_condition_lost() {
  kill "$watching"
  wait "$watching" 2>/dev/null
  watching=''
  note="$(wc -l <"$work/conditions") readings"
  if [[ "$(sort -u "$work/conditions")" == "$(cat "$work/conditions-first")" ]]; then
    ok "no condition was lost or came about anew, $note"
  else
    not_ok "no condition was lost or came about anew, $note" "$(sort "$work/conditions" | uniq -c)"
  fi
}

# A pod's process on this machine, by its address: exec needs the API server.
find_pod() { # NAME NODE
  local pid
  read -r "address[${1}4]" "address[${1}6]" < <(kubectl -n shop get pod "$1" -o 'jsonpath={.status.podIPs[*].ip}{"\n"}')
  for pid in $(on_node "$2" ctr -a "$OMNITIDE_CLUSTER_RUN/node-$2/containerd.sock" -n k8s.io tasks ls | awk 'NR > 1 { print $2 }'); do
    if nsenter -t "$pid" -n ip -4 -o addr show 2>/dev/null | grep -q "${address[${1}4]}/"; then process[$1]=$pid; fi
  done
  [[ -n ${process[$1]:-} ]]
}

# What one pod asks of another is: pass or drop, by TCP and UDP, IPv4 and IPv6; with `flow` one connection that stays, too.
probes() { # pass|drop CLIENT SERVER [flow]
  local family
  for family in 4 6; do
    echo "$1 $2-$3-tcp$family ${process[$2]} tcp ${address[$3$family]} 8080"
    echo "$1 $2-$3-udp$family ${process[$2]} udp ${address[$3$family]} 8081"
    if [[ ${4:-} == flow ]]; then echo "$1 $2-$3-flow$family ${process[$2]} flow ${address[$3$family]} 8080"; fi
  done
}
everybody() { # pass|drop of the clients, pass|drop of the strangers
  local server node
  for server in server1 server2; do
    for node in 1 2; do
      probes "$1" "client$node" $server "$([[ $1 == pass ]] && echo flow)"
      probes "$2" "other$node" $server "$([[ $2 == pass ]] && echo flow)"
    done
  done
}
begin_probing() { # the probes on stdin
  cat >"$work/probes"
  "$prober" <"$work/probes" >"$work/probed" &
  probing=$!
}
no_misjudged() { # WHAT: ends the prober and looks at what it says
  local code=0
  kill "$probing"
  wait "$probing" || code=$?
  probing=''
  note="$(jq -rs '[.[] | .sent] | add // 0' "$work/probed") probes of $(wc -l <"$work/probed") pairs"
  if [[ $code -eq 0 ]]; then
    ok "$1: no packet was misjudged, $note"
  else
    not_ok "$1: no packet was misjudged, $note" "$(jq -c 'select(.misjudged > 0 or .sent == 0)' "$work/probed")"
    where_lost
  fi
}
# Whether the data path dropped it, as far as the agents that run now saw it, or a server's socket, whose program had no CPU.
where_lost() {
  local node
  for node in 1 2; do
    agent $node flows --verdict dropped --last 4096 -o json |
      jq -r '"        \(.nodeName): dropped \(.source.podName // .ip.source) -> \(.destination.podName // .ip.destination), \(.l4 | keys[0]), \(.reason)"' | sort | uniq -c
    sed -n "s/^Udp:/        UDP of server$node:/p" "/proc/${process[server$node]}/net/snmp"
  done
}

tcp_passes() { timeout 1 nsenter -t "${process[$1]}" -n bash -c "exec 3<>/dev/tcp/${address[${2}4]}/8080" 2>/dev/null; }
tcp_drops() { ! tcp_passes "$@"; }

start_again() { # FILE of the process's words, LOG, PID FILE, COMMAND before it...: as it was started
  local words
  mapfile -d '' -t words <"$1"
  setsid "${@:4}" "${words[@]}" >>"$2" 2>&1 </dev/null &
  echo $! >"$3"
}
kill_apiserver() {
  local pid
  pid="$(<"$OMNITIDE_CLUSTER_RUN/apiserver.pid")"
  cat "/proc/$pid/cmdline" >"$work/apiserver"
  kill -9 "$pid"
  while [[ -e /proc/$pid ]]; do sleep 0.05; done
}
start_apiserver() {
  start_again "$work/apiserver" "$OMNITIDE_CLUSTER_RUN/apiserver.log" "$OMNITIDE_CLUSTER_RUN/apiserver.pid" nsenter --net=/run/netns/oc-cp
  within 60 kubectl get --raw /readyz >/dev/null 2>&1 || not_ok "the API server comes back"
}
compact() {
  local revision
  revision="$(curl -sSf -d '{"key":"AA=="}' http://127.0.0.1:2379/v3/kv/range | jq -r .header.revision)"
  curl -sSf -o /dev/null -d "{\"physical\":true,\"revision\":\"$revision\"}" http://127.0.0.1:2379/v3/kv/compaction
}

arguments() { printf "send, '0'" && printf ", '%s'" "$@"; }

set_up() {
  local node
  load_chatter "$image" || exit 1
  overlay
  for node in 1 2; do # another build is another name
    on_node $node ctr -a "$OMNITIDE_CLUSTER_RUN/node-$node/containerd.sock" -n k8s.io images tag localhost/omnitide-agent:dev localhost/omnitide-agent:next >/dev/null
  done
  kubectl create namespace shop >/dev/null
  {
    for node in 1 2; do pod server$node $node server && pod client$node $node client && pod other$node $node stranger; done
    pod guest 2 guest
    chatter sink 1 sink sink
    chatter vault 2 vault sink
  } | kubectl apply -f - >/dev/null
  policies | kubectl apply -f - >/dev/null
  kubectl apply -k "$work/kustomize/overlays/outage" >/dev/null 2>&1
  check "pods start" kubectl -n shop wait --for=condition=Ready pods --all --timeout=90s
  check "agents rolled out" kubectl -n omnitide-system rollout status ds/omnitide-agent --timeout=90s
  for node in 1 2; do
    check "node $node follows the API server and enforces" within 30 policy_ready $node
    for each in server client other; do find_pod $each$node $node || not_ok "no process of $each$node"; done
  done
  find_pod guest 2 || not_ok "no process of guest"
  check "a client reaches a server" within 10 tcp_passes client1 server2
  check "a stranger does not" within 10 tcp_drops other1 server2
  # shellcheck disable=SC2046 # words
  { chatter mute 2 mute "$(arguments $(addresses sink))" && chatter loud 2 loud "$(arguments $(addresses sink))"; } | kubectl apply -f - >/dev/null
  check "pods that send start" kubectl -n shop wait --for=condition=Ready pods mute loud --timeout=60s
  check "the loud one is heard" within 10 hears sink loud
  check "the mute one sends" within 10 sent mute
  check "the mute one is not heard" deaf sink mute
  check "conditions of both Nodes are told" within 30 conditions_are_told
  conditions | sort >"$work/conditions-first"
  watch_conditions &
  watching=$!
  sleep 1 # what is there is settled
}

# The agents lose the server for long; one of them is killed meanwhile and starts without it.
api_server_away() {
  local began
  begin_probing < <(everybody pass drop)
  sleep 1
  kill_apiserver
  sleep $((outage / 2))
  kill -9 "$(agent_pid 2)"
  sleep $((outage - outage / 2))
  start_apiserver
  began=${EPOCHREALTIME/./}
  for node in 1 2; do check "API server back after $outage s: node $node follows it" within 60 policy_ready $node; done
  echo "        both nodes follow it $(((${EPOCHREALTIME/./} - began) / 1000)) ms after it is ready"
  no_misjudged "API server away for $outage s, one agent killed meanwhile"
  kubectl -n shop label pod client1 client2 app=stranger --overwrite >/dev/null
  kubectl -n shop label pod other1 other2 app=client --overwrite >/dev/null
  for node in 1 2; do
    check "a change on its return: node $node lets in" within 5 tcp_passes other1 server$node
    check "a change on its return: node $node shuts out" within 5 tcp_drops client1 server$node
  done
  begin_probing < <(everybody drop pass)
  sleep 3
  no_misjudged "after the change"
}

# The agent on node 1 sleeps; what it knows of is deleted, history is cut, and the server has forgotten.
compacted() {
  local pid
  pid="$(agent_pid 1)"
  check "a guest is let in" within 5 tcp_passes guest server1
  begin_probing < <(everybody drop pass)
  kill -STOP "$pid"
  kill_apiserver
  start_apiserver
  kubectl -n shop delete networkpolicy guests >/dev/null
  compact
  kill_apiserver
  start_apiserver
  kill -CONT "$pid"
  check "etcd compacted while the agent was away: what was deleted is gone" within 60 tcp_drops guest server1
  check "etcd compacted: the same agent runs" test "$(agent_pid 1)" == "$pid"
  no_misjudged "etcd compacted"
}

killed() {
  local node round pid
  begin_probing < <(everybody drop pass)
  for round in 1 2; do
    for node in 1 2; do
      pid="$(agent_pid $node)"
      kill -9 "$pid"
      check "killed $round: node $node has another agent" within 180 another_agent $node "$pid"
    done
  done
  no_misjudged "agents killed"
}
another_agent() {
  local now
  now="$(agent_pid "$1")" && [[ $now != "$2" ]] && policy_ready "$1"
}

rolled() {
  begin_probing < <(everybody drop pass)
  kubectl -n omnitide-system set image ds/omnitide-agent agent=localhost/omnitide-agent:next >/dev/null
  check "another build: rolled out" kubectl -n omnitide-system rollout status ds/omnitide-agent --timeout=120s
  check "another build: runs" test "$(kubectl -n omnitide-system get pods -l app.kubernetes.io/name=omnitide-agent -o 'jsonpath={.items[*].spec.containers[0].image}' | tr ' ' '\n' | sort -u)" == localhost/omnitide-agent:next
  for node in 1 2; do check "another build: node $node enforces" within 30 policy_ready $node; done
  no_misjudged "another build rolled out"
}

# Node 2 loses its power. Its pods start before its agent does; what they send is to be judged from their first microsecond, and so is
# what is sent to them: knocker and friend on node 1 send all the time to the addresses that the pods of node 2 will have.
power_lost() {
  local each count
  count="$(kubectl -n shop get pods --field-selector spec.nodeName=node-2 -o name | wc -l)"
  mapfile -t each < <(next_addresses $((count + 4)))
  { chatter knocker 1 knocker "$(arguments "${each[@]}")" && chatter friend 1 friend "$(arguments "${each[@]}")"; } | kubectl apply -f - >/dev/null
  check "power lost: who knocks at node 2 starts" kubectl -n shop wait --for=condition=Ready pods knocker friend --timeout=60s
  # other1 is a client by now, and client1 is none.
  begin_probing < <(probes pass other1 server1 flow && probes drop client1 server1 && probes drop client1 server2)
  node_off 2
  sleep 3
  check "power lost: node 2 comes up" node_on 2
  check "power lost: its pods start again" within 120 started_again
  check "power lost: the vault has an address at which was knocked" knocked_at_vault "${each[@]}"
  check "power lost: node 2 enforces" within 120 policy_ready 2
  check "power lost: the loud one is heard again" within 30 hears sink loud
  check "power lost: a friend reaches the vault" within 30 hears vault friend
  check "power lost: the mute one sends" within 10 sent mute
  check "power lost: nothing of it has passed since its first microsecond" deaf sink mute
  check "power lost: nothing of who knocked has" deaf vault knocker
  no_misjudged "power lost, on the other node"
  for each in server2 client2 other2 guest; do find_pod "$each" 2 || not_ok "no process of $each"; done
  check "power lost: a client reaches a server there" within 10 tcp_passes other1 server2
  begin_probing < <(everybody drop pass)
  sleep 3
  no_misjudged "after the power was back"
}
# Of both families, as the node's plugin gives them out: one after the other.
next_addresses() {
  local last4 last6 number state="$OMNITIDE_CLUSTER_RUN/node-2/cni-data/pods/last_reserved_ip"
  last4="$(<"$state.0")" last6="$(<"$state.1")"
  for ((number = 1; number <= $1; ++number)); do
    printf '%s.%d\n' "${last4%.*}" $((${last4##*.} + number))
    printf '%s::%x\n' "${last6%::*}" $((16#${last6##*::} + number))
  done
}
started_again() {
  kubectl -n shop get pods --field-selector spec.nodeName=node-2 -o json |
    jq -e 'all(.items[]; .status.containerStatuses[0].restartCount >= 1 and any(.status.conditions[]; .type == "Ready" and .status == "True"))' >/dev/null
}
knocked_at_vault() {
  local each
  for each in $(addresses vault); do grep -qxF "$each" < <(printf '%s\n' "$@") || { addresses vault && return 1; }; done
}

set_up
api_server_away
compacted
killed
rolled
power_lost
no_condition_lost
echo "$passed passed, $failed failed"
[[ $failed -eq 0 ]]
