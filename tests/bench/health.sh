#!/usr/bin/env bash
# health.sh [--quick]: the agent's health beside monit: memory and CPU while idle and while the kernel logs 5,000 lines a second, the
# time until a line is seen, and until a failed unit runs again (health_mend.bash). The agent has health and nothing else on, and a
# rule file in node-problem-detector's form. Root, for /dev/kmsg; some four minutes. README.md says how alike the duties are.
set -euo pipefail
here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
# shellcheck source=tests/bench/measure.bash
. "$here/measure.bash"
# shellcheck source=tests/bench/health_mend.bash
. "$here/health_mend.bash"
need monit jq perl debootstrap systemd-nspawn
[[ -w /dev/kmsg && -w /proc/sys/kernel/printk_devkmsg ]] || die "needs root, and the kernel's log: /dev/kmsg"
idle=45 rounds=11 floods=3 flood_seconds=8 mends=7
[[ "${1:-}" != --quick ]] || { idle=10 rounds=5 floods=1 flood_seconds=3 mends=3; }
rate=5000
mark="bench$$"
scratch="$(mktemp -d)"
devkmsg="$(</proc/sys/kernel/printk_devkmsg)"
agent=0 monit1=0 monit15=0
finish() {
  set +e
  mend_stop
  for pid in "$agent" "$monit1" "$monit15"; do
    if ((pid)); then end_process "$pid"; fi
  done
  echo "$devkmsg" >/proc/sys/kernel/printk_devkmsg
  rm -rf --one-file-system "$scratch"
}
trap finish EXIT
trap 'exit 130' INT TERM
echo on >/proc/sys/kernel/printk_devkmsg # by default a writer's lines are limited to ten in five seconds

# What the kernel says of a hung task, with a name of this run and round.
hung() { printf '<3>INFO: task %s-%s:77 blocked for more than 120 seconds.' "$mark" "$1"; }

# Both get the same patterns: twelve kinds of faults that the kernel names, and one for each round, since the agent tells events of one
# kind once in five minutes.
faults=('Killed process [0-9]+ .* anon-rss:[0-9]+kB' 'unregister_netdevice: waiting for .+ to become free' 'BUG: unable to handle'
  'divide error: 0000' 'EXT4-fs error' 'EXT4-fs warning' 'Buffer I/O error' 'XFS .* Shutting down filesystem'
  'CE memory read error' 'Remounting filesystem read-only' 'nf_conntrack: table full' 'NETDEV WATCHDOG: .* timed out')
marks=()
for ((i = 1; i <= rounds; i++)); do marks+=("see$i"); done
for ((i = 1; i <= floods; i++)); do marks+=("flood$i" "fast$i"); done
rule_file() {
  local pattern
  {
    for pattern in "${faults[@]}"; do printf 'Fault\t%s.*\n' "$pattern"; done
    for pattern in "${marks[@]}"; do printf 'Hung%s\ttask %s-%s:[0-9]+ blocked for more than [0-9]+ seconds.*\n' "$pattern" "$mark" "$pattern"; done
  } | jq -nR '{plugin: "kmsg", logPath: "/dev/kmsg", lookback: "5m", bufferSize: 10, source: "bench-monitor", conditions: [],
    rules: [inputs | split("\t") | {type: "temporary", reason: .[0], pattern: .[1]}]}'
}
rule_file >"$scratch/rules.json"

# start_agent RATE: lines a second that it looks at.
start_agent() {
  rm -rf "$scratch/state" "$scratch/run"
  cat >"$scratch/agent.yaml" <<YAML
paths: {state_dir: $scratch/state, run_dir: $scratch/run}
http: {enabled: false}
metrics: {enabled: false, ebpf.enabled: false}
discovery: {enabled: false}
health: {rule_files: [$scratch/rules.json], kernel_log_rate: $1}
YAML
  : >"$scratch/agent.log"
  mkdir -p "$scratch/etc"
  "$AGENT" run --config-dir "$scratch/etc" --config "$scratch/agent.yaml" >"$scratch/agent.log" 2>&1 &
  agent=$!
  wait_ready "$scratch/run" "$agent" || { tail -n 20 "$scratch/agent.log" >&2 && die "the agent is not ready"; }
  sleep 1 # what the kernel's buffer had is read
}
stop_agent() { end_process "$agent" && agent=0; }

# start_monit CYCLE: one that looks each CYCLE seconds; its process is monitCYCLE. monit reads no /dev/kmsg: it follows a file of the
# same lines, as syslog would write it.
start_monit() {
  local pattern i name="monit$1"
  : >>"$scratch/kern.log"
  {
    printf 'set daemon %s\nset log %s\nset idfile %s.id\nset statefile %s.state\nset pidfile %s.pid\n' "$1" "$scratch/$name.log" \
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
  printf -v "$name" %s "$!"
  for ((i = 0; i < 100; i++)); do
    if grep -qs ' started$' "$scratch/$name.log" && kill -0 "${!name}"; then return; fi
    sleep 0.05
  done
  die "monit does not run: $(tail -n 3 "$scratch/$name.out")"
}

# CPU of a process so far in microseconds: what its threads ran (the ticks of stat are too coarse here).
cpu_us() { cat /proc/"$1"/task/*/schedstat | awk '{ t += $1 } END { printf "%.0f", t / 1000 }'; }

# flood TARGET LINE: writes for $flood_seconds at $rate, LINE anywhere in it: at a fixed place it would always meet the same part of
# the second in which the agent counts its lines.
flood() {
  perl -MTime::HiRes=time,sleep -e '
    my ($target, $line, $seconds, $rate) = @ARGV;
    open my $log, ">>", $target or die "$target: $!\n";
    my ($begin, $total, $n) = (time, $seconds * $rate, 0);
    my $at = int($total * (0.1 + rand 0.8));
    while ($n < $total) {
      my $due = int((time - $begin) * $rate);
      for (; $n < $due && $n < $total; ++$n) {
        my $text = $n == $at ? $line : "<6>usb 1-1: bench flood line $n: device descriptor read, all is well here";
        syswrite $log, "$text\n" or die "$target: $!\n";
      }
      sleep 0.002;
    }' "$1" "$2" "$flood_seconds" "$rate"
}

# see TARGET LINE LOG WORD: writes LINE, prints the milliseconds until LOG has a new WORD; "never" after five seconds.
see() {
  perl -MTime::HiRes=time,sleep -e '
    my ($target, $line, $log, $word) = @ARGV;
    open my $out, ">>", $target or die "$target: $!\n";
    open my $in, "<", $log or die "$log: $!\n";
    seek $in, 0, 2;
    my ($begin, $text) = (time, "");
    syswrite $out, "$line\n" or die "$target: $!\n";
    while (time - $begin < 5) {
      sysread $in, $text, 65536, length $text;
      if (index($text, $word) >= 0) { printf "%.2f\n", (time - $begin) * 1000; exit }
      sleep 0.0002;
    }
    print "never\n"' "$@"
}

# Idle.
start_agent 1000
start_monit 1
start_monit 15
sleep 2
for who in agent monit1 monit15; do cpu_us "${!who}" >"$scratch/$who.before"; done
begin="${EPOCHREALTIME/./}"
sleep "$idle"
passed=$((${EPOCHREALTIME/./} - begin))
for who in agent monit1 monit15; do
  percent="$(awk -v a="$(cpu_us "${!who}")" -v b="$(<"$scratch/$who.before")" -v us="$passed" 'BEGIN { printf "%.3f", (a - b) / us * 100 }')"
  printf -v "${who}_cpu" %s "$percent"
  printf -v "${who}_pss" %s "$(pss_kib "${!who}")"
done
end_process "$monit15" && monit15=0
# shellcheck disable=SC2154  # set by printf -v
{
  printf 'idle for %s s: agent %s KiB PSS, %s %% of a core; monit each second %s KiB, %s %%; each 15 s %s KiB, %s %%\n' "$idle" \
    "$agent_pss" "$agent_cpu" "$monit1_pss" "$monit1_cpu" "$monit15_pss" "$monit15_cpu"
  row "Health idle, PSS; monit" "$agent_pss KiB" "$monit1_pss KiB" "$(div "$agent_pss" "$monit1_pss")"
  row "Health idle, CPU; monit each second" "$agent_cpu %" "$monit1_cpu %" "$(div "$agent_cpu" "$monit1_cpu" %.3f)"
  if ((idle >= 30)); then # else it may not have looked once
    row "Health idle, CPU; monit each 15 s, as ours" "$agent_cpu %" "$monit15_cpu %" "$(div "$agent_cpu" "$monit15_cpu")"
  fi
}

# Time to see.
for ((i = 1; i <= rounds; i++)); do
  see /dev/kmsg "$(hung "see$i")" "$scratch/agent.log" "$mark-see$i:" >>"$scratch/agent.see"
  sleep "2.$((RANDOM % 900 + 100))" # anywhere in monit's cycle, with a whole one between that finds nothing
  see "$scratch/kern.log" "$(hung "see$i")" "$scratch/monit1.log" "$mark-see$i:" >>"$scratch/monit1.see"
done
for who in agent monit1; do
  if grep -q never "$scratch/$who.see"; then die "$who did not see a line within 5 s: $(tail -n 5 "$scratch/$who.log")"; fi
  printf '%s: a line is told after %s ms (%s to %s)\n' "$who" "$(median <"$scratch/$who.see")" "$(sort -n "$scratch/$who.see" | head -n 1)" \
    "$(sort -n "$scratch/$who.see" | tail -n 1)"
done
agent_see="$(median <"$scratch/agent.see")" monit_see="$(median <"$scratch/monit1.see")"
row "Time to see a kernel line; monit each second" "$agent_see ms" "$monit_see ms" "$(div "$agent_see" "$monit_see" %.4f)"

# flood_round WHO PROCESS TARGET LOG NAME: appends CPU in us, whether the line that matters was told, and PSS, to WHO.flood.
flood_round() {
  local before seen=0 wait
  before="$(cpu_us "$2")"
  flood "$3" "$(hung "$5")"
  for ((wait = 0; wait < 30 && !seen; wait++)); do
    if grep -q "$mark-$5:" "$4"; then seen=1; else sleep 0.1; fi
  done
  sleep 1.2 # what is behind is worked off
  printf '%s %s %s\n' "$(($(cpu_us "$2") - before))" "$seen" "$(pss_kib "$2")" >>"$scratch/$1.flood"
}
lost() { "$AGENT" health --run-dir "$scratch/run" -o json 2>/dev/null | jq -r '.kernelLog.lost // 0' || true; }
for ((i = 1; i <= floods; i++)); do
  flood_round agent "$agent" /dev/kmsg "$scratch/agent.log" "flood$i"
  flood_round monit "$monit1" "$scratch/kern.log" "$scratch/monit1.log" "flood$i"
done
agent_lost="$(lost)"
stop_agent
start_agent 10000
for ((i = 1; i <= floods; i++)); do flood_round fast "$agent" /dev/kmsg "$scratch/agent.log" "fast$i"; done
fast_lost="$(lost)"
stop_agent
end_process "$monit1" && monit1=0
flood_cpu() { cut -d' ' -f1 "$scratch/$1.flood" | median | awk -v s="$flood_seconds" '{ printf "%.2f", $1 / 1e4 / s }'; }
flood_pss() { cut -d' ' -f3 "$scratch/$1.flood" | median; }
flood_seen() { awk '{ n += $2 } END { printf "%d of %d", n, NR }' "$scratch/$1.flood"; }
for who in agent fast monit; do
  printf '%s: %s lines/s for %s s: %s %% of a core, %s KiB PSS; the line that matters was told in %s\n' "$who" "$rate" "$flood_seconds" \
    "$(flood_cpu "$who")" "$(flood_pss "$who")" "$(flood_seen "$who")"
done
printf 'overwritten by the kernel before it was read, and counted: %s lines at 1,000 lines/s, %s at 10,000\n' "$agent_lost" "$fast_lost"
for who in agent fast; do
  [[ $who == agent ]] && with="at most 1,000/s looked at" || with="all looked at"
  row "CPU under $rate kernel lines/s, $with; monit" "$(flood_cpu "$who") %" "$(flood_cpu monit) %" "$(div "$(flood_cpu "$who")" "$(flood_cpu monit)")"
  row "PSS after it, $with; monit" "$(flood_pss "$who") KiB" "$(flood_pss monit) KiB" "$(div "$(flood_pss "$who")" "$(flood_pss monit)")"
  row "The line that matters told, $with; monit" "$(flood_seen "$who")" "$(flood_seen monit)" "-"
done
share() { awk -v lost="$1" -v all="$((rate * flood_seconds * floods))" 'BEGIN { printf "%.0f %%", 100 * (1 - lost / all) }'; }
row "Kernel lines that were looked at, of at most 1,000/s" "$(share "$agent_lost")" "$((rate * flood_seconds * floods)) lines" -
row "Kernel lines that were looked at, of at most 10,000/s" "$(share "$fast_lost")" "$((rate * flood_seconds * floods)) lines" -

# Time to mend.
mend "$mends"
agent_mend="$(median <"$scratch/agent.mend")" monit_mend="$(median <"$scratch/monit.mend")"
printf 'a killed unit runs again after: agent %s ms (%s), monit each second %s ms (%s)\n' "$agent_mend" \
  "$(sort -n "$scratch/agent.mend" | paste -sd' ')" "$monit_mend" "$(sort -n "$scratch/monit.mend" | paste -sd' ')"
row "Time to mend a killed unit; monit each second" "$agent_mend ms" "$monit_mend ms" "$(div "$agent_mend" "$monit_mend" %.4f)"

row "MISSING: node-problem-detector, see README.md" - "not measured" -
printf 'MISSING: node-problem-detector itself. It is no package of Debian and its Go module could not be had: there is no row that\n'
printf 'measures it. The agent ran with a rule file in its form instead (plugin kmsg, %s rules).\n' "$(jq '.rules | length' "$scratch/rules.json")"
