# shellcheck shell=bash
# What the tests that run real programs share: named checks, counted in $passed and $failed.
passed=0 failed=0

ok() { passed=$((passed + 1)); echo "ok      $1"; }
not_ok() { failed=$((failed + 1)); echo "FAILED  $1${2:+: $2}"; }
check() { # NAME COMMAND...: the command succeeds
  local name=$1
  shift
  if "$@"; then ok "$name"; else not_ok "$name" "$*"; fi
}
within() { # SECONDS COMMAND...: the command succeeds in time
  local deadline=$((${EPOCHREALTIME/./} + $1 * 1000000))
  shift
  until "$@"; do
    [ "${EPOCHREALTIME/./}" -ge "$deadline" ] && return 1
    sleep 0.1
  done
}
