#!/usr/bin/env bash
# The load generator against omnitide-registry: 10,000 nodes, kill -9, all back at once. --quick: few nodes, seconds.
set -euo pipefail
# shellcheck source=tests/bench/measure.bash
. "$(dirname "${BASH_SOURCE[0]}")/measure.bash"
need jq
generator="$ROOT/build/test/bin/load_generator"
[[ -x "$generator" ]] || die "build/test/bin/load_generator is not built"
result="$(mktemp)"
trap 'rm -f "$result"' EXIT
"$generator" "$@" --registry "$REGISTRY" -o json >"$result" || die "the load generator found a fault"
jq -r 'to_entries[] | select(.value | type == "number") | "  \(.key): \(.value)"' <"$result"
figure() { jq -r --arg key "$1" '.[$key]' <"$result"; }
nodes="$(figure nodes)"
heartbeats="$(figure heartbeatsPerSecond)"
memory="$(figure kibibytesPerNode)"
row "heartbeats a second, $nodes nodes, aim at least" "$heartbeats /s" "20000 /s" "$(div "$heartbeats" 20000)"
row "registry's memory for a connected node, aim" "$memory KiB" "64 KiB" "$(div "$memory" 64)"
row "heartbeat p99, kept connections" "$(figure steadyP99Milliseconds) ms" "-" "-"
row "heartbeat p99, all back at once after kill -9" "$(figure reconnectP99Milliseconds) ms" "-" "-"
row "acknowledged and lost" "$(($(figure missing) + $(figure stale) + $(figure wrongFacts) + $(figure lost)))" "0" "-"
