# shellcheck shell=bash
# Of health.sh: how long a unit that was killed stays down, in a Debian 12 that systemd-nspawn boots (tests/packages/machine.bash).
# Agent and monit run there as services of root, each with a unit of its own to guard; the times are those of the unit's own start.
# Uses $scratch, $AGENT.
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
  mkdir -p "$root/opt/bench/etc"
  carry "$AGENT"
  carry "$(command -v monit)"
  for who in agent monit; do # each notes when it was started, in ns
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
}

starts() { wc -l <"$root/opt/bench/for-$1.starts"; }
started_again() { (($(starts "$1") > $2)); }
agent_guards() {
  inside env LD_LIBRARY_PATH=/opt/bench/lib /opt/bench/omnitide-agent health --run-dir /opt/bench/run -o json 2>/dev/null |
    jq -e '.checks[] | select(.name == "unit:for-agent.service") | .verdict == "good"' >/dev/null
}
monit_guards() { grep -qs ' started$' "$root/opt/bench/monit.log"; }

# mend_round WHO: kills the unit of WHO, appends the milliseconds until it was started again. WHO begins without memory, so that no
# cooldown of the agent counts, and is the only one that runs.
mend_round() {
  local who="$1" before killed again
  rm -rf "$root/opt/bench/state" "$root/opt/bench/monit".{state,log}
  inside systemctl restart "for-$who"
  inside systemctl start "bench-$who"
  within 10 "${who}_guards" || die "$who does not guard its unit: $(inside journalctl -u "bench-$who" -n 5 --no-pager -o cat)"
  sleep "1.$((RANDOM % 900 + 100))"
  before="$(starts "$who")"
  killed="$(date +%s%N)"
  inside systemctl kill -s KILL "for-$who"
  within 30 started_again "$who" "$before" || die "$who did not restart its unit: $(inside journalctl -u "bench-$who" -n 5 --no-pager -o cat)"
  again="$(tail -n 1 "$root/opt/bench/for-$who.starts")"
  awk -v ns="$((again - killed))" 'BEGIN { printf "%.1f\n", ns / 1e6 }' >>"$scratch/$who.mend"
  inside systemctl stop "bench-$who"
}

# mend ROUNDS: leaves the times in agent.mend and monit.mend.
mend() {
  local i
  set +e # as machine.bash has it
  root="$(machine_root bookworm)" || die "no system could be made: $(tail -n 3 "$scratch/debootstrap.log")"
  mend_files
  machine_start "$root" || die "the machine does not boot: $(tail -n 5 "$scratch/console")"
  for ((i = 0; i < $1; i++)); do
    mend_round agent
    mend_round monit
  done
  mend_stop
  set -e
}

mend_stop() {
  [[ -n $machine_space ]] || return 0
  machine_stop
  machine_space=''
}
