# shellcheck shell=bash
# Of health.sh: the programs side by side, and the patterns that they have. Each is a process of that name in $pid_of, with its log in
# $scratch/NAME.log, and all get the same lines: in /dev/kmsg, and in $scratch/kern.log, as a syslog would write it, for monit, which
# reads no /dev/kmsg. Uses measure.bash, peers.bash, $scratch, $mark, $marks.
# shellcheck disable=SC2154  # of health.sh
declare -A pid_of=()

# What the kernel says of a hung task, with a name of this run and round.
hung() { printf '<3>INFO: task %s-%s:77 blocked for more than 120 seconds.' "$mark" "$1"; }

# Twelve kinds of faults that the kernel names, and one for each round, since the agent tells events of one kind once in five minutes.
faults=('Killed process [0-9]+ .* anon-rss:[0-9]+kB' 'unregister_netdevice: waiting for .+ to become free' 'BUG: unable to handle'
  'divide error: 0000' 'EXT4-fs error' 'EXT4-fs warning' 'Buffer I/O error' 'XFS .* Shutting down filesystem'
  'CE memory read error' 'Remounting filesystem read-only' 'nf_conntrack: table full' 'NETDEV WATCHDOG: .* timed out')
rule_file() {
  local pattern
  {
    for pattern in "${faults[@]}"; do printf 'Fault\t%s.*\n' "$pattern"; done
    for pattern in "${marks[@]}"; do printf 'Hung%s\ttask %s-%s:[0-9]+ blocked for more than [0-9]+ seconds.*\n' "$pattern" "$mark" "$pattern"; done
  } | jq -nR '{plugin: "kmsg", logPath: "/dev/kmsg", lookback: "5m", bufferSize: 10, source: "bench-monitor", conditions: [],
    rules: [inputs | split("\t") | {type: "temporary", reason: .[0], pattern: .[1]}]}'
}

# start_agent NAME RATE: lines a second that it looks at. It has health and nothing else on.
start_agent() {
  local folder="$scratch/$1"
  mkdir -p "$folder/etc"
  cat >"$folder/agent.yaml" <<YAML
paths: {state_dir: $folder/state, run_dir: $folder/run}
http: {enabled: false}
metrics: {enabled: false, ebpf.enabled: false}
discovery: {enabled: false}
health: {rule_files: [$scratch/rules.json], kernel_log_rate: $2}
YAML
  "$AGENT" run --config-dir "$folder/etc" --config "$folder/agent.yaml" >"$scratch/$1.log" 2>&1 &
  pid_of[$1]=$!
  wait_ready "$folder/run" "${pid_of[$1]}" || { tail -n 20 "$scratch/$1.log" >&2 && die "the agent is not ready"; }
  sleep 1 # what the kernel's buffer had is read
}
agent_lost() { "$AGENT" health --run-dir "$scratch/$1/run" -o json 2>/dev/null | jq -r '.kernelLog.lost // 0' || true; }

# start_monit NAME CYCLE: one that looks each CYCLE seconds.
start_monit() {
  local pattern i name="$1"
  : >>"$scratch/kern.log"
  {
    printf 'set daemon %s\nset log %s\nset idfile %s.id\nset statefile %s.state\nset pidfile %s.pid\n' "$2" "$scratch/$name.log" \
      "$scratch/$name" "$scratch/$name" "$scratch/$name"
    printf 'check system node\n  if memory usage > 95%% then alert\n  if loadavg (5min) > 100 then alert\n'
    printf 'check filesystem root with path /\n  if space usage > 90%% then alert\n  if inode usage > 95%% then alert\n'
    printf 'check process self with pidfile %s\n' "$scratch/$name.pid"
    printf 'check file kern with path %s\n' "$scratch/kern.log"
    for pattern in "${faults[@]}"; do printf '  if content = "%s" then alert\n' "$pattern"; done
    for pattern in "${marks[@]}"; do printf '  if content = "task %s-%s:[0-9]+ blocked for more than [0-9]+ seconds" then alert\n' "$mark" "$pattern"; done
  } >"$scratch/$name.conf"
  chmod 0600 "$scratch/$name.conf"
  monit -I -c "$scratch/$name.conf" >"$scratch/$name.out" 2>&1 &
  pid_of[$name]=$!
  for ((i = 0; i < 100; i++)); do
    if grep -qs ' started$' "$scratch/$name.log" && kill -0 "${pid_of[$name]}"; then return; fi
    sleep 0.05
  done
  die "monit does not run: $(tail -n 3 "$scratch/$name.out")"
}

# start_detector NAME: node-problem-detector with its own kernel-monitor.json, whose rule TaskHung meets the lines of all rounds. It does
# not run without one of its exporters: the one for Prometheus, which nobody asks.
start_detector() {
  local name="$1" i
  if [[ -e "$scratch/$name.log" ]]; then cat "$scratch/$name.log" >>"$scratch/$name.before"; fi
  : >"$scratch/$name.log"
  "$(peer_program node-problem-detector)" --enable-k8s-exporter=false --port=0 --prometheus-port="$(free_port)" --logtostderr \
    --config.system-log-monitor="$(peer_folder node-problem-detector)/config/kernel-monitor.json" >>"$scratch/$name.log" 2>&1 &
  pid_of[$name]=$!
  for ((i = 0; i < 100; i++)); do
    if grep -q 'Problem detector started' "$scratch/$name.log" && kill -0 "${pid_of[$name]}"; then break; fi
    sleep 0.05
  done
  ((i < 100)) || die "node-problem-detector does not run: $(tail -n 3 "$scratch/$name.log")"
  sleep 1
}

stop() {
  local name
  for name in "$@"; do
    if [[ -n ${pid_of[$name]:-} ]]; then end_process "${pid_of[$name]}"; fi
    unset "pid_of[$name]"
  done
}
