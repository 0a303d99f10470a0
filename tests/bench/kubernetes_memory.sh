#!/usr/bin/env bash
# kubernetes_memory.sh [--quick]: what a pod, a namespace and a policy cost that are followed: memory, and time to take one in.
set -euo pipefail
# shellcheck source=tests/bench/measure.bash
. "$(dirname "${BASH_SOURCE[0]}")/measure.bash"
program="${OMNITIDE_TEST_BIN:-$ROOT/build/test/bin}/kubernetes_memory"
[[ -x "$program" ]] || die "$program is not built"
"$program"
