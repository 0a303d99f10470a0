#!/usr/bin/env bash
# kubectl omnitide without a cluster: real agents, and a kubectl that knows three nodes with an agent, of which one cannot be reached, and
# one without.
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/../metrics_lib.bash"
need jq column
plugin="$(cd "$(dirname "$0")/../../.." && pwd -P)/manifests/kubectl/kubectl-omnitide"

for i in 1 2; do
  printf '%s\n' "paths: {state_dir: $work/state$i, run_dir: $work/run$i}" "node: {name: node-$i}" 'http: {enabled: false}' 'metrics: {enabled: false}' \
    'discovery: {enabled: false}' >"$work/agent$i.yaml"
  "$agent" run --config-dir "$work/none" --config "$work/agent$i.yaml" >"$work/agent$i.log" 2>&1 &
  pids+=("$!")
done
answers() { "$agent" status --run-dir "$work/run$1" >/dev/null 2>&1; }
both_answer() { answers 1 && answers 2; }
within 20 both_answer || { echo "FAILED  the agents do not start"; cat "$work"/agent*.log; exit 1; }

cat >"$work/objects.json" <<'JSON'
{"apiVersion": "v1", "kind": "List", "items": [
  {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop"}},
  {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "web", "namespace": "shop", "labels": {"app": "web"}}, "spec": {"nodeName": "node-1"}, "status": {"phase": "Running", "podIPs": [{"ip": "10.244.1.2"}]}},
  {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "db", "namespace": "shop", "labels": {"app": "db"}}, "spec": {"nodeName": "node-2"}, "status": {"phase": "Running", "podIPs": [{"ip": "10.244.2.2"}]}},
  {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "far", "namespace": "shop"}, "spec": {"nodeName": "node-3"}, "status": {"phase": "Running", "podIPs": [{"ip": "10.244.3.2"}]}},
  {"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", "metadata": {"name": "db", "namespace": "shop"}, "spec": {
    "podSelector": {"matchLabels": {"app": "db"}}, "policyTypes": ["Ingress"],
    "ingress": [{"from": [{"podSelector": {"matchLabels": {"app": "web"}}}], "ports": [{"port": 5432}]}]}}]}
JSON
mkdir "$work/bin"
cat >"$work/bin/kubectl" <<'SH'
#!/usr/bin/env bash
agents='{items: [1, 2, 3] | map({metadata: {namespace: "omnitide-system", name: "agent-\(.)"}, spec: {nodeName: "node-\(.)"}, status: {containerStatuses: [{ready: true}]}})}'
case "$*" in
  *"get pods"*--selector*) jq -n "$agents" ;;
  *"get pods"*--field-selector*) jq -n '{items: []}' ;;
  *"get nodes"*) jq -n '{items: [1, 2, 3, 4] | map({metadata: {name: "node-\(.)"}})}' ;;
  *"get pod web"*) printf node-1 ;;
  *"get pod db"*) printf node-2 ;;
  *"get pod far"*) printf node-3 ;;
  *"get namespaces,nodes,pods,networkpolicies"*) cat "$FAKE_WORK/objects.json" ;;
  *"exec --stdin agent-3 "*) echo 'error: unable to upgrade connection: no such container' >&2 && exit 1 ;;
  *"exec --stdin agent-"*)
    [[ "$*" =~ agent-([12])\  ]] && run="$FAKE_WORK/run${BASH_REMATCH[1]}"
    while [[ $1 != omnitide-agent ]]; do shift; done
    as_it_is() { cat; }
    # An agent that enforces needs a kernel for itself: the mode is put in.
    enforcing() { jq --arg mode "$FAKE_MODE" '.policy = {mode: $mode, live: true}'; }
    how=as_it_is
    [[ -z "${FAKE_MODE:-}" || $2 != status ]] || how=enforcing
    set -o pipefail
    "$FAKE_AGENT" "${@:2}" --run-dir "$run" | $how || { code=$?; echo "command terminated with exit code $code" >&2; exit $code; }
    ;;
  *) echo 'Error from server (NotFound)' >&2 && exit 1 ;;
esac
SH
chmod +x "$work/bin/kubectl"
export PATH="$work/bin:$PATH" FAKE_WORK="$work" FAKE_AGENT="$agent"
code() { # EXPECTED ARGUMENTS...
  local got=0
  "$plugin" "${@:2}" >"$work/out" 2>"$work/err" || got=$?
  [ "$got" = "$1" ] || { echo "exit code $got"; cat "$work/out" "$work/err"; return 1; }
}
says() { grep -qE -- "$1" "$work/out" || { cat "$work/out"; return 1; }; }
complains() { grep -qE -- "$1" "$work/err" || { cat "$work/err"; return 1; }; }
holds() { jq -e "$1" "$work/out" >/dev/null || { cat "$work/out"; return 1; }; }

check "nodes: one cannot be reached" code 3 nodes
check "nodes: the others are shown" says '^node-1 +yes +[0-9]+ on'
check "nodes: with the reason" says '^node-3 +- +error: unable to upgrade connection'
check "nodes: and one without an agent" says '^node-4 +- +no agent'
check "nodes: two that answer" code 0 nodes --node node-1 --node node-2 -o json
check "nodes: as JSON" holds '[.items[] | .node + " " + .policy] == ["node-1 off", "node-2 off"] and all(.items[]; .ready)'
check "health: one cannot be reached" code 3 health
check "health: is shown" says '^node-3 +unreachable'
check "flows: policy is off" code 3 flows
check "flows: each node says so" complains 'node-2: .*network policy is off on this node'
check "explain: no agent judges" code 0 policy explain --from shop/web --to shop/db --port 80
check "explain: which is told of each node" says '^ +enters +node-2 +off +allow +network policy is off on this node'
check "explain: an agent that cannot be reached is no answer" code 3 policy explain --from shop/web --to shop/far -o json
check "explain: and none is guessed" holds '.judged == "unknown" and .passes == null and .egress.verdict == "allow"'
export FAKE_MODE=enforce
explain() { code 0 policy explain --from shop/web --to shop/db --port "$1" && says "$2"; }
check "explain: allowed" explain 5432 '^ALLOWED  shop/web -> shop/db, TCP 5432'
check "explain: leaves by the agent of the source" says '^ +leaves +node-1 +enforce +allow'
check "explain: by which rule" says 'decided by NetworkPolicy shop/db spec.ingress\[0\]'
check "explain: denied" explain 80 '^DENIED  shop/web'
check "explain: by the agent of the destination" says '^ +enters +node-2 +enforce +deny'
export FAKE_MODE=audit
check "explain: what is only audited passes" explain 80 '^DENIED, but passes: audit'
# The rules can still be read there, without the agent.
kill -STOP "${pids[1]}"
check "explain: an agent that hangs is no answer" code 3 policy explain --from shop/web --to shop/db --port 5432 -o json
check "explain: of its side alone" holds '.judged == "unknown" and .egress.verdict == "allow" and .ingress.verdict == "unknown"'
kill -CONT "${pids[1]}"
unset FAKE_MODE
check "explain: from outside" code 0 policy explain --from 192.0.2.1 --to shop/db -o json
check "explain: nobody judges there" holds '.egress.node == "" and .ingress.node == "node-2"'
check "explain: a pod that is none" code 2 policy explain --from shop/nobody --to shop/db
check "explain: is named" complains 'there is no pod shop/nobody'
check "one agent's command comes as it is" code 0 agent node-2 status -o json
check "from that node" holds '.hostname == "node-2"'
for wrong in "nonsense" "nodes -o yaml" "nodes --what" "policy matrix" "policy explain --from" "policy explain --to a/b" "--timeout x nodes" ""; do
  # shellcheck disable=SC2086 # words
  check "wrong usage: \"$wrong\"" code 2 $wrong
done
check "a node that is none" code 3 nodes --node node-9
end_test
