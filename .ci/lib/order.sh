# shellcheck shell=bash
# ./dev order: which functions run in an agent that has been up for a while, by callgrind, into cmake/order/omnitide-agent.txt.

# recorded_functions FILE...: the names of functions of the program itself in callgrind's output, a number before each: 0 where the
# first file has it, else 1. Over all files each name stands once, and then its number.
recorded_functions() {
  awk '
    FNR == 1 { files++ }
    /^c?ob=/ {
      match($0, /\([0-9]+\)/); id = substr($0, RSTART, RLENGTH)
      if ($2 != "") objects[id] = $2
      if (/^ob=/) own = objects[id] ~ /\/omnitide-agent$/
    }
    /^c?fn=/ {
      match($0, /\([0-9]+\)/); id = substr($0, RSTART, RLENGTH)
      if ($2 != "") names[id] = $2
      if (!/^fn=/ || !own) next
      name = names[id]
      sub(/\x27[0-9]+$/, "", name)
      if (name ~ /^[A-Za-z_.$0-9]+$/ && !(name in seen)) { seen[name] = 1; print name, (files > 1) }
    }' "$@"
}

# What an idle agent runs first, then what a question or a fault takes. In either, Debian's archives last: their functions are in
# few sections, so that each one named brings a file of them along.
order_of() {
  nm --defined-only build/test/lib*.a 2>/dev/null | awk 'NF == 3 { print $3 }' >"$1/own"
  awk 'NR == FNR { own[$1] = 1; next } { print ($1 in own ? 0 : 2) + $2, $1 }' "$1/own" - | LC_ALL=C sort -k 1,1n -k 2,2 | cut -d ' ' -f 2
}

command_order() (
  [[ "$(id -u)" == 0 ]] || fail "order runs the agent with eBPF: it needs root"
  need_packages "${BUILD_PACKAGES[@]}" "${ORDER_PACKAGES[@]}"
  build test omnitide-agent omnitide-registry telemetry_backlog
  export OMNITIDE_BIN="$ROOT/build/test/bin"
  # shellcheck source=tests/bench/measure.bash
  . "$ROOT/tests/bench/measure.bash"
  scratch="$(mktemp -d)" order="$ROOT/cmake/order/omnitide-agent.txt" port=$((20000 + RANDOM % 20000))
  registry=0 agent=0 broker=0
  # shellcheck disable=SC2317  # by the trap
  finish() {
    for pid in "$agent" "$broker" "$registry"; do
      if ((pid)); then end_process "$pid"; fi
    done
    rm -rf "$scratch"
  }
  trap finish EXIT
  start_broker() {
    mosquitto -c "$scratch/mosquitto.conf" >"$scratch/mosquitto.log" 2>&1 &
    broker=$!
  }
  printf 'user root\nlistener %s 127.0.0.1\nallow_anonymous true\n' "$port" >"$scratch/mosquitto.conf"
  start_registry "$scratch/registry" "$scratch/token"
  mkdir "$scratch/state"
  cat >"$scratch/agent.yaml" <<YAML
paths: {state_dir: $scratch/state, run_dir: $scratch/run}
http: {listen: "127.0.0.1:0"}
registration: {endpoint: "$url", token_file: $scratch/token, start_jitter: 0s}
telemetry: {brokers: ["mqtt://127.0.0.1:$port"]}
YAML
  # What waited for the broker is sent while the rest goes on.
  build/test/bin/telemetry_backlog "$scratch/state/telemetry/spool" 8
  step "Running the agent under callgrind, five minutes"
  valgrind --tool=callgrind --demangle=no --instr-atstart=no --callgrind-out-file="$scratch/calls" \
    "$AGENT" run --config-dir "$scratch/none" --config "$scratch/agent.yaml" >"$scratch/log" 2>&1 &
  agent=$!
  for ((i = 0; i < 60; i++)); do
    sleep 1
    if "$AGENT" status --run-dir "$scratch/run" >/dev/null 2>&1; then break; fi
  done
  "$AGENT" status --run-dir "$scratch/run" >/dev/null || fail "the agent is not ready: $(tail -n 3 "$scratch/log")"
  sleep 20
  callgrind_control -i on "$agent" >/dev/null
  sleep 60
  start_broker
  sleep 100
  callgrind_control -d "$agent" >/dev/null
  # What fleets do to each agent: it is scraped, asked, and its broker is away for a while.
  curl -sf "$("$AGENT" status --run-dir "$scratch/run" -o json | grep -oE 'http://[^"]*/metrics')" >/dev/null
  end_process "$broker"
  sleep 40
  start_broker
  for ((i = 0; i < 90; i++)); do
    sleep 1
    if "$AGENT" telemetry status --run-dir "$scratch/run" >/dev/null 2>&1; then break; fi
  done
  sleep 20
  callgrind_control -i off "$agent" >/dev/null
  end_process "$agent"
  agent=0
  mkdir -p "${order%/*}"
  recorded_functions "$scratch"/calls.* "$scratch/calls" | order_of "$scratch" >"$scratch/order"
  (($(wc -l <"$scratch/order") > 1000)) || fail "only $(wc -l <"$scratch/order") functions were seen"
  mv "$scratch/order" "$order"
  note "${order#"$ROOT/"}: $(wc -l <"$order") functions"
)
