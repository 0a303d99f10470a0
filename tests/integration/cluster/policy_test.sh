#!/usr/bin/env bash
# Network policy by the API server, enforced by the agents of the local overlay on a real cluster: pods of both nodes, IPv4 and IPv6, by
# address and through a Service; changes, an API server that is away, an agent that starts meanwhile, and removal. Run by run.sh.
set -uo pipefail
here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd -P)"
root="$(cd "$here/../../.." && pwd -P)"
# shellcheck source=tests/integration/checks.bash
source "$here/../checks.bash"
# shellcheck source=tests/integration/cluster/nodes.bash
source "$here/nodes.bash"
image="${1:?the image}"
: "${OMNITIDE_CLUSTER:?}" "${OMNITIDE_CLUSTER_RUN:?}"
work="$(mktemp -d)"
trap 'rm -rf -- "$work"' EXIT
declare -A address # of a pod: NAME4, NAME6

pod() { # NAMESPACE NAME NODE LABELS
  cat <<YAML
---
apiVersion: v1
kind: Pod
metadata: {name: $2, namespace: $1, labels: {$4}}
spec:
  nodeName: node-$3
  terminationGracePeriodSeconds: 0
  automountServiceAccountToken: false
  containers:
  - name: main
    image: localhost/agnhost:1
    imagePullPolicy: Never
    args: [netexec, --http-port=8080]
    ports: [{name: web, containerPort: 8080}]
YAML
}

# SERVER and CLIENT are names of pods in shop; FAMILY 4 or 6.
reaches() { # CLIENT ADDRESS:PORT
  kubectl -n shop exec "$1" -- /agnhost connect "$2" --timeout=1s --protocol=tcp >/dev/null 2>&1
}
blocked() { ! reaches "$@"; }
to() { # SERVER FAMILY
  if [[ $2 == 4 ]]; then echo "${address[${1}4]}:8080"; else echo "[${address[${1}6]}]:8080"; fi
}
patience=5
everywhere() { # WHAT reaches|blocked CLIENT...: from each client to both servers in both families, within $patience seconds
  local what=$1 how=$2 client server family
  shift 2
  for client in "$@"; do
    for server in server1 server2; do
      for family in 4 6; do
        check "$what: $client to $server by IPv$family" within $patience "$how" "$client" "$(to $server $family)"
      done
    done
  done
}

apply() { kubectl apply -f - >/dev/null; }
find_addresses() { # POD
  read -r "address[${1}4]" "address[${1}6]" < <(kubectl -n shop get pod "$1" -o 'jsonpath={.status.podIPs[*].ip}{"\n"}')
}

set_up() {
  "$OMNITIDE_CLUSTER" load "$image" >/dev/null || exit 1
  kubectl create namespace shop >/dev/null
  {
    pod shop server1 1 "app: server" && pod shop server2 2 "app: server"
    pod shop client1 1 "app: client" && pod shop client2 2 "app: client"
    cat <<'YAML'
---
apiVersion: v1
kind: Service
metadata: {name: server, namespace: shop}
spec:
  ipFamilyPolicy: PreferDualStack
  selector: {app: server}
  ports: [{port: 80, targetPort: web}]
YAML
  } | apply
  kubectl apply -k "$root/manifests/kustomize/overlays/local" >/dev/null 2>&1
  check "pods start" kubectl -n shop wait --for=condition=Ready pods --all --timeout=60s
  check "agents rolled out" kubectl -n omnitide-system rollout status ds/omnitide-agent --timeout=90s
  for node in 1 2; do check "node $node follows the API server and enforces" within 20 policy_ready "$node"; done
  for each in server1 server2 client1 client2; do find_addresses $each; done
  service="$(kubectl -n shop get service server -o 'jsonpath={.spec.clusterIP}')"
}

deny_all() {
  apply <<'YAML'
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: closed, namespace: shop}
spec: {podSelector: {matchLabels: {app: server}}, policyTypes: [Ingress]}
YAML
}
allow_clients() {
  apply <<'YAML'
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: clients, namespace: shop}
spec:
  podSelector: {matchLabels: {app: server}}
  policyTypes: [Ingress]
  ingress:
  - from: [{podSelector: {matchLabels: {app: client}}}]
    ports: [{port: web}]
YAML
}

verdicts() {
  everywhere "without policy" reaches client1 client2
  check "without policy: through the Service" reaches client1 "$service:80"
  deny_all
  everywhere "closed" blocked client1 client2
  check "closed: through the Service" blocked client1 "$service:80"
  check "closed: the node itself reaches its pod" on_node 1 curl -sf -m 2 -o /dev/null "http://${address[server14]}:8080/"
  allow_clients
  everywhere "allowed by label and named port" reaches client1 client2
  check "allowed: through the Service" reaches client2 "$service:80"
  kubectl -n shop label pod client2 app=other --overwrite >/dev/null
  everywhere "a label that changed" blocked client2
  everywhere "a label that changed: the other client" reaches client1
  kubectl -n shop label pod client2 app=client --overwrite >/dev/null
  everywhere "and changed back" reaches client2
  apply <<'YAML'
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: no-way-out, namespace: shop}
spec: {podSelector: {matchLabels: {app: client}}, policyTypes: [Egress]}
YAML
  everywhere "no egress" blocked client1
  check "no egress: through the Service" blocked client1 "$service:80"
  kubectl -n shop delete networkpolicy no-way-out >/dev/null
  everywhere "egress again" reaches client1
}

cluster_policy() {
  kubectl apply --server-side -f "$OMNITIDE_SHARED/crds/clusternetworkpolicies.yaml" >/dev/null
  kubectl wait --for=condition=Established crd/clusternetworkpolicies.policy.networking.k8s.io --timeout=20s >/dev/null
  apply <<'YAML'
apiVersion: policy.networking.k8s.io/v1alpha2
kind: ClusterNetworkPolicy
metadata: {name: no-shop}
spec:
  tier: Admin
  priority: 10
  subject: {namespaces: {matchLabels: {kubernetes.io/metadata.name: shop}}}
  ingress:
  - {name: all, action: Deny, from: [{namespaces: {matchLabels: {kubernetes.io/metadata.name: shop}}}]}
YAML
  check "ClusterNetworkPolicy, whose kind came later, denies" within 60 blocked client1 "$(to server2 4)"
  kubectl delete clusternetworkpolicy no-shop >/dev/null
  check "ClusterNetworkPolicy deleted" within 10 reaches client1 "$(to server2 4)"
}

new_pod() {
  pod shop late 1 "app: stranger" | apply
  check "a pod that came later starts" kubectl -n shop wait --for=condition=Ready pod/late --timeout=60s
  find_addresses late
  everywhere "a pod that came later is no client" blocked late
}

without_api() {
  local pid container arguments
  pid="$(cat "$OMNITIDE_CLUSTER_RUN/apiserver.pid")"
  mapfile -d '' -t arguments <"/proc/$pid/cmdline"
  container="$(agent_pid 1)"
  kill -9 "$pid"
  while [[ -e "/proc/$pid" ]]; do sleep 0.1; done
  check "API server away: allowed" reaches_without_api client1 "${address[server24]}"
  check "API server away: denied" blocked_without_api late "${address[server24]}"
  kill -9 "$container" # the kubelet starts it anew, without the API server
  check "API server away, agent started anew: it runs" within 40 agent_runs_on 1 "$container"
  check "API server away, agent started anew: allowed" within 5 reaches_without_api client1 "${address[server24]}"
  check "API server away, agent started anew: denied" blocked_without_api late "${address[server24]}"
  check "API server away: its objects are known" within 15 objects_known
  nsenter --net=/run/netns/oc-cp setsid "${arguments[@]}" >>"$OMNITIDE_CLUSTER_RUN/apiserver.log" 2>&1 </dev/null &
  echo $! >"$OMNITIDE_CLUSTER_RUN/apiserver.pid"
  within 30 kubectl get --raw /readyz >/dev/null 2>&1
  kubectl -n shop delete networkpolicy clients >/dev/null
  patience=40 # the first of an agent's requests comes after 30 seconds at most, at random, and all others with it
  everywhere "API server back: a change arrives" blocked client1
  patience=5
  allow_clients
  everywhere "and back" reaches client1
}
# Without the API server no exec: from the network namespace of the pod's own process.
pod_pid() { on_node 1 ctr -a "$OMNITIDE_CLUSTER_RUN/node-1/containerd.sock" -n k8s.io tasks ls | awk 'NR > 1 { print $2 }' | while read -r pid; do nsenter -t "$pid" -n ip -4 -o addr show 2>/dev/null | grep -q "${address[${1}4]}/" && echo "$pid" && break; done; }
reaches_without_api() { nsenter -t "$(pod_pid "$1")" -n curl -sf -m 2 -o /dev/null "http://$2:8080/"; }
blocked_without_api() { ! reaches_without_api "$@"; }
agent_runs_on() { # NODE OLD: another process than that one, and it answers
  local now
  now="$(agent_pid "$1")" && [[ $now != "$2" ]] && on_node "$1" curl -sf -m 1 -o /dev/null http://127.0.0.1:9797/healthz
}
objects_known() { [[ "$(nsenter -t "$(agent_pid 1)" -m /usr/bin/omnitide-agent policy status -o json | tee "$work/known" | jq ".objects | tonumber")" -gt 10 ]]; }

roll_out() {
  kubectl -n omnitide-system rollout restart ds/omnitide-agent >/dev/null
  local failed=0 tries=0
  while ! kubectl -n omnitide-system rollout status ds/omnitide-agent --timeout=1s >/dev/null 2>&1 && [[ $tries -lt 60 ]]; do
    tries=$((tries + 1))
    reaches late "$(to server1 4)" && failed=$((failed + 1))
    blocked client1 "$(to server2 4)" && failed=$((failed + 1))
  done
  check "roll-out: no verdict was wrong in $tries rounds" test "$failed" -eq 0
}

removal() {
  kubectl delete -k "$root/manifests/kustomize/overlays/local" --wait=true --timeout=90s >/dev/null 2>&1
  for node in 1 2; do
    check "removed: node $node has no pin" within 20 no_pin "$node"
  done
  check "removed: what was closed is open" within 10 reaches late "$(to server2 4)"
}

set_up
verdicts
cluster_policy
new_pod
without_api
roll_out
removal
echo "$passed passed, $failed failed"
[[ $failed -eq 0 ]]
