#!/usr/bin/env bash
# What a verdict costs in the kernel, in units of an empty program: tests/bench/policy_verdict.cpp. Needs root.
# The columns are: nanoseconds, the aim in units, units.
set -euo pipefail
# shellcheck source=tests/bench/measure.bash
source "$(dirname "${BASH_SOURCE[0]}")/measure.bash"
PROGRAM="$ROOT/build/test/bin/policy_verdict"
[[ -x "$PROGRAM" ]] || die "needs $PROGRAM"
((EUID == 0)) || die "needs root"
exec "$PROGRAM" "$@"
