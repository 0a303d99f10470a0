#!/usr/bin/env bash
# Health in a system that systemd runs: a unit that fails is seen within a second, restarted and verified; one that never recovers
# uses up its budget, escalates and stops; the same while no registry and no broker answer; and what survives a reboot.
# health_test.sh SUITE PACKAGE REGISTRY: REGISTRY is the program omnitide-registry. OMNITIDE_ROOTS: see deb_test.sh.
# shellcheck disable=SC2016  # variables of jq, perl and the inner shell
set -uo pipefail
export LC_ALL=C DEBIAN_FRONTEND=noninteractive
here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
# shellcheck source=tests/integration/checks.bash
. "$here/../integration/checks.bash"
# shellcheck source=tests/packages/machine.bash
. "$here/machine.bash"
suite="${1:?which suite}" package="$(realpath "${2:?which package}")" registry="$(realpath "${3:?which registry}")"
roots="${OMNITIDE_ROOTS:?where systems are kept}"
scratch="$(mktemp -d)" registry_pid=0 broker_pid=0
mkdir -p "$roots"
finish() {
  machine_stop
  for pid in "$registry_pid" "$broker_pid"; do
    if ((pid)); then kill -KILL "$pid" 2>/dev/null && wait "$pid" 2>/dev/null; fi
  done
  rm -rf --one-file-system "$scratch"
}
trap finish EXIT

part_is() { inside omnitide-agent status -o json 2>/dev/null | jq -e --arg part "$1" --arg state "$2" '.parts[] | select(.name == $part) | .state == "PART_STATE_" + $state' >/dev/null; }
registry_missed() { inside omnitide-agent status -o json | jq -e '.parts[] | select(.name == "registration") | .reason // "" | test("not answer|no answer|refused")' >/dev/null; }
registry_found() { part_is registration ON && ! registry_missed; }
fails() { asked --arg check "unit:$1" '.checks[] | select(.name == $check) | .verdict == "bad"'; }
runs_again() { happened --argjson from "$1" --arg unit "$2" '.items[$from:] | map(select(.kind == "remedy" and .outcome == "helped" and (.message + .reason + (.evidence | tostring) + .subject | contains($unit)))) | length == 1'; }
told() { happened --argjson from "$1" --arg outcome "$2" --arg unit "$3" '.items[$from:] | map(select(.kind == "remedy" and .outcome == $outcome and (tostring | contains($unit)))) | length > 0'; }
events() { inside omnitide-agent health history -o json | jq '.items | length'; }
actions() { inside omnitide-agent health -o json | jq .actions; }
since() { inside omnitide-agent health -o json | jq -r '.conditions[] | select(.type == "SystemdUnitFailed") | .status + " " + .since'; }
node_id() { inside cat /var/lib/omnitide/identity/node.key | sha256sum; }

# recovers HOW: weak.service is killed, seen, restarted and verified.
recovers() {
  local from killed seen
  from="$(events)"
  killed="$(date +%s%N)"
  inside systemctl kill -s KILL weak.service
  within 10 told_failed "$from"
  seen="$(inside omnitide-agent health history -o json |
    jq -r --argjson from "$from" '[.items[$from:][] | select(.kind == "condition" and .outcome == "true")][0].time')"
  seen=$((($(date -d "$seen" +%s%N) - killed) / 1000000))
  check "$1: a unit that fails is seen within a second ($seen ms)" [ "$seen" -le 1000 ]
  check "$1: it is restarted" within 75 unit_runs weak.service
  check "$1: that it helped is seen" within 60 told "$from" helped weak.service
}
told_failed() { happened --argjson from "$1" '.items[$from:] | map(select(.kind == "condition" and .subject == "SystemdUnitFailed" and .outcome == "true")) | length > 0'; }

root="$(machine_root "$suite")" || { not_ok "a system of $suite" "debootstrap failed"; exit 1; }
cp "$package" "$root/root/new.deb"
machine_start "$root" || { not_ok "$suite boots" "$(tail -n 5 "$scratch/console")"; exit 1; }
check "$suite: it installs" install /root/new.deb

# A registry and a broker in the machine's network.
"$registry" init --dir "$scratch/registry" >/dev/null || { not_ok "a registry is made"; exit 1; }
"$registry" token --dir "$scratch/registry" -o "$root/etc/omnitide/join-token"
space_keeps "$registry" serve --dir "$scratch/registry" --listen 127.0.0.1:7443 --heartbeat-interval 1s >"$scratch/registry.log" 2>&1 &
registry_pid=$!
printf 'listener 1883 127.0.0.1\nallow_anonymous true\n' >"$scratch/broker.conf"
space_keeps mosquitto -c "$scratch/broker.conf" >"$scratch/broker.log" 2>&1 &
broker_pid=$!

printf '[Service]\nExecStart=/bin/sleep 100000\n[Install]\nWantedBy=multi-user.target\n' >"$root/etc/systemd/system/weak.service"
printf '[Service]\nExecStart=/bin/false\n[Install]\nWantedBy=multi-user.target\n' >"$root/etc/systemd/system/hopeless.service"
cat >"$root/etc/omnitide/agent.d/40-health.yaml" <<'YAML'
registration: {endpoint: "https://127.0.0.1:7443", token_file: /etc/omnitide/join-token, start_jitter: 0s, backoff_cap: 2s}
telemetry: {brokers: ["mqtt://127.0.0.1:1883"]}
health:
  units: [weak.service, hopeless.service]
  remediation: {restarts: 2, reboot_for: [SystemdUnitFailed]}
YAML
mkdir -p "$root/etc/polkit-1/rules.d"
cat >"$root/etc/polkit-1/rules.d/60-omnitide-agent.rules" <<'RULE'
polkit.addRule(function(action, subject) {
  if (subject.user != "omnitide") return;
  if (action.id == "org.freedesktop.systemd1.manage-units" && action.lookup("verb") == "restart") return polkit.Result.YES;
  if (action.id.indexOf("org.freedesktop.login1.reboot") == 0) return polkit.Result.YES;
});
RULE
inside sh -c 'chgrp omnitide /etc/omnitide/agent.d/* /etc/omnitide/join-token; chmod 0640 /etc/omnitide/agent.d/* /etc/omnitide/join-token; chmod 0644 /etc/polkit-1/rules.d/*'
inside sh -c 'systemctl daemon-reload; systemctl enable -q --now weak; systemctl try-restart polkit'
inside systemctl restart "$unit"
check "the agent is registered" within 20 part_is registration ON
check "and has its broker" within 20 part_is telemetry ON
identity="$(node_id)"
recovers "with the registry and the broker"

# One that takes connections and never answers, and one that is gone.
kill -STOP "$registry_pid"
kill -KILL "$broker_pid" && wait "$broker_pid" 2>/dev/null
broker_pid=0
check "the broker is missed" within 20 eval "! part_is telemetry ON"
check "the registry is missed" within 60 registry_missed
recovers "without them"

before="$(actions)" from="$(events)" boot="$(machine_boot)"
inside systemctl enable -q --now hopeless
check "a unit that never recovers is seen" within 3 fails hopeless.service
check "it is restarted once" within 30 told "$from" act hopeless.service
check "that it did not help is seen" within 150 told "$from" failed hopeless.service
since="$(since)"
other_boot() { [ -n "$(machine_boot)" ] && [ "$(machine_boot)" != "$boot" ]; }
check "it escalates: logind restarts the machine" within 180 other_boot
within 20 machine_is_up
check "the agent is back" within 20 ready
check "its identity is the same" [ "$(node_id)" = "$identity" ]
check "the condition is still true, since the same moment" [ "$(since)" = "$since" ]
check "both actions count in the budget" [ "$(actions)" = $((before + 2)) ]
check "that the restart of the machine did not help is seen" within 120 told "$from" failed reboot
check "nothing is left to do, and that is said" within 20 told "$from" exhausted hopeless.service
boot="$(machine_boot)"

# The other one's budget of two restarts is used up: what comes next was done within a day.
from="$(events)"
inside systemctl kill -s KILL weak.service
check "a unit whose budget is used up is seen, and why nothing is done" within 30 told "$from" held weak.service
check "explain says it too" eval "inside omnitide-agent health explain SystemdUnitFailed | grep -q 'restarted within a day'"
sleep 20
check "nothing more is done" [ "$(actions)" = $((before + 2)) ]
check "and the machine is not restarted again" [ "$(machine_boot)" = "$boot" ]
check "the unit stays as it is" eval "! unit_runs weak.service"

since="$(since)"
machine_off
machine_start "$root" || { not_ok "it boots again" "$(tail -n 5 "$scratch/console")"; exit 1; }
check "switched off and on: the agent is back" within 20 ready
check "its identity is the same" [ "$(node_id)" = "$identity" ]
check "the condition is still true, since the same moment" within 10 eval '[ "$(since)" = "$since" ]'
check "the budget is as used up as it was" [ "$(actions)" = $((before + 2)) ]

kill -CONT "$registry_pid"
space_keeps mosquitto -c "$scratch/broker.conf" >>"$scratch/broker.log" 2>&1 &
broker_pid=$!
check "the registry is found again" within 60 registry_found
check "and the broker" within 60 part_is telemetry ON
inside systemctl disable -q --now hopeless
inside systemctl reset-failed hopeless weak
inside systemctl start weak
clear() { asked '.conditions[] | select(.type == "SystemdUnitFailed") | .status == "CONDITION_STATUS_FALSE"'; }
check "when an operator has mended the units, the condition clears" within 10 clear

echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
