#!/usr/bin/env bash
# kubectl omnitide against the agents of the local overlay on a real cluster: nodes, health, flows, what happens to a connection between
# pods of two nodes, and what it says when something is not there. Run by run.sh.
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

# As a user has it: kubectl and the plugin on the PATH.
mkdir "$work/bin"
printf '#!/usr/bin/env bash\nexec "%s" kubectl "$@"\n' "$OMNITIDE_CLUSTER" >"$work/bin/kubectl"
chmod +x "$work/bin/kubectl"
cp "$root/manifests/kubectl/kubectl-omnitide" "$work/bin/"
export PATH="$work/bin:$PATH"
plugin() { kubectl-omnitide "$@" >"$work/out" 2>"$work/err"; }
code() { # EXPECTED ARGUMENTS...
  local got=0
  plugin "${@:2}" || got=$?
  [[ $got == "$1" ]] || { echo "exit code $got: $(cat "$work/out" "$work/err")" >&2 && return 1; }
}
says() { grep -qE -- "$1" "$work/out" || { cat "$work/out" "$work/err" >&2 && return 1; }; }
complains() { grep -qE -- "$1" "$work/err" || { cat "$work/err" >&2 && return 1; }; }
holds() { jq -e "$1" "$work/out" >/dev/null || { cat "$work/out" >&2 && return 1; }; }

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
  - {name: main, image: "localhost/agnhost:1", imagePullPolicy: Never, args: [netexec, --http-port=8080]}
YAML
}
policy() { # PORT
  kubectl apply -f - >/dev/null <<YAML
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: db, namespace: shop}
spec:
  podSelector: {matchLabels: {app: db}}
  policyTypes: [Ingress]
  ingress: [{from: [{podSelector: {matchLabels: {app: web}}}], ports: [{port: $1}]}]
YAML
}
all_ready() { plugin nodes && [[ "$(grep -c ' yes ' "$work/out")" == 2 ]] && ! says 'starting'; }
explains() { plugin policy explain --from shop/web --to shop/db --port "$1" && says "$2"; }

set_up() {
  "$OMNITIDE_CLUSTER" load "$image" >/dev/null || exit 1
  check "without agents it says so" code 3 nodes
  check "and where to look" complains 'no agent in this cluster'
  kubectl create namespace shop >/dev/null
  { pod web 1 web && pod db 2 db && pod guest 1 guest; } | kubectl apply -f - >/dev/null
  kubectl apply -k "$root/manifests/kustomize/overlays/local" >/dev/null 2>&1
  check "agents rolled out" kubectl -n omnitide-system rollout status ds/omnitide-agent --timeout=90s
  check "pods start" kubectl -n shop wait --for=condition=Ready pods --all --timeout=60s
  policy 8080
}

nodes_and_health() {
  check "nodes: both are ready" within 30 all_ready
  check "nodes: a line for each node" says '^node-1 +yes +.* enforce .* 0\.[0-9]+\.[0-9]+'
  check "nodes: as kubectl's own command" kubectl omnitide nodes
  check "nodes: -o json" code 0 nodes -o json
  check "nodes: json has parts and versions" holds '.items | length == 2 and all(.[]; .ready and .policy == "enforce" and (.parts | length > 5) and (.version | length > 0))'
  check "nodes: one of them" code 0 nodes --node node-2 -o json
  check "nodes: and no other" holds '[.items[].node] == ["node-2"]'
  plugin health
  plugin health -o json
  check "health: of both nodes" holds '[.items[].node] == ["node-1", "node-2"] and all(.items[]; .health.conditions | length > 3)'
}

flows_of_all() {
  local follower
  kubectl-omnitide flows --follow --verdict dropped >"$work/followed" 2>&1 &
  follower=$!
  sleep 3
  address="$(kubectl -n shop get pod db -o 'jsonpath={.status.podIP}')"
  kubectl -n shop exec guest -- /agnhost connect "$address:8080" --timeout=1s --protocol=tcp >/dev/null 2>&1
  kubectl -n shop exec web -- /agnhost connect "$address:8080" --timeout=1s --protocol=tcp >/dev/null 2>&1
  followed() { grep -q 'node-2.*DROPPED.*shop/guest -> shop/db:8080' "$work/followed"; }
  check "flows: --follow has the drop at the destination's node" within 10 followed
  kill "$follower" && wait "$follower" 2>/dev/null
  check "flows: the follower leaves no process behind" none_left
  check "flows: of both nodes" code 0 flows --to shop/db -o json
  jq -s . "$work/out" >"$work/all" && mv "$work/all" "$work/out"
  check "flows: the connection leaves one node and enters the other" \
    holds '[.[] | select(.source.podName == "web") | .nodeName + " " + .verdict] | unique | contains(["node-1 FORWARDED", "node-2 FORWARDED"])'
  check "flows: in the order of time" holds '[.[].time] == ([.[].time] | sort)'
}
none_left() { ! pgrep -f 'kubectl.* exec .*omnitide-agent flows' >/dev/null; }

explanations() {
  check "explain: allowed" explains 8080 '^ALLOWED  shop/web -> shop/db, TCP 8080'
  check "explain: leaves by the source's agent" says '^ +leaves +node-1 +enforce +allow'
  check "explain: enters by the destination's agent" says '^ +enters +node-2 +enforce +allow'
  check "explain: by which policy" says 'decided by NetworkPolicy shop/db spec.ingress\[0\]'
  check "explain: denied" explains 9090 '^DENIED  shop/web -> shop/db'
  check "explain: at the destination" says '^ +enters +node-2 +enforce +deny'
  check "explain: -o json" code 0 policy explain --from shop/guest --to shop/db --port 8080 -o json
  check "explain: json says which node said what" holds '.judged == "deny" and .passes == false and .egress.node == "node-1" and .ingress.node == "node-2" and .ingress.verdict == "deny" and .egress.verdict == "allow"'
  check "explain: from outside" code 0 policy explain --from 192.0.2.7 --to shop/db --port 8080 -o json
  check "explain: nobody judges outside" holds '.egress.node == "" and .ingress.verdict == "deny"'
  policy 9090
  check "explain: a change is seen" within 5 explains 9090 '^ALLOWED'
}

# A node that the DaemonSet does not select any more: its agent does not go for good, and leaves everything.
left_behind() {
  check "uninstall-node: refused where an agent runs" code 1 uninstall-node node-2
  check "uninstall-node: and says so" says 'an agent runs on this node'
  check "uninstall-node: node 2 is chained, labelled" within 20 still_there 2
  kubectl label node node-1 shop=open >/dev/null
  kubectl -n omnitide-system patch ds omnitide-agent --type=merge -p '{"spec":{"template":{"spec":{"nodeSelector":{"shop":"open"}}}}}' >/dev/null
  check "uninstall-node: node 2 has no agent" within 60 alone 1
  check "uninstall-node: and what it left" still_there 2
  check "uninstall-node: done" code 0 uninstall-node node-2
  check "uninstall-node: what was taken out" says 'omnitide-cni is taken out of'
  check "uninstall-node: node 2 has no pin" no_pin 2
  check "uninstall-node: node 2 has no entry" no_entry 2
  check "uninstall-node: Node 2 has no label, condition, NodeInventory or Lease" clean_node 2
  check "uninstall-node: node 1 is as it was" still_there 1
  check "uninstall-node: again, with nothing left" code 0 uninstall-node node-2
  check "uninstall-node: a node that is none" code 2 uninstall-node node-9
  kubectl -n omnitide-system patch ds omnitide-agent --type=merge -p '{"spec":{"template":{"spec":{"nodeSelector":{"shop":null}}}}}' >/dev/null
  check "uninstall-node: an agent comes back" kubectl -n omnitide-system rollout status ds/omnitide-agent --timeout=90s
}
alone() { [[ "$(kubectl -n omnitide-system get pods -l app.kubernetes.io/name=omnitide-agent -o 'jsonpath={.items[*].spec.nodeName}')" == "node-$1" ]]; }
own_words() { # NODE: what is said of it in the cluster
  kubectl get node "node-$1" -o json | jq -r '.metadata.labels | keys[] | select(test("omnitide.io/"))'
  conditions_of "$1" | sed 's/^/condition /'
  kubectl get nodeinventory "node-$1" -o name 2>/dev/null
  kubectl -n omnitide-system get lease "omnitide-node-node-$1" -o name 2>/dev/null
}
still_there() { has_entry "$1" && ! no_pin "$1" && own_words "$1" >"$work/words" && grep -q '^condition ' "$work/words" && grep -q '^lease' "$work/words"; }
clean_node() { own_words "$1" >"$work/words"; [[ ! -s "$work/words" ]] || { cat "$work/words" >&2 && return 1; }; }

complaints() {
  check "a pod that is none" code 2 policy explain --from shop/nobody --to shop/db
  check "is named" complains 'no pod shop/nobody'
  check "a node that is none" code 3 nodes --node node-9
  check "an unknown command" code 2 nonsense
  check "an unknown form" code 2 nodes -o yaml
  check "a missing value" code 2 policy explain --from
  check "a command of one agent" code 0 agent node-1 policy status -o json
  check "comes as it is" holds '.mode == "enforce"'
  check "an option that the agent has not" code 2 agent node-1 status --nonsense
  # The program stays, and answers nobody.
  kill -STOP "$(agent_pid 2)"
  check "an agent that does not answer" code 3 --timeout 20 nodes
  check "is shown as such, beside the others" says '^node-1 +yes'
  check "with the reason" says '^node-2 +- +[a-z]'
  check "explain does not guess" code 3 --timeout 20 policy explain --from shop/web --to shop/db --port 9090
  check "and says so" says '^UNKNOWN'
  kill -CONT "$(agent_pid 2)"
}

set_up
nodes_and_health
flows_of_all
explanations
complaints
left_behind
kubectl delete -k "$root/manifests/kustomize/overlays/local" --wait=true --timeout=90s >/dev/null
echo "$passed passed, $failed failed"
[[ $failed -eq 0 ]]
