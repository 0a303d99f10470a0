#!/usr/bin/env bash
# A file of policy that is taken away is taken away in time, also while new flows never cease to come. Needs root.
set -euo pipefail
here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd -P)"
# shellcheck source=tests/bench/measure.bash
. "$here/../../bench/measure.bash"
# shellcheck source=tests/bench/policy_node.bash
. "$here/../../bench/policy_node.bash"
enter_namespaces "$@"
add_node node
add_pod node dev2 10.1.0.2 client
add_pod node dev3 10.1.0.3 server
mkdir -p "$scratch/agent/policy"
for pod in 2 3; do
  printf 'apiVersion: v1\nkind: Pod\nmetadata: {name: p%s}\nspec: {nodeName: here}\nstatus: {podIP: 10.1.0.%s}\n' \
    "$pod" "$pod" >"$scratch/agent/policy/p$pod.yaml"
done
printf 'apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: open}\nspec: {podSelector: {}, ingress: [{}]}\n' \
  >"$scratch/agent/policy/open.yaml"
start_policy_agent node agent
policy_wait agent
objects() { "$AGENT" policy status --run-dir "$scratch/agent/run" -o json | jq -r .objects; }
[[ "$(objects)" == 3 ]] || die "three objects were expected"

# Refused at once, each a new flow.
nsenter --net=/run/netns/client timeout 20 bash -c \
  'while :; do (exec 3<>/dev/tcp/10.1.0.3/9) 2>/dev/null; sleep 0.01; done' &
POLICY_PIDS+=("$!")
sleep 0.5
rm "$scratch/agent/policy/open.yaml"
for ((i = 0; i < 30; i++)); do
  if [[ "$(objects)" == 2 ]]; then echo "ok      the policy is gone" && exit 0; fi
  sleep 0.1
done
die "the policy is still there after 3 s"
