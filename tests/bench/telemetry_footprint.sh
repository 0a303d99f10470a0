#!/usr/bin/env bash
# telemetry_footprint.sh [SECONDS | --quick] [--unscraped]: what telemetry adds to the memory (PSS) and CPU of an idle agent that is registered
# (so that TLS is there in each) and was scraped once (so that the memory of collections is; --unscraped: it was not, and what
# collections take is telemetry's): without it, with a broker, with a large backlog and no broker, and while that backlog drains. Each agent for SECONDS, 120 by default, one after the other.
set -euo pipefail
# shellcheck source=tests/bench/measure.bash
. "$(dirname "${BASH_SOURCE[0]}")/measure.bash"
seconds="${1:-120}"
megabytes=256
[[ "$seconds" != --quick ]] || seconds=30 megabytes=32
[[ "$seconds" =~ ^[0-9]+$ && "${2:---unscraped}" == --unscraped ]] || die "usage: telemetry_footprint.sh [SECONDS | --quick] [--unscraped]"
mode="${2:+, never scraped}"
need mosquitto
PROGRAM="${OMNITIDE_BENCH:-$ROOT/build/test/bin}/telemetry_backlog"
[[ -x "$PROGRAM" ]] || die "telemetry_backlog is not built"
scratch="$(mktemp -d)"
agent=0
broker=0
registry=0
finish() {
  for pid in "$agent" "$broker" "$registry"; do
    if ((pid)); then end_process "$pid"; fi
  done
  rm -rf "$scratch"
}
trap finish EXIT

port=$((20000 + RANDOM % 20000))
start_broker() {
  printf 'user root\nlistener %s 127.0.0.1\nallow_anonymous true\n' "$port" >"$scratch/mosquitto.conf"
  mosquitto -c "$scratch/mosquitto.conf" >"$scratch/mosquitto.log" 2>&1 &
  broker=$!
}
start_agent() { # NAME [TELEMETRY]
  cat >"$scratch/agent.yaml" <<YAML
node: {name: press-7}
paths: {state_dir: $scratch/$1, run_dir: $scratch/run}
http: {listen: "127.0.0.1:0"}
registration: {endpoint: "$url", token_file: $scratch/$1.token, start_jitter: 0s}
${2:-}
YAML
  "$AGENT" run --config-dir "$scratch/none" --config "$scratch/agent.yaml" >"$scratch/$1.log" 2>&1 &
  agent=$!
  wait_ready "$scratch/run" "$agent" || { tail -n 20 "$scratch/$1.log" >&2 && die "the agent is not ready"; }
  [[ -z "$mode" ]] || return 0
  curl -sf "$("$AGENT" status --run-dir "$scratch/run" -o json | grep -oE 'http://[^"]*/metrics')" >/dev/null || die "cannot scrape"
}
stop_agent() { end_process "$agent" && agent=0; }
ticks="$(getconf CLK_TCK)"
pss=0 cpu=0
idle() { # lets it be, and sets $pss and $cpu
  local before begin
  before="$(cpu_ticks "$agent")"
  begin="${EPOCHREALTIME/./}"
  sleep "$seconds"
  cpu="$(awk -v t="$(($(cpu_ticks "$agent") - before))" -v hz="$ticks" -v us="$((${EPOCHREALTIME/./} - begin))" \
    'BEGIN { printf "%.3f", t / hz / (us / 1e6) * 100 }')"
  # The drain below is watched by such questions: what they take is in each state.
  "$AGENT" status --run-dir "$scratch/run" -o json >/dev/null
  telemetry >/dev/null 2>&1
  pss="$(pss_kib "$agent")"
}
# It exits with 1 while there is no connection.
telemetry() { "$AGENT" telemetry status --run-dir "$scratch/run" -o json || true; }
backlog() { telemetry | grep -oE '"backlog": ?"[0-9]+' | grep -oE '[0-9]+$' | awk '{ sum += $1 } END { print sum }'; }

start_registry "$scratch/registry" "$scratch"/{off,online,away}.token
start_agent off
idle
off="$pss" off_cpu="$cpu"
stop_agent

on="telemetry: {brokers: [\"mqtt://127.0.0.1:$port\"], spool: {bytes: $((megabytes + 64))MiB, age: 0s}}"
start_broker
start_agent online "$on"
idle
online="$pss" online_cpu="$cpu"
telemetry | grep -qE '"link": ?"connected"' || die "the agent is not connected"
stop_agent
end_process "$broker" && broker=0

"$PROGRAM" "$scratch/away/telemetry/spool" "$megabytes" || die "the backlog cannot be made"
start_agent away "$on"
idle
away="$pss"
records="$(backlog)"
((records >= megabytes * 1000)) || die "the backlog has $records records"

start_broker
drain=0 begin="$SECONDS"
while ((SECONDS - begin < seconds + 120)); do
  now="$(pss_kib "$agent")"
  ((now <= drain)) || drain="$now"
  (("$(backlog)" > 1000)) || break
  sleep 0.5
done
left="$(backlog)"
printf 'PSS in KiB: off %s, online %s, %s records waiting %s, while they drain at most %s (%s left after %s s)\n' \
  "$off" "$online" "$records" "$away" "$drain" "$left" "$((SECONDS - begin))"
printf 'CPU of a core: off %s %%, online %s %%\n' "$off_cpu" "$online_cpu"
growth() { # NAME KIB
  row "PSS that telemetry adds, $1$mode, aim: 2 MB" "$(div "$((($2 - off) * 1024))" 1000000) MB" "2 MB" "$(div "$((($2 - off) * 1024))" 2000000)"
}
growth online "$online"
growth "${megabytes} MB waiting" "$away"
growth "while they drain" "$drain"
