#!/usr/bin/env bash
# Restarts of the node that a real registry allows or not. Nothing can restart this machine here: /run is this test's own, with
# no system bus in it, and the bus's address leads nowhere. Needs root. OMNITIDE_PROGRAMS: the folder of the programs.
set -u
export LC_ALL=C
if [ "$(id -u)" != 0 ]; then
  echo "FAILED  this test needs root"
  exit 1
fi
if [ "${1:-}" != inside ]; then exec unshare -m --propagation private "$0" inside; fi
unset "${!OMNITIDE_HEALTH@}"
mount -t tmpfs none /run
export DBUS_SYSTEM_BUS_ADDRESS=unix:path=/run/there-is-none
# shellcheck source=tests/integration/agent/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/../agent/lib.sh"

"$registry" init --dir "$work/registry" >/dev/null || exit 1
start_registry --reboots-at-once 0
configure node "$(new_token 1)"
cat >"$work/rules.json" <<JSON
{
	"plugin": "filelog",
	"pluginConfig": {"timestamp": "^(\\\\S+)", "message": "^\\\\S+ (.*)", "timestampFormat": "2006-01-02T15:04:05Z07:00"},
	"logPath": "$work/log",
	"source": "test-monitor",
	"conditions": [{"type": "KernelDeadlock", "reason": "AllWell", "message": "nothing was said"}],
	"rules": [{"type": "permanent", "condition": "KernelDeadlock", "reason": "Stuck", "pattern": "stuck"}]
}
JSON
cat >>"$work/node/agent.yaml" <<YAML
metrics: {enabled: false}
health:
  interval: 1s
  kernel_log: false
  rule_files: [$work/rules.json]
  remediation: {reboot_for: [KernelDeadlock], lock_file: $work/lock}
YAML
happened() {
  "$agent" health history --run-dir "$work/node/run" -o json 2>/dev/null |
    jq -e "[.items[] | select(.kind == \"remedy\" and .outcome == \"$1\" and (.message | contains(\"$2\")))] | length >= 1" >/dev/null
}
explained() { "$agent" health explain KernelDeadlock --run-dir "$work/node/run" 2>/dev/null | grep -q "$1"; }
follows() { "$agent" health --run-dir "$work/$1/run" -o json 2>/dev/null | jq -e '.logs[0].reading' >/dev/null; }

start_agent node
check "the node joins" within 20 is_state node registered
check "its log is followed" within 10 follows node
echo "$(date --utc +%FT%TZ) it is stuck" >>"$work/log"
check "without a lease of the registry the restart is held" within 15 happened held "the registry lets no more nodes of the fleet restart now"
check "explain says so" within 5 explained "next reboot, not now: the registry lets no more nodes"
check "and nothing was done" eval "! happened act ''"

stop_registry TERM
start_registry --reboots-at-once 1
check "with a lease it is begun, within the minute after which the registry is asked again" within 90 happened act step
check "where no logind is, that is told" within 10 happened refused 'system bus'
stop_agent TERM "$agent_pid"

# Another node, whose registry is gone when it needs it.
configure alone "$(new_token 1)"
sed -n '/^metrics:/,$p' "$work/node/agent.yaml" >>"$work/alone/agent.yaml"
: >"$work/log"
start_agent alone
check "another node joins" within 20 is_state alone registered
check "its log is followed too" within 10 follows alone
stop_registry KILL
echo "$(date --utc +%FT%TZ) it is stuck" >>"$work/log"
acted_alone() {
  "$agent" health history --run-dir "$work/alone/run" -o json 2>/dev/null |
    jq -e '[.items[] | select(.kind == "remedy" and .outcome == "act")] | length == 1' >/dev/null
}
check "a registry that does not answer leaves it to the node" within 40 acted_alone
check "which says so" grep -q 'the registry was not asked for a restart of the node, deciding without it' "$work/alone/log"

echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
