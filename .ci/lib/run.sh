# shellcheck shell=bash
# ./dev run: the agent with the embedded registry on loopback, everything below .omnitide/.

# The socket's path must fit into sockaddr_un: a clone in a very deep folder keeps its socket elsewhere.
run_dir() {
  if ((${#STATE} + 4 <= 96)); then
    printf '%s/run' "$STATE"
  else
    printf '%s/omnitide-%s' "${XDG_RUNTIME_DIR:-/tmp}" "$(printf '%s' "$STATE" | sha256sum | head -c 16)"
  fi
}

AGENT="$ROOT/build/release/bin/omnitide-agent"
RUN_DIR="$(run_dir)"

running() { [[ -x "$AGENT" ]] && "$AGENT" status --run-dir "$RUN_DIR" -o json >/dev/null 2>&1; }

# Values of ./dev run; what the caller's environment names wins.
export_configuration() {
  export OMNITIDE_PATHS_STATE_DIR="${OMNITIDE_PATHS_STATE_DIR:-$STATE/state}"
  export OMNITIDE_PATHS_RUN_DIR="${OMNITIDE_PATHS_RUN_DIR:-$RUN_DIR}"
  export OMNITIDE_REGISTRY_EMBEDDED="${OMNITIDE_REGISTRY_EMBEDDED:-true}"
  RUN_DIR="$OMNITIDE_PATHS_RUN_DIR"
  if [[ -z "${OMNITIDE_REGISTRY_LISTEN:-}" ]] && taken 7443; then export OMNITIDE_REGISTRY_LISTEN=127.0.0.1:0; fi
  if [[ -z "${OMNITIDE_HTTP_LISTEN:-}" ]] && taken 9797; then export OMNITIDE_HTTP_LISTEN=127.0.0.1:0; fi
}

# Another process listens on that port of loopback.
taken() {
  (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null || return 1
  note "Port $1 is taken by another process: a free one is used."
}

# Waits until the agent is ready, or will not be since a part of it failed: the others run. Returns 1 when it ended or took
# longer than 30 s.
wait_ready() {
  local pid="$1" deadline=$((SECONDS + 30)) said failed=''
  while ((SECONDS < deadline)); do
    kill -0 "$pid" 2>/dev/null || return 1
    said="$([[ ! -S "$RUN_DIR/agent.sock" ]] || "$AGENT" status --run-dir "$RUN_DIR" -o json 2>/dev/null || true)"
    if [[ $said =~ \"ready\":\ ?true ]]; then return 0; fi
    if [[ $said == *PART_STATE_FAILED* ]]; then
      if [[ -n $failed ]]; then return 0; fi
      failed=yes
      sleep 1 # the others are on their way
    fi
    sleep 0.03
  done
  return 1
}

command_run() {
  local log="$STATE/log/agent.log" agent_pid=0 follower=0 begin stopping='' status=0
  need_packages "${BUILD_PACKAGES[@]}"
  build release omnitide-agent omnitide-registry
  export_configuration
  (umask 077 && mkdir -p "$STATE/state" "$STATE/log" "$RUN_DIR") || fail "cannot write below .omnitide/ (made by another user?)"
  if running; then fail "an agent is running here already: $AGENT status --run-dir $RUN_DIR"; fi

  # The agent ends with this script, however that ends; a terminal's Ctrl-C reaches this script alone.
  begin="$(now_ms)"
  setsid setpriv --pdeathsig TERM "$AGENT" run "$@" >"$log" 2>&1 </dev/null &
  agent_pid=$!
  trap 'stopping=yes' INT TERM HUP
  if wait_ready "$agent_pid"; then
    show_node "$(($(now_ms) - begin))"
    tail -n 0 -F -q -s 0.2 "$log" &
    follower=$!
    wait "$agent_pid" || status=$?
  elif [[ -z "$stopping" ]]; then
    warn "The agent is not ready. What it said (${log#"$ROOT/"}):"
    tail -n 15 "$log" >&2
    "$AGENT" status --run-dir "$RUN_DIR" 2>/dev/null >&2 || true
    status=1
  fi
  end_agent
}

# Uses the caller's variables.
end_agent() {
  trap '' INT TERM HUP
  if [[ -n "$stopping" ]]; then
    status=0
    note ''
    note "Ending the agent"
  fi
  kill -TERM "$agent_pid" 2>/dev/null || true
  local code=0
  wait "$agent_pid" 2>/dev/null || code=$?
  if ((follower)); then
    kill "$follower" 2>/dev/null || true
    wait "$follower" 2>/dev/null || true
  fi
  if [[ -n "$stopping" ]] && ((code != 0 && code != 127 && code != 143)); then status=$code; fi
  exit "$status"
}

show_node() {
  local metrics
  "$AGENT" status --run-dir "$RUN_DIR" | sed '/^Last events/,$d' || true
  metrics="$("$AGENT" status --run-dir "$RUN_DIR" -o json | grep -oE '"https?://[^"]*/metrics"' | tr -d '"' || true)"
  cat <<TEXT
Up in $1 ms. Try in another terminal (./dev agent COMMAND is ${AGENT#"$ROOT/"} COMMAND --run-dir ${RUN_DIR#"$ROOT/"}):
  ./dev agent discover               all that was found; -o json|yaml|labels
  ./dev agent doctor                 what works on this machine, what is missing, what to do
  ./dev agent registry nodes list    the nodes that the registry knows
  ${metrics:+curl -s $metrics}
TEXT
  if [[ "$(id -u)" != 0 ]]; then
    note "Not root: left out is what only root may read or try (SMBIOS, eBPF, NVMe logs); sudo ./dev run has it all."
  fi
  note "Ctrl-C ends the agent. Its log, also in .omnitide/log/agent.log:"
}

# ./dev agent COMMAND...: the built program, pointed at the agent of ./dev run.
command_agent() {
  [[ -x "$AGENT" ]] || fail "not built yet: ./dev build"
  export OMNITIDE_PATHS_STATE_DIR="${OMNITIDE_PATHS_STATE_DIR:-$STATE/state}" OMNITIDE_PATHS_RUN_DIR="${OMNITIDE_PATHS_RUN_DIR:-$RUN_DIR}"
  exec "$AGENT" "$@"
}
