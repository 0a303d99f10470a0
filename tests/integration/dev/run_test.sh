#!/usr/bin/env bash
# run_test.sh BIN: what `./dev run` promises, with programs that are built already (BIN is their folder): one screen with the
# node, its hardware, its registration and what to try next; a second start within 2 s; Ctrl-C ends it with nothing left.
set -euo pipefail
bin="$(cd "${1:?usage: run_test.sh BIN}" && pwd -P)"
root="$(cd "$(dirname "${BASH_SOURCE[0]}")/../../.." && pwd -P)"
clone="$(mktemp -d)"
dev=0
finish() {
  if ((dev)); then kill -TERM "$dev" 2>/dev/null && wait "$dev" 2>/dev/null; fi
  rm -rf "$clone"
}
trap finish EXIT
broken() {
  printf 'FAILED: %s\n' "$1"
  cat "$clone/out"
  exit 1
}

mkdir -p "$clone/.ci" "$clone/build/release"
cp -a "$root/dev" "$clone/"
cp -a "$root/.ci/lib" "$clone/.ci/"
ln -s "$bin" "$clone/build/release/bin"
printf '# shellcheck shell=bash\nbuild() { :; }\n' >"$clone/.ci/lib/build.sh"
export OMNITIDE_REGISTRY_LISTEN=127.0.0.1:0 OMNITIDE_HTTP_LISTEN=127.0.0.1:0 NO_COLOR=1

# A background job of a script ignores SIGINT; a terminal's does not.
one_run() {
  : >"$clone/out" # not the screen before, however late the other shell opens it
  env --default-signal=INT "$clone/dev" run >"$clone/out" 2>&1 &
  dev=$!
  for ((i = 0; i < 200; i++)); do
    if grep -q 'Ctrl-C ends' "$clone/out"; then return; fi
    kill -0 "$dev" 2>/dev/null || broken "./dev run ended"
    sleep 0.05
  done
  broken "no screen after 10 s"
}
end_run() {
  local code=0 agent
  agent="$(pgrep -P "$dev" omnitide-agent || true)"
  [[ -n "$agent" ]] || broken "no agent below ./dev run"
  kill -INT "$dev"
  wait "$dev" || code=$?
  dev=0
  [[ $code == 0 ]] || broken "Ctrl-C: exit code $code"
  if kill -0 "$agent" 2>/dev/null; then broken "the agent outlives ./dev run"; fi
}

one_run
for word in '^[^ ]* *n-[a-z2-7]{26}  *ready' '^System ' '^CPU ' '^Memory ' '^Storage ' '^Network ' '^registry +on' '^registration +on' \
  'Registration: registered' 'http://127.0.0.1:[0-9]+/metrics' './dev agent discover'; do
  grep -qE -- "$word" "$clone/out" || broken "the screen lacks: $word"
done
lines="$(wc -l <"$clone/out")"
((lines <= 40)) || broken "$lines lines are no screen"
[[ "$(stat -c %a "$clone/.omnitide/state")" == 700 ]] || broken "others can read the state"
node="$(grep -oE 'n-[a-z2-7]{26}' "$clone/out" | head -n 1)"
"$clone/dev" agent status -o json | grep -q "$node" || broken "./dev agent status finds another agent"
if "$clone/dev" run >"$clone/second" 2>&1; then broken "two agents in one clone"; fi
end_run

begin="${EPOCHREALTIME/./}"
one_run
took=$((${EPOCHREALTIME/./} - begin))
((took < 2000000)) || broken "the second start took $took us"
grep -q "$node" "$clone/out" || broken "the second start is another node"
end_run

# A part that fails is said on the screen, and the others run.
port="$(grep -oE 'http://127.0.0.1:[0-9]+/metrics' "$clone/out" | grep -oE '[0-9]+/' | tr -d / | head -n 1)"
OMNITIDE_REGISTRY_LISTEN="127.0.0.1:$port" OMNITIDE_HTTP_LISTEN="localhost:$port" one_run
for word in '  not ready' '^Not ready: http failed: .*in use' '^http +failed ' '^Registration: registered'; do
  grep -qE -- "$word" "$clone/out" || broken "with a port that is taken, the screen lacks: $word"
done
end_run
printf 'ok: one screen of %s lines, second start in %s ms, ended by Ctrl-C\n' "$lines" "$((took / 1000))"
