#!/usr/bin/env bash
# telemetry_wire.sh [COLLECTIONS | --quick]: what a node sends in an hour with everything on at 10 s: Sparkplug as the
# kernel counts it on the agent's connection to mosquitto (topics, MQTT, answers; both directions), against Telegraf's JSON
# and Prometheus' remote write of the same values at each interval. 360 collections are the hour; fewer are extrapolated,
# the birth counted once. The machine has some load of its own kind.
set -euo pipefail
# shellcheck source=tests/bench/measure.bash
. "$(dirname "${BASH_SOURCE[0]}")/measure.bash"
rounds="${1:-30}"
[[ "$rounds" != --quick ]] || rounds=6
[[ "$rounds" =~ ^[0-9]+$ && "$rounds" -ge 3 ]] || die "usage: telemetry_wire.sh [COLLECTIONS | --quick]"
need mosquitto ss curl
PROGRAM="${OMNITIDE_BENCH:-$ROOT/build/test/bin}/telemetry_wire"
[[ -x "$PROGRAM" ]] || die "telemetry_wire is not built: it needs libsnappy-dev"
scratch="$(mktemp -d)"
pids=()
finish() {
  for pid in "${pids[@]}"; do end_process "$pid"; done
  rm -rf "$scratch"
}
trap finish EXIT

port=$((20000 + RANDOM % 20000))
printf 'user root\nlistener %s 127.0.0.1\nallow_anonymous true\n' "$port" >"$scratch/mosquitto.conf"
mosquitto -c "$scratch/mosquitto.conf" >"$scratch/mosquitto.log" 2>&1 &
pids+=("$!")
cat >"$scratch/agent.yaml" <<YAML
node: {name: press-7}
paths: {state_dir: $scratch/state, run_dir: $scratch/run}
http: {listen: "127.0.0.1:0"}
telemetry: {brokers: ["mqtt://127.0.0.1:$port"], plain: {enabled: false}}
YAML
"$AGENT" run --config-dir "$scratch/none" --config "$scratch/agent.yaml" >"$scratch/agent.log" 2>&1 &
agent=$!
pids+=("$agent")
wait_ready "$scratch/run" "$agent" || { tail -n 20 "$scratch/agent.log" >&2 && die "the agent is not ready"; }
telemetry() { "$AGENT" telemetry status --run-dir "$scratch/run" -o json; }
for ((i = 0; i < 200; i++)); do
  if telemetry 2>/dev/null | grep -qE '"phase": ?"online"'; then break; fi
  sleep 0.1
done
telemetry | grep -qE '"phase": ?"online"' || die "there is no birth: $(tail -n 3 "$scratch/agent.log")"

# Bytes of TCP's payload on the agent's connection, both directions.
wire() {
  ss -tinHO "dport = :$port" | grep -o 'bytes_\(sent\|received\):[0-9]*' | awk -F: '{ sum += $2 } END { print sum + 0 }'
}
# Some work: a tenth of a core, a little memory, files and connections.
load() {
  while :; do
    head -c 2000000 /dev/urandom | gzip >"$scratch/load" && sync "$scratch/load"
    (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null || true
    sleep 0.8
  done
}
load &
pids+=("$!")
sleep 1
birth="$(wire)"
for ((i = 0; i < rounds; i++)); do
  curl -sS --max-time 5 --unix-socket "$scratch/run/agent.sock" -H 'Accept: application/x-protobuf' \
    -o "$scratch/collection.$(printf '%05d' "$i")" http://localhost/v1/metrics
  sleep 10
done
total="$(wire)"
connects="$(telemetry | grep -oE '"connects": ?"[0-9]+"' | grep -oE '[0-9]+')"
[[ "$connects" == 1 ]] || die "the connection was made $connects times"
read -r metrics json batched remote < <("$PROGRAM" "$scratch"/collection.*)
hour() { awk -v bytes="$1" -v rounds="$rounds" 'BEGIN { printf "%.0f", bytes / rounds * 360 }'; }
ours=$((birth + $(hour $((total - birth)))))
json="$(hour "$json")"
batched="$(hour "$batched")"
remote="$(hour "$remote")"
printf '%s collections of %s metrics; birth %s bytes, then %s bytes a collection\n' "$rounds" "$((metrics / rounds))" \
  "$birth" "$(((total - birth) / rounds))"
row "bytes of a node-hour at 10 s, Sparkplug against Telegraf's JSON, aim: a tenth" "$ours" "$json" "$(div "$ours" "$json" %.3f)"
row "bytes of a node-hour at 10 s, Sparkplug against batched JSON" "$ours" "$batched" "$(div "$ours" "$batched" %.3f)"
row "bytes of a node-hour at 10 s, Sparkplug against remote write" "$ours" "$remote" "$(div "$ours" "$remote" %.3f)"
