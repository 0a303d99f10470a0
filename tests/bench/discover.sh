#!/usr/bin/env bash
# `omnitide-agent discover` against `lshw -quiet` on this machine: in turn, one run, ratio of medians.
set -euo pipefail
# shellcheck source=tests/bench/measure.bash
. "$(dirname "${BASH_SOURCE[0]}")/measure.bash"
need lshw
# lshw looks names up in both, and Debian installs them with it: without them it does less than its users have.
for ids in pci.ids usb.ids; do [[ -s /usr/share/misc/$ids ]] || die "needs the package $ids"; done
pairs=21
[[ "${1:-}" != --quick ]] || pairs=7
scratch="$(mktemp -d)"
trap 'rm -rf "$scratch"' EXIT

"$AGENT" discover --run-dir "$scratch" -o json >/dev/null  # what eBPF can do is probed once a boot
lshw -quiet >/dev/null 2>&1
for ((i = 0; i < pairs; i++)); do
  elapsed_us "$AGENT" discover --run-dir "$scratch" >>"$scratch/ours"
  elapsed_us "$AGENT" discover --run-dir "$scratch" -o json >>"$scratch/json"
  elapsed_us lshw -quiet >>"$scratch/lshw"
done
ours="$(median <"$scratch/ours")"
json="$(median <"$scratch/json")"
peer="$(median <"$scratch/lshw")"
printf '%s pairs; discover reads also what eBPF, NVMe, netlink and the file systems say\n' "$pairs"
row "discover, peer: lshw -quiet" "$(div "$ours" 1000) ms" "$(div "$peer" 1000) ms" "$(div "$ours" "$peer" %.3f)"
row "discover -o json, peer: lshw -quiet" "$(div "$json" 1000) ms" "$(div "$peer" 1000) ms" "$(div "$json" "$peer" %.3f)"
