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
"$generator" "$@" --registry "$REGISTRY" -o json >"$result"
jq -r 'to_entries[] | select(.value | type == "number") | "  \(.key): \(.value)"' <"$result"
