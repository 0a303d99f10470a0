#!/usr/bin/env bash
# What the eBPF metrics cost those who are measured: tests/bench/ebpf_overhead.cpp. Needs root, two CPUs and fio.
#   ebpf_overhead.sh [--quick | ROUNDS [COLLECTOR,... | empty [LOAD,...]]]
# A round has each load (pipe1, pipe2, messages, reads, requests, fio1, fio16; or those named) four times: without, with, with
# and without the collectors (all of them, or those named; "" is all), every other round the other way round. `empty`: programs
# that do nothing in the same places instead, the price of the calls alone. The columns of a row are: median with, median
# without, the median of the rounds' ratios; the aim is at most 1.03 each. No agent with eBPF metrics may run meanwhile.
set -euo pipefail
# shellcheck source=tests/bench/measure.bash
source "$(dirname "${BASH_SOURCE[0]}")/measure.bash"
PROGRAM="${OMNITIDE_BENCH:-$ROOT/build/test/bin}/ebpf_overhead"
[[ -x "$PROGRAM" ]] || die "needs $PROGRAM"
((EUID == 0)) || die "needs root"
[[ "${1:-}" != --quick ]] || exec "$PROGRAM" 5
exec "$PROGRAM" "$@"
