#!/usr/bin/env bash
# scrape.sh [--quick]: what a scrape costs and how long it takes, the agent beside prometheus-node-exporter, in turn in one
# run. `agent` has the collectors of node_exporter by default, discovery and its own metrics; `whole` is a second agent, which
# has the collectors of eBPF and network policy (audit) too.
set -euo pipefail
# shellcheck source=tests/bench/measure.bash
. "$(dirname "${BASH_SOURCE[0]}")/measure.bash"
need prometheus-node-exporter curl
rounds=10
[[ "${1:-}" != --quick ]] || rounds=3
scrapes=100 # of a round
scratch="$(mktemp -d)"
agent=0
whole=0
peer=0
finish() {
  for pid in "$agent" "$whole" "$peer"; do
    if ((pid)); then end_process "$pid"; fi
  done
  umount "$scratch/bpf" 2>/dev/null || true
  rm -rf "$scratch"
}
trap finish EXIT

# start NAME PORT VARIABLE=VALUE...
start() {
  mkdir -p "$scratch/$1/etc"
  # shellcheck disable=SC2153  # AGENT is of measure.bash
  env "OMNITIDE_PATHS_STATE_DIR=$scratch/$1/state" "OMNITIDE_PATHS_RUN_DIR=$scratch/$1/run" \
    "OMNITIDE_HTTP_LISTEN=127.0.0.1:$2" "${@:3}" "$AGENT" run --config-dir "$scratch/$1/etc" >"$scratch/$1.log" 2>&1 &
  printf -v "$1" %s "$!"
  wait_ready "$scratch/$1/run" "${!1}" || { tail -n 20 "$scratch/$1.log" >&2 && die "the agent is not ready"; }
}
agent_port="$(free_port)"
start agent "$agent_port" OMNITIDE_METRICS_EBPF_ENABLED=false
whole_port="$(free_port)"
mkdir -p "$scratch/policy" "$scratch/bpf"
mount -t bpf bpf "$scratch/bpf"
start whole "$whole_port" OMNITIDE_POLICY_MODE=audit "OMNITIDE_POLICY_DIRECTORY=$scratch/policy" "OMNITIDE_POLICY_PIN_DIR=$scratch/bpf/omnitide"
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
scrape "$whole_port" >/dev/null
scrape "$peer_port" >/dev/null
for ((i = 0; i < rounds; i++)); do
  round agent "$agent" "$agent_port"
  round whole "$whole" "$whole_port"
  round peer "$peer" "$peer_port"
done

percentile() { sort -n "$scratch/$1.times" | awk -v p="$2" '{ v[NR] = $1 } END { i = int(NR * p / 100 + 0.999); print v[i < 1 ? 1 : i] * 1e6 }'; }
scrape_us() { awk -v hz="$(getconf CLK_TCK)" -v n="$((rounds * scrapes))" '{ t += $1 } END { printf "%.0f", t / hz / n * 1e6 }' "$scratch/$1.ticks"; }
for who in agent whole peer; do
  port="${who}_port"
  printf '%-6s %s us CPU a scrape, p50 %s us, p99 %s us, %s KiB PSS, %s series\n' "$who" "$(scrape_us "$who")" \
    "$(percentile "$who" 50)" "$(percentile "$who" 99)" "$(pss_kib "${!who}")" \
    "$(curl -sf "http://127.0.0.1:${!port}/metrics" | grep -vc '^#')"
done
for who in agent whole; do
  [[ $who == agent ]] && with="the same collectors" || with="everything on"
  row "CPU of a scrape, $with" "$(scrape_us "$who") us" "$(scrape_us peer) us" "$(div "$(scrape_us "$who")" "$(scrape_us peer)" %.3f)"
  row "p50 of a scrape, $with" "$(percentile "$who" 50) us" "$(percentile peer 50) us" "$(div "$(percentile "$who" 50)" "$(percentile peer 50)")"
  row "p99 of a scrape, $with" "$(percentile "$who" 99) us" "$(percentile peer 99) us" "$(div "$(percentile "$who" 99)" "$(percentile peer 99)")"
  row "PSS after $((rounds * scrapes)) scrapes, $with" "$(pss_kib "${!who}") KiB" "$(pss_kib "$peer") KiB" "$(div "$(pss_kib "${!who}")" "$(pss_kib "$peer")")"
done
