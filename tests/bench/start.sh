#!/usr/bin/env bash
# From the start of `omnitide-agent run` to registered and ready, with the embedded registry: the first start, which makes
# keys and certificates, and later ones. The agent's own figures from `status`; the disk is warm.
set -euo pipefail
# shellcheck source=tests/bench/measure.bash
. "$(dirname "${BASH_SOURCE[0]}")/measure.bash"
need jq
rounds=11
[[ "${1:-}" != --quick ]] || rounds=5
scratch="$(mktemp -d)"
pid=0
finish() {
  if ((pid)); then end_process "$pid"; fi
  rm -rf "$scratch"
}
trap finish EXIT

# one_start STATE FILE: appends "ready ms, certificates ms".
one_start() {
  OMNITIDE_PATHS_STATE_DIR="$1" OMNITIDE_PATHS_RUN_DIR="$scratch/run" OMNITIDE_REGISTRY_EMBEDDED=true \
    OMNITIDE_REGISTRY_LISTEN=127.0.0.1:0 OMNITIDE_HTTP_LISTEN=127.0.0.1:0 "$AGENT" run >"$scratch/log" 2>&1 &
  pid=$!
  wait_ready "$scratch/run" "$pid" || { tail -n 20 "$scratch/log" >&2 && die "the agent is not ready"; }
  "$AGENT" status --run-dir "$scratch/run" -o json >"$scratch/status"
  kill -TERM "$pid"
  wait "$pid" || die "the agent ended with $?"
  pid=0
  jq -r '"\(.readyAfterSeconds * 1000) \((.certificateSeconds // 0) * 1000)"' <"$scratch/status" >>"$2"
}

one_start "$scratch/warm" /dev/null
for ((i = 0; i < rounds; i++)); do
  one_start "$scratch/first-$i" "$scratch/first"
  one_start "$scratch/warm" "$scratch/later"
done
report() {
  local ready certificates
  ready="$(cut -d' ' -f1 <"$2" | median)"
  certificates="$(cut -d' ' -f2 <"$2" | median)"
  printf '%s: %.1f ms to registered and ready, of which %.1f ms for keys, certificates and handshakes\n' "$1" "$ready" "$certificates"
  row "$1, aim: 150 ms" "$(div "$ready" 1 %.1f) ms" "150 ms" "$(div "$ready" 150)"
}
report "first start, joining" "$scratch/first"
report "later start" "$scratch/later"
