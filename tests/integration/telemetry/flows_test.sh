#!/usr/bin/env bash
# What network policy judges reaches the subscribers of a real broker, with names, verdict and reason. Needs root.
# shellcheck disable=SC2317  # functions that `within` calls
set -euo pipefail
here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd -P)"
# shellcheck source=tests/bench/measure.bash
. "$here/../../bench/measure.bash"
# shellcheck source=tests/bench/policy_node.bash
. "$here/../../bench/policy_node.bash"
need mosquitto mosquitto_sub jq
enter_namespaces "$@"
port=1883 # of a namespace of its own
add_node node
add_pod node dev2 10.1.0.2 client
add_pod node dev3 10.1.0.3 server
mkdir -p "$scratch/agent/policy"
for pod in 2 3; do
  printf 'apiVersion: v1\nkind: Pod\nmetadata: {name: p%s}\nspec: {nodeName: here}\nstatus: {podIP: 10.1.0.%s}\n' \
    "$pod" "$pod" >"$scratch/agent/policy/p$pod.yaml"
done
printf 'apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: web}\nspec: {podSelector: {}, ingress: [{ports: [{port: 80}]}]}\n' \
  >"$scratch/agent/policy/web.yaml"

printf 'listener %s 127.0.0.1\nallow_anonymous true\nuser root\n' "$port" >"$scratch/mosquitto.conf"
nsenter --net=/run/netns/node mosquitto -c "$scratch/mosquitto.conf" >"$scratch/mosquitto.log" 2>&1 &
POLICY_PIDS+=("$!")
start_policy_agent node agent
printf 'telemetry: {brokers: ["mqtt://127.0.0.1:%s"], group: plant, node: here, plain.format: json, backoff_base: 100ms, backoff_cap: 1s}\n' \
  "$port" >>"$scratch/agent/agent.yaml"
kill -HUP "$agent_pid"
policy_wait agent
online() { "$AGENT" telemetry status --run-dir "$scratch/agent/run" -o json 2>/dev/null | jq -e '.link == "connected"' >/dev/null; }
within() { # SECONDS COMMAND...
  local end=$((SECONDS + $1))
  until "${@:2}"; do
    ((SECONDS < end)) || return 1
    sleep 0.1
  done
}
within 20 online || { tail -n 5 "$scratch/agent/log" >&2 && die "the agent does not reach the broker"; }
nsenter --net=/run/netns/node timeout 60 mosquitto_sub -h 127.0.0.1 -p "$port" -t 'omnitide/v1/plant/here/flows' >"$scratch/flows" 2>"$scratch/sub.log" &
POLICY_PIDS+=("$!")

attempt() { run_in client timeout 1 bash -c "exec 3<>/dev/tcp/10.1.0.3/$1" 2>/dev/null || true; }
# flow VERDICT PORT: a message of the broker has it.
flow() {
  jq -es --arg verdict "$1" --argjson port "$2" '[.[].items[] | select(.verdict == $verdict and .l4.TCP.destinationPort == $port
    and .source.podName == "p2" and .destination.podName == "p3")] | length > 0' "$scratch/flows" >/dev/null 2>&1
}
seen() { attempt "$2" && flow "$1" "$2"; }
failed=0
for want in "FORWARDED 80" "DROPPED 81"; do
  # shellcheck disable=SC2086
  if within 20 seen $want; then echo "ok      ${want% *} to port ${want#* } comes from the broker"; else
    echo "FAILED  ${want% *} to port ${want#* }: $(head -c 600 "$scratch/flows")" && failed=1
  fi
done
exit "$failed"
