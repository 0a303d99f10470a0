#!/usr/bin/env bash
# scrape.sh [--quick]: what a scrape costs and how long it takes, the agent beside prometheus-node-exporter, in turn in one
# run. Both have the collectors that they have by default; the agent also has discovery and its own metrics.
set -euo pipefail
# shellcheck source=tests/bench/measure.bash
. "$(dirname "${BASH_SOURCE[0]}")/measure.bash"
need prometheus-node-exporter curl
rounds=10
[[ "${1:-}" != --quick ]] || rounds=3
scrapes=100 # of a round
scratch="$(mktemp -d)"
agent=0
peer=0
finish() {
  for pid in "$agent" "$peer"; do
    if ((pid)); then kill -TERM "$pid" 2>/dev/null && wait "$pid" 2>/dev/null; fi
  done
  rm -rf "$scratch"
}
trap finish EXIT

# A port of loopback that nobody listens at.
free_port() {
  local port
  for ((port = 20000 + RANDOM % 10000; port < 32000; port++)); do
    if ! (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; then
      printf '%s\n' "$port"
      return
    fi
  done
}
agent_port="$(free_port)"
OMNITIDE_PATHS_STATE_DIR="$scratch/state" OMNITIDE_PATHS_RUN_DIR="$scratch/run" \
  OMNITIDE_HTTP_LISTEN="127.0.0.1:$agent_port" "$AGENT" run --config-dir "$scratch" >"$scratch/agent.log" 2>&1 &
agent=$!
wait_ready "$scratch/run" "$agent" || { tail -n 20 "$scratch/agent.log" >&2 && die "the agent is not ready"; }
peer_port="$(free_port)"
prometheus-node-exporter --no-collector.systemd --web.listen-address="127.0.0.1:$peer_port" >"$scratch/peer.log" 2>&1 &
peer=$!
for ((i = 0; i < 100; i++)); do
  if curl -sf -o /dev/null "http://127.0.0.1:$peer_port/metrics"; then break; fi
  sleep 0.05
done

# scrape PORT: times of a round on one connection, in seconds, one a line.
scrape() {
  local i
  for ((i = 0; i < scrapes; i++)); do printf 'url = "http://127.0.0.1:%s/metrics"\noutput = "%s/body"\n' "$1" "$scratch"; done |
    curl -sf --compressed -w '%{time_total}\n' --config - || die "a scrape failed"
}
# round WHO PID PORT: appends to WHO.times, adds to WHO.ticks.
round() {
  local before
  before="$(cpu_ticks "$2")"
  scrape "$3" >>"$scratch/$1.times"
  printf '%s\n' "$(($(cpu_ticks "$2") - before))" >>"$scratch/$1.ticks"
}
scrape "$agent_port" >/dev/null
scrape "$peer_port" >/dev/null
for ((i = 0; i < rounds; i++)); do
  round agent "$agent" "$agent_port"
  round peer "$peer" "$peer_port"
done

percentile() { sort -n "$scratch/$1.times" | awk -v p="$2" '{ v[NR] = $1 } END { i = int(NR * p / 100 + 0.999); print v[i < 1 ? 1 : i] * 1e6 }'; }
cpu_us() { awk -v hz="$(getconf CLK_TCK)" -v n="$((rounds * scrapes))" '{ t += $1 } END { printf "%.0f", t / hz / n * 1e6 }' "$scratch/$1.ticks"; }
for who in agent peer; do
  printf '%-6s %s us CPU a scrape, p50 %s us, p99 %s us, %s KiB PSS, %s series\n' "$who" "$(cpu_us "$who")" \
    "$(percentile "$who" 50)" "$(percentile "$who" 99)" "$(pss_kib "${!who}")" \
    "$(curl -sf "http://127.0.0.1:$([[ $who == agent ]] && echo "$agent_port" || echo "$peer_port")/metrics" | grep -vc '^#')"
done
row "CPU of a scrape" "$(cpu_us agent) us" "$(cpu_us peer) us" "$(div "$(cpu_us agent)" "$(cpu_us peer)" %.3f)"
row "p50 of a scrape" "$(percentile agent 50) us" "$(percentile peer 50) us" "$(div "$(percentile agent 50)" "$(percentile peer 50)")"
row "p99 of a scrape" "$(percentile agent 99) us" "$(percentile peer 99) us" "$(div "$(percentile agent 99)" "$(percentile peer 99)")"
row "PSS after $((rounds * scrapes)) scrapes" "$(pss_kib "$agent") KiB" "$(pss_kib "$peer") KiB" "$(div "$(pss_kib "$agent")" "$(pss_kib "$peer")")"
