#!/usr/bin/env bash
# health.sh [--quick]: the agent's health beside monit and node-problem-detector: memory and CPU while idle and while the kernel logs
# 5,000 lines a second, the time until a line is seen, until a failed unit is seen and until it runs again (health_mend.bash). All run
# side by side and get the same lines. Root, for /dev/kmsg; Go, for node-problem-detector; some four minutes. README.md says how alike
# the duties are.
set -euo pipefail
here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
# shellcheck source=tests/bench/measure.bash
. "$here/measure.bash"
# shellcheck source=tests/bench/peers.bash
. "$here/peers.bash"
# shellcheck source=tests/bench/health_programs.bash
. "$here/health_programs.bash"
# shellcheck source=tests/bench/health_mend.bash
. "$here/health_mend.bash"
need monit jq perl debootstrap systemd-nspawn
[[ -w /dev/kmsg && -w /proc/sys/kernel/printk_devkmsg ]] || die "needs root, and the kernel's log: /dev/kmsg"
idle=40 rounds=9 floods=3 flood_seconds=8 mends=5
[[ "${1:-}" != --quick ]] || { idle=10 rounds=5 floods=1 flood_seconds=3 mends=3; }
rates=(1000 5000) # lines a second
mark="bench$$"
marks=()
for ((i = 1; i <= rounds; i++)); do marks+=("see$i"); done
for rate in "${rates[@]}"; do
  for ((i = 1; i <= floods; i++)); do marks+=("flood$rate-$i" "after$rate-$i"); done
done
build_peer node-problem-detector
scratch="$(mktemp -d)"
devkmsg="$(</proc/sys/kernel/printk_devkmsg)"
finish() {
  set +e
  mend_stop
  stop "${!pid_of[@]}"
  echo "$devkmsg" >/proc/sys/kernel/printk_devkmsg
  rm -rf --one-file-system "$scratch"
}
trap finish EXIT
trap 'exit 130' INT TERM
echo on >/proc/sys/kernel/printk_devkmsg # by default a writer's lines are limited to ten in five seconds
rule_file >"$scratch/rules.json"

# flood RATE LINE: writes for $flood_seconds at RATE lines a second, LINE anywhere in it: at a fixed place it would always meet the same part of the second
# in which the agent counts its lines.
flood() {
  perl -MTime::HiRes=time,sleep -e '
    my ($rate, $line, $seconds, @targets) = @ARGV;
    my @logs = map { open my $log, ">>", $_ or die "$_: $!\n"; $log } @targets;
    my ($begin, $total, $n) = (time, $seconds * $rate, 0);
    my $at = int($total * (0.1 + rand 0.8));
    while ($n < $total) {
      my $due = int((time - $begin) * $rate);
      for (; $n < $due && $n < $total; ++$n) {
        my $text = $n == $at ? $line : "<6>usb 1-1: bench flood line $n: device descriptor read, all is well here";
        for my $log (@logs) { syswrite $log, "$text\n" or die "$!\n" }
      }
      sleep 0.002;
    }' "$1" "$2" "$flood_seconds" /dev/kmsg "$scratch/kern.log"
}

# see ROUND NAME...: writes the line of a round, and appends to NAME.see the milliseconds until the log of each has it; "never" after five
# seconds.
see() {
  local name words
  words="$(perl -MTime::HiRes=time,sleep -e '
    my ($line, $word, $scratch, @names) = @ARGV;
    my @logs = map { open my $log, ">>", $_ or die "$_: $!\n"; $log } "/dev/kmsg", "$scratch/kern.log";
    my (%in, %text, %after);
    for (@names) { open $in{$_}, "<", "$scratch/$_.log" or die "$_: $!\n"; seek $in{$_}, 0, 2; $text{$_} = "" }
    my $begin = time;
    for my $log (@logs) { syswrite $log, "$line\n" or die "$!\n" }
    while (time - $begin < 5 && keys %after < @names) {
      for (grep { !exists $after{$_} } @names) {
        sysread $in{$_}, $text{$_}, 65536, length $text{$_};
        $after{$_} = sprintf "%.2f", (time - $begin) * 1000 if index($text{$_}, $word) >= 0;
      }
      sleep 0.0002;
    }
    print "$_ ", $after{$_} // "never", "\n" for @names' "$(hung "$1")" "$mark-$1:" "$scratch" "${@:2}")"
  for name in "${@:2}"; do sed -n "s/^$name //p" <<<"$words" >>"$scratch/$name.see"; done
}

# compare WHAT UNIT FORM OURS PEER...: a row for each peer, by the functions or variables that were printed: NAME=VALUE.
compare() {
  local what="$1" unit="$2" form="$3" ours="$4" peer
  for peer in "${@:5}"; do row "$what; ${peer%%=*}" "$ours $unit" "${peer#*=} $unit" "$(div "$ours" "${peer#*=}" "$form")"; done
}

# 1. Idle.
start_agent agent 10000
start_monit monit 1
start_monit monit15 15
start_detector detector
sleep 2
declare -A before=() cpu=() pss=() rss=()
for who in agent monit monit15 detector; do before[$who]="$(cpu_us "${pid_of[$who]}")"; done
begin="${EPOCHREALTIME/./}"
sleep "$idle"
passed_us=$((${EPOCHREALTIME/./} - begin))
for who in agent monit monit15 detector; do
  cpu[$who]="$(awk -v us="$(($(cpu_us "${pid_of[$who]}") - before[$who]))" -v all="$passed_us" 'BEGIN { printf "%.4f", us / all * 100 }')"
  pss[$who]="$(pss_kib "${pid_of[$who]}")" rss[$who]="$(rss_kib "${pid_of[$who]}")"
  printf '%s, idle for %s s: %s KiB PSS, %s KiB RSS, %s %% of a core\n' "$who" "$idle" "${pss[$who]}" "${rss[$who]}" "${cpu[$who]}"
done
stop monit15
compare "Health idle, PSS" KiB %.2f "${pss[agent]}" "monit=${pss[monit]}" "node-problem-detector=${pss[detector]}"
compare "Health idle, RSS" KiB %.2f "${rss[agent]}" "monit=${rss[monit]}" "node-problem-detector=${rss[detector]}"
compare "Health idle, CPU" % %.3f "${cpu[agent]}" "monit each second=${cpu[monit]}" "node-problem-detector=${cpu[detector]}"
if ((idle >= 30)); then # else it may not have looked once
  compare "Health idle, CPU" % %.2f "${cpu[agent]}" "monit each 15 s, as ours=${cpu[monit15]}"
fi

# 2. Time to see.
for ((i = 1; i <= rounds; i++)); do
  see "see$i" agent monit detector
  sleep "1.$((RANDOM % 900 + 100))" # anywhere in monit's cycle
done
declare -A seen=()
for who in agent monit detector; do
  if grep -q never "$scratch/$who.see"; then die "$who did not see a line within 5 s: $(tail -n 5 "$scratch/$who.log")"; fi
  seen[$who]="$(median <"$scratch/$who.see")"
  printf '%s: a line is told after %s ms (%s)\n' "$who" "${seen[$who]}" "$(sort -n "$scratch/$who.see" | paste -sd' ')"
done
compare "Time to see a kernel line" ms %.4f "${seen[agent]}" "monit each second=${seen[monit]}" "node-problem-detector=${seen[detector]}"

# 3. Floods. With the larger one a second agent looks at 1,000 lines a second. Whoever has stopped reading is started anew.
flood_all() { # RATE NAME...: appends CPU in us, whether the line that matters was told, PSS, and whether one afterwards was, to NAME.RATE
  local rate="$1" round who told
  for ((round = 1; round <= floods; round++)); do
    for who in "${@:2}"; do
      before[$who]="$(cpu_us "${pid_of[$who]}")"
      : >"$scratch/$who.see"
    done
    flood "$rate" "$(hung "flood$rate-$round")"
    sleep 4 # what is behind is worked off
    for who in "${@:2}"; do
      told="$(grep -c "$mark-flood$rate-$round:" "$scratch/$who.log" || true)"
      printf '%s %s %s ' "$(($(cpu_us "${pid_of[$who]}") - before[$who]))" "$((told > 0))" "$(pss_kib "${pid_of[$who]}")" >>"$scratch/$who.$rate"
    done
    see "after$rate-$round" "${@:2}"
    for who in "${@:2}"; do grep -vc never "$scratch/$who.see" >>"$scratch/$who.$rate" || true; done
    if grep -q never "$scratch/detector.see"; then
      stop detector
      start_detector detector
    fi
  done
  for who in "${@:2}"; do
    printf '%s: %s lines/s for %s s: %s %% of a core, %s KiB PSS; the line that matters was told in %s, one afterwards in %s\n' "$who" \
      "$rate" "$flood_seconds" "$(flood_cpu "$who")" "$(flood_pss "$who")" "$(flood_told "$who")" "$(flood_hears "$who")"
  done
}
# Of one name at $rate.
flood_cpu() { cut -d' ' -f1 "$scratch/$1.$rate" | median | awk -v s="$flood_seconds" '{ printf "%.2f", $1 / 1e4 / s }'; }
flood_pss() { cut -d' ' -f3 "$scratch/$1.$rate" | median; }
flood_told() { awk '{ n += $2 } END { printf "%d of %d", n, NR }' "$scratch/$1.$rate"; }
flood_hears() { awk '{ n += $4 } END { printf "%d of %d", n, NR }' "$scratch/$1.$rate"; }
flood_rows() { # NAME SUFFIX
  compare "CPU under $rate kernel lines/s$2" % %.2f "$(flood_cpu "$1")" "monit=$(flood_cpu monit)"
  if [[ "$(flood_hears detector)" == "$floods of $floods" ]]; then
    compare "CPU under $rate kernel lines/s$2" % %.2f "$(flood_cpu "$1")" "node-problem-detector=$(flood_cpu detector)"
  else
    row "CPU under $rate kernel lines/s$2; node-problem-detector" "$(flood_cpu "$1") %" "stopped reading: $(flood_cpu detector) %" -
  fi
}
rate="${rates[0]}"
flood_all "$rate" agent monit detector
flood_rows agent ''
rate="${rates[1]}"
start_agent bounded 1000
flood_all "$rate" agent bounded monit detector
flood_rows agent ', all looked at'
flood_rows bounded ', at most 1,000/s looked at'
compare "PSS after it" KiB %.2f "$(flood_pss agent)" "monit=$(flood_pss monit)" "node-problem-detector=$(flood_pss detector)"
for rate in "${rates[@]}"; do
  row "The line that matters in $rate/s told; monit, node-problem-detector" "$(flood_told agent)" "$(flood_told monit), $(flood_told detector)" -
  row "A line after $rate/s told; monit, node-problem-detector" "$(flood_hears agent)" "$(flood_hears monit), $(flood_hears detector)" -
done
row "The line that matters in $rate/s told, at most 1,000/s looked at" "$(flood_told bounded)" - -
share() { awk -v lost="$1" -v all="$2" 'BEGIN { printf "%.0f %%", 100 * (1 - lost / all) }'; }
all_lines=$((rates[1] * flood_seconds * floods))
row "Kernel lines of ${rates[1]}/s looked at, of at most 10,000/s" "$(share "$(agent_lost agent)" "$all_lines")" "$all_lines lines" -
row "Kernel lines of ${rates[1]}/s looked at, of at most 1,000/s" "$(share "$(agent_lost bounded)" "$all_lines")" "$all_lines lines" -
if cat "$scratch"/detector.{before,log} 2>/dev/null | grep 'Kmsg channel closed'; then
  printf 'node-problem-detector stopped reading the kernel'\''s log when it was behind\n'
fi
stop agent bounded monit detector

# 4. A unit that is killed.
mend "$mends"
for who in agent monit detector; do
  seen[$who]="$(median <"$scratch/$who.failed")"
  printf '%s: a killed unit is told after %s ms (%s)\n' "$who" "${seen[$who]}" "$(sort -n "$scratch/$who.failed" | paste -sd' ')"
done
compare "Time to see a killed unit" ms %.4f "${seen[agent]}" "monit each second=${seen[monit]}" "node-problem-detector=${seen[detector]}"
agent_mend="$(median <"$scratch/agent.mend")" monit_mend="$(median <"$scratch/monit.mend")"
printf 'it runs again after: agent %s ms (%s), monit each second %s ms (%s); node-problem-detector mends nothing\n' "$agent_mend" \
  "$(sort -n "$scratch/agent.mend" | paste -sd' ')" "$monit_mend" "$(sort -n "$scratch/monit.mend" | paste -sd' ')"
compare "Time to mend a killed unit" ms %.4f "$agent_mend" "monit each second=$monit_mend"
row "Time to mend a killed unit; node-problem-detector" "$agent_mend ms" "mends nothing" -
