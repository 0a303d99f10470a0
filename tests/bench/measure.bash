# shellcheck shell=bash
# What the benchmark scripts share. OMNITIDE_BIN: where the programs are; build/release/bin by default.
ROOT="$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd -P)"
BIN="${OMNITIDE_BIN:-$ROOT/build/release/bin}"
# shellcheck disable=SC2034  # read by the scripts
AGENT="$BIN/omnitide-agent" REGISTRY="$BIN/omnitide-registry"
export LC_ALL=C

die() {
  printf '%s: %s\n' "${0##*/}" "$*" >&2
  exit 1
}
need() {
  local tool
  for tool in "$@"; do command -v "$tool" >/dev/null || die "needs $tool"; done
}

# Runs a command and prints how long it took, in microseconds.
elapsed_us() {
  local begin="${EPOCHREALTIME/./}"
  "$@" >/dev/null 2>&1 || die "failed: $*"
  printf '%s\n' "$((${EPOCHREALTIME/./} - begin))"
}

# Ends a process of this script by its id; how it ended is nobody's business.
end_process() {
  kill -TERM "$1" 2>/dev/null || return 0
  wait "$1" 2>/dev/null || true
}

# The median of the numbers on stdin.
median() { sort -n | awk '{ v[NR] = $1 } END { print NR % 2 ? v[(NR + 1) / 2] : (v[NR / 2] + v[NR / 2 + 1]) / 2 }'; }
div() { awk -v a="$1" -v b="$2" -v form="${3:-%.2f}" 'BEGIN { printf form, a / b }'; }

# row WHAT OURS PEER RATIO: a line of the table of ./dev bench.
row() { printf 'ROW\t%s\t%s\t%s\t%s\n' "$@"; }

# PSS and RSS of a process in KiB, and its CPU time so far: in clock ticks (proc(5): utime and stime of stat), and in microseconds, what
# those of its threads ran that are there.
pss_kib() { awk '/^Pss:/ { print $2 }' "/proc/$1/smaps_rollup"; }
rss_kib() { awk '/^Rss:/ { print $2 }' "/proc/$1/smaps_rollup"; }
cpu_ticks() {
  local stat
  stat="$(<"/proc/$1/stat")"
  stat="${stat##*) }"
  awk '{ print $12 + $13 }' <<<"$stat"
}

cpu_us() { cat /proc/"$1"/task/*/schedstat | awk '{ t += $1 } END { printf "%.0f", t / 1000 }'; }

# kernel_kib PID KIND: what the kernel says (fdinfo: memlock) of all BPF maps (map), or programs (prog), that the process has open,
# each once.
kernel_kib() {
  cat /proc/"$1"/fdinfo/* 2>/dev/null | awk -v kind="$2" '
    /^pos:/ { bytes = 0 }
    /^memlock:/ { bytes = $2 }
    $1 == kind "_id:" && !seen[$2]++ { sum += bytes }
    END { printf "%.0f", sum / 1024 }'
}

# A port of loopback that nobody listens at.
free_port() {
  local port
  for ((port = 20000 + RANDOM % 10000; port < 32000; port++)); do
    if ! (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; then
      printf '%s\n' "$port"
      return
    fi
  done
}

# wait_ready RUN_DIR PID: until `status` says so, 20 s at most.
wait_ready() {
  local end=$((SECONDS + 20))
  while ((SECONDS < end)) && kill -0 "$2" 2>/dev/null; do
    if [[ -S "$1/agent.sock" ]] && "$AGENT" status --run-dir "$1" -o json 2>/dev/null | grep -qE '"ready": ?true'; then return 0; fi
    sleep 0.02
  done
  return 1
}

# start_registry FOLDER TOKEN...: a registry of its own on loopback, and files with a join token each. Sets $registry, its process,
# and $url.
start_registry() {
  local token
  "$REGISTRY" init --dir "$1" >/dev/null
  for token in "${@:2}"; do "$REGISTRY" token --dir "$1" -o "$token" >/dev/null; done
  : >"$1.out" # there before it is read, however late the registry's shell is
  "$REGISTRY" serve --dir "$1" --listen 127.0.0.1:0 >"$1.out" 2>&1 &
  # shellcheck disable=SC2034  # the caller ends it
  registry=$!
  url=''
  for ((i = 0; i < 100; i++)); do
    url="$(sed -n 's/^Listening on //p' "$1.out")"
    if [[ -n "$url" ]]; then return; fi
    sleep 0.05
  done
  die "the registry does not listen: $(tail -n 3 "$1.out")"
}
