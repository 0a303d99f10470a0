#!/usr/bin/env bash
# telemetry_spool.sh [--quick]: records of 120 bytes into the spool and out of it, beside SQLite in transactions of the same
# 100 records, and beside handing them to a broker by `mosquitto_pub -l`; in turn in one run, medians.
set -euo pipefail
# shellcheck source=tests/bench/measure.bash
. "$(dirname "${BASH_SOURCE[0]}")/measure.bash"
PROGRAM="$ROOT/build/test/bin/telemetry_spool"
[[ -x "$PROGRAM" ]] || die "needs $PROGRAM"
need mosquitto mosquitto_pub
rounds=7
[[ "${1:-}" != --quick ]] || rounds=3
scratch="$(mktemp -d "${OMNITIDE_BENCH_DIR:-/tmp}/spool-XXXXXX")" # on a disk: /tmp may be memory
broker=0
finish() {
  if ((broker)); then end_process "$broker"; fi
  rm -rf "$scratch"
}
trap finish EXIT

port=$((20000 + RANDOM % 10000))
printf 'user root\nlistener %s 127.0.0.1\nallow_anonymous true\nmax_queued_messages 0\n' "$port" >"$scratch/mosquitto.conf"
mosquitto -c "$scratch/mosquitto.conf" >"$scratch/mosquitto.log" 2>&1 &
broker=$!
for ((i = 0; i < 100; i++)); do
  if mosquitto_pub -h 127.0.0.1 -p "$port" -t ready -m 1 2>/dev/null; then break; fi
  sleep 0.05
done
lines=50000
yes "$(printf 'x%.0s' {1..120})" 2>/dev/null | head -n "$lines" >"$scratch/lines" || true

# round WHAT RECORDS: appends records a second to WHAT. "in" begins with an empty folder, "out" takes what is there.
round() {
  if [[ $1 == *-in ]]; then rm -rf "$scratch/data" && mkdir "$scratch/data"; fi
  "$PROGRAM" "$1" "$2" "$scratch/data" >"$scratch/answer" || die "$1 failed"
  cut -d' ' -f1 <"$scratch/answer" >>"$scratch/$1"
}
# Until the broker has acknowledged all lines.
publish_round() {
  local begin="${EPOCHREALTIME/./}"
  mosquitto_pub -h 127.0.0.1 -p "$port" -q 1 -t records -l <"$scratch/lines" || die "mosquitto_pub failed"
  div "$((lines * 1000000))" "$((${EPOCHREALTIME/./} - begin))" '%.0f\n' >>"$scratch/mosquitto"
}
for ((i = 0; i < rounds; i++)); do
  round spool-in 1000000
  round spool-out 1000000
  round sqlite-normal-in 200000
  round sqlite-normal-out 200000
  round sqlite-full-in 20000
  publish_round
done

rate() { median <"$scratch/$1"; }
for what in spool-in spool-out sqlite-normal-in sqlite-normal-out sqlite-full-in mosquitto; do
  printf '%-18s %12.0f records/s   (%s)\n' "$what" "$(rate "$what")" "$(sort -n "$scratch/$what" | tr '\n' ' ')"
done
# The ratio is what the other takes of our speed: below 1 we are faster.
against() { # against NAME OURS PEER-NAME PEER
  row "$1, against $3" "$(rate "$2")/s" "$(rate "$4")/s" "$(div "$(rate "$4")" "$(rate "$2")" %.4f)"
}
row "records into the spool, aim: 100,000/s" "$(rate spool-in)/s" "100000/s" "$(div 100000 "$(rate spool-in)" %.3f)"
against "records into the spool" spool-in "SQLite NORMAL" sqlite-normal-in
against "records into the spool" spool-in "SQLite FULL" sqlite-full-in
against "records into the spool" spool-in "mosquitto_pub -l, QoS 1" mosquitto
against "records out of the spool" spool-out "SQLite NORMAL" sqlite-normal-out
