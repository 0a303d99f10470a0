#!/usr/bin/env bash
# What the eBPF metrics cost those who are measured: tests/bench/ebpf_overhead.cpp. Needs root and two CPUs.
#   ebpf_overhead.sh [ROUNDS [COLLECTOR,...]]
# Each round runs five loads without and with the collectors (all of them, or those named), the order changing. The
# columns are: median with, median without, their ratio; the aim is at most 1.03 each.
set -euo pipefail
# shellcheck source=tests/bench/measure.bash
source "$(dirname "${BASH_SOURCE[0]}")/measure.bash"
PROGRAM="${OMNITIDE_BENCH:-$ROOT/build/test/bin}/ebpf_overhead"
[[ -x "$PROGRAM" ]] || die "needs $PROGRAM"
((EUID == 0)) || die "needs root"
exec "$PROGRAM" "$@"
