#!/usr/bin/env bash
# telemetry_accounting.sh [--quick]: records with sequence numbers through random kills of agent, broker and network:
# tests/bench/telemetry_accounting.cpp. Fails when one is lost.
set -euo pipefail
# shellcheck source=tests/bench/measure.bash
source "$(dirname "${BASH_SOURCE[0]}")/measure.bash"
PROGRAM="$ROOT/build/test/bin/telemetry_accounting"
[[ -x "$PROGRAM" ]] || die "needs $PROGRAM"
need mosquitto mosquitto_sub
exec "$PROGRAM" "$@"
