# shellcheck shell=bash
# What the other files say and how. Colour only on a terminal.
if [[ -t 1 && -z "${NO_COLOR:-}" && "${TERM:-dumb}" != dumb ]]; then
  BOLD=$'\e[1m' PLAIN=$'\e[0m'
else
  BOLD='' PLAIN=''
fi

step() { printf '%s\n' "${BOLD}== $*${PLAIN}"; }
note() { printf '%s\n' "$*"; }
warn() { printf '%s\n' "$*" >&2; }
fail() {
  printf './dev: %s\n' "$*" >&2
  exit 1
}
in_ci() { [[ "${CI:-}" == true || "${CI:-}" == 1 ]]; }

# Milliseconds since the epoch.
now_ms() {
  local now="${EPOCHREALTIME/[.,]/}"
  printf '%s' "${now%???}"
}
