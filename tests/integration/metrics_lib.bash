# shellcheck shell=bash
# One agent with its endpoint on a free port, for the tests of what reads it. Everything lies under $work; processes end
# by the id that started them.
set -u
# shellcheck source=tests/integration/checks.bash
. "$(dirname "${BASH_SOURCE[0]}")/checks.bash"

agent=$OMNITIDE_PROGRAMS/omnitide-agent
work=$(mktemp -d /tmp/omnitide-metrics-test-XXXXXX)
pids=()

finish() {
  for pid in "${pids[@]}"; do kill -9 "$pid" 2>/dev/null && wait "$pid" 2>/dev/null; done
  rm -rf "$work"
}
trap finish EXIT

empty() { # NAME TEXT: nothing was found
  if [ -z "$2" ]; then ok "$1"; else not_ok "$1" "$2"; fi
}
need() { # PROGRAM...: a test that cannot run is a failure
  local program
  for program in "$@"; do
    command -v "$program" >/dev/null || { echo "FAILED  needs $program (see .ci/lib/packages.sh)"; exit 1; }
  done
}
end_test() {
  printf '%d passed, %d failed\n' "$passed" "$failed"
  [ "$failed" = 0 ]
}

# start_agent [LINE OF CONFIGURATION...]: sets $url, "http://127.0.0.1:PORT".
start_agent() {
  printf '%s\n' "paths: {state_dir: $work/state, run_dir: $work/run}" "node: {name: press-7}" "$@" >"$work/agent.yaml"
  "$agent" run --config-dir "$work/none" --config "$work/agent.yaml" >"$work/agent.log" 2>&1 &
  pids+=("$!")
  within 20 is_ready || { echo "FAILED  the agent is not ready"; cat "$work/agent.log"; exit 1; }
}
agent_url() {
  "$agent" status --run-dir "$work/run" -o json 2>/dev/null |
    jq -r '.parts[] | select(.name == "http") | .urls[0] | sub("/metrics$"; "")'
}
is_ready() {
  url=$(agent_url) && [ -n "$url" ] && curl -sf -o /dev/null "$url/readyz"
}
# A port that nobody has at the moment.
free_port() {
  local port
  for _ in {1..50}; do
    port=$((20000 + RANDOM % 20000))
    (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null || { echo "$port"; return; }
  done
}
