#!/usr/bin/env bash
# agreement_test.sh PROGRAM: every CPU, memory, disk and NIC fact that lshw states about this machine agrees with ours, both
# read in one run. Prints each comparison. Needs lshw and jq, and root for all that lshw can see.
set -euo pipefail
export LC_ALL=C
here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd -P)"
agent="${1:?usage: agreement_test.sh PROGRAM}"
for tool in lshw jq; do
  command -v "$tool" >/dev/null || { printf 'FAILED: needs %s\n' "$tool" >&2 && exit 1; }
done
scratch="$(mktemp -d)"
trap 'rm -rf "$scratch"' EXIT
lshw -quiet -json >"$scratch/lshw.json" 2>/dev/null
"$agent" discover --run-dir "$scratch" -o json >"$scratch/ours.json"
jq -n -c --slurpfile lshw "$scratch/lshw.json" --slurpfile ours "$scratch/ours.json" \
  '{lshw: $lshw[0], ours: $ours[0]}' | jq -c -f "$here/agreement.jq" >"$scratch/rows"
jq -r '[.how, .what, .lshw, .ours] | @tsv' <"$scratch/rows" | awk -F '\t' '{ printf "%-10.10s %-40s %-44s %s\n", $1, $2, $3, $4 }'
differ="$(jq -r 'select(.how == "differ") | .what' <"$scratch/rows")"
jq -r 'select(.how | startswith("explained")) | "\(.what): \(.how | ltrimstr("explained: "))"' <"$scratch/rows" | sort -u
all="$(wc -l <"$scratch/rows")"
bad="$(grep -c . <<<"$differ" || true)"
printf '%s facts of lshw: %s agree, %s differ\n' "$all" "$((all - bad))" "$bad"
[[ "$bad" == 0 && "$all" -gt 10 ]]
