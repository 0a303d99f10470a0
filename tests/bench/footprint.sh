#!/usr/bin/env bash
# footprint.sh [SECONDS | --quick] [--core]: memory (PSS) and CPU of an idle agent that is registered with a registry, which
# runs as its own program on loopback. 600 seconds by default. The agent is as its defaults have it; --core: health and the
# metrics of eBPF are off, so that discovery, registration and the daemon with its /metrics are left.
set -euo pipefail
# shellcheck source=tests/bench/measure.bash
. "$(dirname "${BASH_SOURCE[0]}")/measure.bash"
seconds="${1:-600}"
[[ "$seconds" != --quick ]] || seconds=30
[[ "$seconds" =~ ^[0-9]+$ && "${2:---core}" == --core ]] || die "usage: footprint.sh [SECONDS | --quick] [--core]"
what=agent
if [[ "${2:-}" == --core ]]; then
  export OMNITIDE_HEALTH_ENABLED=false OMNITIDE_METRICS_EBPF_ENABLED=false
  what="agent, its core"
fi
scratch="$(mktemp -d)"
agent=0
registry=0
finish() {
  for pid in "$agent" "$registry"; do
    if ((pid)); then end_process "$pid"; fi
  done
  rm -rf "$scratch"
}
trap finish EXIT

start_registry "$scratch/registry" "$scratch/join.token"
OMNITIDE_PATHS_STATE_DIR="$scratch/state" OMNITIDE_PATHS_RUN_DIR="$scratch/run" OMNITIDE_REGISTRATION_ENDPOINT="$url" \
  OMNITIDE_REGISTRATION_TOKEN_FILE="$scratch/join.token" OMNITIDE_HTTP_LISTEN=127.0.0.1:0 "$AGENT" run >"$scratch/log" 2>&1 &
agent=$!
wait_ready "$scratch/run" "$agent" || { tail -n 20 "$scratch/log" >&2 && die "the agent is not ready"; }

ticks="$(getconf CLK_TCK)"
agent_before="$(cpu_ticks "$agent")"
registry_before="$(cpu_ticks "$registry")"
begin="${EPOCHREALTIME/./}"
sleep "$seconds"
passed_us=$((${EPOCHREALTIME/./} - begin))
percent() { awk -v t="$1" -v hz="$ticks" -v us="$passed_us" 'BEGIN { printf "%.3f", t / hz / (us / 1e6) * 100 }'; }
agent_cpu="$(percent $(($(cpu_ticks "$agent") - agent_before)))"
registry_cpu="$(percent $(($(cpu_ticks "$registry") - registry_before)))"
agent_pss="$(pss_kib "$agent")"
registry_pss="$(pss_kib "$registry")"
printf 'after %s s: agent %s KiB PSS, %s %% of a core; registry with one node %s KiB PSS, %s %%\n' \
  "$seconds" "$agent_pss" "$agent_cpu" "$registry_pss" "$registry_cpu"
row "PSS of the $what after ${seconds} s, aim: 10 MB" "$(div "$((agent_pss * 1024))" 1000000) MB" "10 MB" "$(div "$((agent_pss * 1024))" 10000000)"
row "CPU of the idle $what, aim: 0.2 % of a core" "$agent_cpu %" "0.2 %" "$(div "$agent_cpu" 0.2)"
