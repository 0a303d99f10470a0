# shellcheck shell=bash
# Real agents against a real registry, for agent_test.sh. Everything lies under $work; processes end by the id that
# started them.
set -u
# shellcheck source=tests/integration/checks.bash
. "$(dirname "${BASH_SOURCE[0]}")/../checks.bash"

agent=$OMNITIDE_PROGRAMS/omnitide-agent
registry=$OMNITIDE_PROGRAMS/omnitide-registry
work=$(mktemp -d /tmp/omnitide-agent-test-XXXXXX)
registry_pid=
agent_pids=()
veth=omt$$v # beside others of this machine

finish() {
  for pid in "${agent_pids[@]}" $registry_pid; do kill -9 "$pid" 2>/dev/null && wait "$pid" 2>/dev/null; done
  mountpoint -q "$work/full" && umount "$work/full"
  ip link del "${veth}0" 2>/dev/null
  rm -rf "$work"
}
trap finish EXIT

# start_registry [FLAG...]: on a free port the first time, on the same one afterwards.
start_registry() {
  : >>"$work/registry.log"
  "$registry" serve --dir "$work/registry" --listen "127.0.0.1:${port:-0}" --rate-limit 0 "$@" >"$work/registry.log" 2>&1 &
  registry_pid=$!
  if [ -z "${port:-}" ]; then
    within 10 grep -qoE 'https://127\.0\.0\.1:[0-9]+' "$work/registry.log" || { cat "$work/registry.log"; exit 1; }
    port=$(grep -oE 'https://127\.0\.0\.1:[0-9]+' "$work/registry.log" | head -1 | grep -oE '[0-9]+$')
  fi
}
stop_registry() { # SIGNAL
  kill "-$1" "$registry_pid" && wait "$registry_pid" 2>/dev/null
  registry_pid=
}
operator() { # METHOD PATH [CURL ARGUMENT...]
  local method=$1 path=$2
  shift 2
  curl -sS -X "$method" --cacert "$work/registry/ca.crt" --cert "$work/registry/operator/operator.crt" \
    --key "$work/registry/operator/operator.key" "https://127.0.0.1:$port$path" "$@"
}
# new_token USES: while the registry runs.
new_token() {
  operator POST /v1/tokens -H 'Content-Type: application/json' -d "{\"approve\":\"APPROVAL_MODE_AUTO\",\"uses\":$1}" | jq -r .secret
}

# configure NAME TOKEN: an agent's folder and its configuration.
configure() {
  mkdir -p "$work/$1"
  [ -n "$2" ] && (umask 077 && echo "$2" >"$work/$1/token")
  cat >"$work/$1/agent.yaml" <<YAML
paths: {state_dir: $work/$1/state, run_dir: $work/$1/run}
registration:
  endpoint: https://127.0.0.1:$port
  token_file: $work/$1/token
  start_jitter: 0s
  backoff_base: 100ms
  backoff_cap: 1s
http: {enabled: false}
YAML
}
start_agent() { # NAME: sets $agent_pid
  "$agent" run --config-dir "$work/none" --config "$work/$1/agent.yaml" >>"$work/$1/log" 2>&1 &
  agent_pid=$!
  agent_pids+=("$agent_pid")
}
stop_agent() { # SIGNAL PID
  kill "-$1" "$2" 2>/dev/null
  wait "$2" 2>/dev/null
}
status() { curl -sS --max-time 2 --unix-socket "$work/$1/run/agent.sock" http://localhost/v1/status 2>/dev/null; }
state_of() { status "$1" | jq -r .registration.state; }
is_state() { [ "$(state_of "$1")" = "$2" ]; }
node_field() { operator GET "/v1/nodes/$1" | jq -r "$2"; }
