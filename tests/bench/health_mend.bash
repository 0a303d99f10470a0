# shellcheck shell=bash
# Of health.sh: how long until it is told that a unit was killed, and until it runs again, in a Debian 12 that systemd-nspawn boots
# (tests/packages/machine.bash). Each program runs there as a service of root, with a unit of its own to guard. It is told when the
# program's own log has it; a unit itself notes its starts. Uses $scratch, $AGENT, peers.bash.
# shellcheck source=tests/packages/machine.bash disable=SC2153  # ROOT is of measure.bash
. "$ROOT/tests/packages/machine.bash"
# shellcheck disable=SC2034  # machine.bash's: where the systems are kept
roots="${OMNITIDE_ROOTS:-$ROOT/.omnitide/roots}"

within() { # SECONDS COMMAND...: the command succeeds in time
  local deadline=$((${EPOCHREALTIME/./} + $1 * 1000000))
  shift
  until "$@"; do
    if ((${EPOCHREALTIME/./} >= deadline)); then return 1; fi
    sleep 0.02
  done
}

# carry PROGRAM: this system's program and libraries into the machine, apart from its own.
carry() {
  local library
  mkdir -p "$root/opt/bench/lib"
  cp "$1" "$root/opt/bench/"
  for library in $(ldd "$1" | awk '$3 ~ /^\// { print $3 }'); do cp -L "$library" "$root/opt/bench/lib/"; done
}

# service NAME COMMAND: in the machine.
service() { printf '[Service]\nEnvironment=LD_LIBRARY_PATH=/opt/bench/lib\nExecStart=%s\n' "$2" >"$root/etc/systemd/system/$1.service"; }

mend_files() {
  local who
  mkdir -p "$root/opt/bench/etc" "$root/var/log/journal"
  carry "$AGENT"
  carry "$(command -v monit)"
  carry "$(peer_program node-problem-detector)"
  for who in agent monit detector; do # each notes when it was started, in ns
    service "for-$who" "/bin/sh -c 'echo \$\$\$\$ >/run/for-$who.pid; date +%%s%%N >>/opt/bench/for-$who.starts; exec sleep 100000'"
  done
  cat >"$root/opt/bench/agent.yaml" <<'YAML'
paths: {state_dir: /opt/bench/state, run_dir: /opt/bench/run}
http: {enabled: false}
metrics: {enabled: false, ebpf.enabled: false}
discovery: {enabled: false}
health: {units: [for-agent.service]}
YAML
  service bench-agent "/opt/bench/omnitide-agent run --config-dir /opt/bench/etc --config /opt/bench/agent.yaml"
  cat >"$root/opt/bench/monitrc" <<'MONIT'
set daemon 1
set log /opt/bench/monit.log
set idfile /opt/bench/monit.id
set statefile /opt/bench/monit.state
set pidfile /run/bench-monit.pid
check process for-monit with pidfile /run/for-monit.pid
  start program = "/bin/systemctl start for-monit"
  stop program = "/bin/systemctl stop for-monit"
MONIT
  chmod 0600 "$root/opt/bench/monitrc"
  service bench-monit "/opt/bench/monit -I -c /opt/bench/monitrc"
  # In the form of its own systemd-monitor.json: what systemd says of a unit in the journal.
  jq -n '{plugin: "journald", pluginConfig: {source: "systemd"}, logPath: "/var/log/journal", lookback: "5m", bufferSize: 10,
    source: "systemd-monitor", conditions: [], rules: [{type: "temporary", reason: "UnitFailed",
    pattern: "for-detector.service: Failed with result .*"}]}' >"$root/opt/bench/systemd-monitor.json"
  service bench-detector "/opt/bench/node-problem-detector --enable-k8s-exporter=false --port=0 --prometheus-port=20257 --logtostderr \
--config.system-log-monitor=/opt/bench/systemd-monitor.json"
  for who in agent detector; do printf 'StandardOutput=append:/opt/bench/%s.log\nStandardError=inherit\n' "$who" >>"$root/etc/systemd/system/bench-$who.service"; done
}

starts() { wc -l <"$root/opt/bench/for-$1.starts"; }
started_again() { (($(starts "$1") > $2)); }
agent_guards() {
  inside env LD_LIBRARY_PATH=/opt/bench/lib /opt/bench/omnitide-agent health --run-dir /opt/bench/run -o json 2>/dev/null |
    jq -e '.checks[] | select(.name == "unit:for-agent.service") | .verdict == "good"' >/dev/null
}
monit_guards() { grep -qs ' started$' "$root/opt/bench/monit.log"; }
detector_guards() { grep -qs 'Problem detector started' "$root/opt/bench/detector.log"; }
# What each writes when its unit has failed.
declare -A failed_words=([agent]=SystemdUnitFailed [monit]='process is not running' [detector]='Reason:UnitFailed')

# kill_unit WHO: kills the unit of WHO; prints the milliseconds until its log says so, "never" after ten seconds.
kill_unit() {
  perl -MTime::HiRes=time,sleep -e '
    my ($log, $word, $pid) = @ARGV;
    open my $in, "<", $log or die "$log: $!\n";
    seek $in, 0, 2;
    my ($begin, $text) = (time, "");
    kill 9, $pid or die "$pid: $!\n";
    while (time - $begin < 10) {
      sysread $in, $text, 65536, length $text;
      if (index($text, $word) >= 0) { printf "%.2f\n", (time - $begin) * 1000; exit }
      sleep 0.0002;
    }
    print "never\n"' "$root/opt/bench/$1.log" "${failed_words[$1]}" "$2"
}

# The process of the one unit that runs, by this system's number.
unit_process() { pgrep --ns "$(machine_init)" --nslist pid -f '^sleep 100000'; }

# mend_round WHO: kills the unit of WHO, and appends the milliseconds until that is told, and until the unit was started again, which
# node-problem-detector never does. WHO begins without memory, so that no cooldown of the agent counts, and is the only one that runs.
mend_round() {
  local who="$1" before killed again pid
  rm -rf "$root/opt/bench/state" "$root/opt/bench/$who.log" "$root/opt/bench/monit.state"
  inside systemctl restart "for-$who"
  inside systemctl start "bench-$who"
  within 10 "${who}_guards" || die "$who does not guard its unit: $(inside journalctl -u "bench-$who" -n 5 --no-pager -o cat)"
  sleep "1.$((RANDOM % 900 + 100))"
  before="$(starts "$who")" pid="$(unit_process)"
  killed="$(date +%s%N)"
  kill_unit "$who" "$pid" >>"$scratch/$who.failed"
  if [[ $who != detector ]]; then
    within 30 started_again "$who" "$before" || die "$who did not restart its unit: $(inside journalctl -u "bench-$who" -n 5 --no-pager -o cat)"
    again="$(tail -n 1 "$root/opt/bench/for-$who.starts")"
    awk -v ns="$((again - killed))" 'BEGIN { printf "%.1f\n", ns / 1e6 }' >>"$scratch/$who.mend"
  fi
  inside systemctl stop "bench-$who" "for-$who"
}

# mend ROUNDS: leaves the times in WHO.failed, and those until it runs again in WHO.mend.
mend() {
  local i who
  set +e # as machine.bash has it
  root="$(machine_root bookworm)" || die "no system could be made: $(tail -n 3 "$scratch/debootstrap.log")"
  mend_files
  machine_start "$root" || die "the machine does not boot: $(tail -n 5 "$scratch/console")"
  for ((i = 0; i < $1; i++)); do
    for who in agent monit detector; do mend_round "$who"; done
  done
  mend_stop
  set -e
}

mend_stop() {
  [[ -n $machine_space ]] || return 0
  machine_stop
  machine_space=''
}
