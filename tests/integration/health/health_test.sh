#!/usr/bin/env bash
# A real agent on this machine: its checks, lines that this test writes into the kernel's log, what survives kill -9, and
# what an operator may say. Needs root, for /dev/kmsg. OMNITIDE_PROGRAMS: the folder of the programs.
set -u
export LC_ALL=C
# shellcheck source=tests/integration/checks.bash
. "$(dirname "${BASH_SOURCE[0]}")/../checks.bash"
agent="${OMNITIDE_PROGRAMS:?}/omnitide-agent"
work="$(mktemp -d /tmp/omnitide-health-test-XXXXXX)"
pid=0
unset "${!OMNITIDE_@}"

finish() {
  if ((pid)); then kill -9 "$pid" 2>/dev/null && wait "$pid" 2>/dev/null; fi
  rm -rf "$work"
}
trap finish EXIT
if [ "$(id -u)" != 0 ] || [ ! -w /dev/kmsg ]; then
  echo "FAILED  this test needs root and /dev/kmsg"
  exit 1
fi

reason="OmnitideTest$$"
cat >"$work/rules.json" <<JSON
{
	"plugin": "kmsg",
	"logPath": "/dev/kmsg",
	"lookback": "5m",
	"bufferSize": 10,
	"source": "test-monitor",
	"metricsReporting": true,
	"conditions": [{"type": "$reason", "reason": "AllWell", "message": "nothing was said"}],
	"rules": [
		{"type": "permanent", "condition": "$reason", "reason": "Said", "pattern": "omnitide-test $$ permanent \\\\d+"},
		{"type": "temporary", "reason": "CaughtUp", "pattern": "omnitide-test $$ begin"},
		{"type": "temporary", "reason": "Heard", "pattern": "omnitide-test $$ temporary.*"}
	]
}
JSON
echo '{"plugin": "journald"}' >"$work/bad.json"
cat >"$work/plugin.json" <<JSON
{
	"plugin": "custom",
	"pluginConfig": {"invoke_interval": "1s", "timeout": "3s", "max_output_length": 80, "concurrency": 2},
	"source": "test-plugin",
	"conditions": [{"type": "TestPlugin", "reason": "PluginFine", "message": "the plugin is fine"}],
	"rules": [
		{"type": "permanent", "condition": "TestPlugin", "reason": "PluginBad", "path": "$work/plugin", "args": ["down"]},
		{"type": "temporary", "reason": "PluginEvent", "path": "$work/plugin", "args": ["event"], "timeout": "2s"}
	]
}
JSON
cat >"$work/plugin" <<SH
#!/bin/sh
if [ -e "$work/\$1" ]; then echo "\$1 it is"; exit 1; fi
SH
chmod 755 "$work/plugin"
cat >"$work/says" <<SH
#!/bin/sh
echo "\$(id -u) says \$(cat "$work/word")"
test ! -e "$work/broken"
SH
chmod 755 "$work/says"
echo hello >"$work/word"
touch "$work/stamp"
cat >"$work/agent.yaml" <<YAML
paths: {state_dir: $work/state, run_dir: $work/run}
http: {enabled: false}
metrics: {enabled: false}
discovery: {enabled: false}
health:
  interval: 1s
  rule_files: [$work/rules.json, $work/bad.json, $work/plugin.json]
  checks:
    - {name: stamp, file: $work/stamp, interval: 1s, failures: 2, condition: StampMissing}
    - {name: says, command: [$work/says], interval: 1h, failures: 1}
  remediation: {lock_file: $work/lock}
YAML

start() {
  rm -f "$work/run/agent.sock"
  "$agent" run --config-dir "$work/none" --config "$work/agent.yaml" >>"$work/log" 2>&1 &
  pid=$!
  within 20 test -S "$work/run/agent.sock" || { cat "$work/log"; exit 1; }
}
health() { "$agent" health "$@" --run-dir "$work/run"; }
asked() { health -o json 2>/dev/null | jq -e "$1" >/dev/null; }
happened() { health history -o json 2>/dev/null | jq -e "$1" >/dev/null; }
is() { asked ".conditions[] | select(.type == \"$1\") | .status == \"CONDITION_STATUS_$2\""; }
since() { health -o json | jq -r ".conditions[] | select(.type == \"$1\") | .since"; }

start
check "the first round of checks is made" within 20 asked '[.checks[] | select(.verdict == "good")] | length > 5'
check "each check says what it looks at, when, and since when" \
  asked '.checks[] | select(.name == "memory") | (.what | length > 0) and .seen != null and .since != null'
check "the kernel's log is read" within 20 asked '.kernelLog.reading and .kernelLog.rules > 20'
check "a rule file that is not understood is named, and the others hold" \
  asked '.problems | length == 1 and (.[0] | contains("bad.json: plugin"))'
check "a condition of a rule file is false while nothing was said" within 10 is "$reason" FALSE

echo "<6>omnitide-test $$ begin" >/dev/kmsg
check "what the kernel's buffer holds is read" within 60 happened '[.items[] | select(.reason == "CaughtUp")] | length == 1'
echo "<3>omnitide-test $$ permanent 1" >/dev/kmsg
check "a line of the kernel's log makes a condition true at once" within 5 is "$reason" TRUE
check "it is in the history, with its line" \
  within 5 happened "[.items[] | select(.kind == \"condition\" and .subject == \"$reason\" and .outcome == \"true\")] | length == 1"
for _ in 1 2 3 4 5; do echo "<3>omnitide-test $$ temporary" >/dev/kmsg; done
check "a line that repeats is one event" \
  within 10 happened '[.items[] | select(.kind == "event" and .reason == "Heard")] | length == 1'
touch "$work/heard"
health >"$work/table"
check "health exits with 1 while a condition is true" test $? = 1
check "the table has it" grep -qE "^$reason +true " "$work/table"
health explain "$reason" >"$work/explained"
check "explain says what was seen" grep -q "omnitide-test $$ permanent 1" "$work/explained"
health explain Nothing >"$work/none.out" 2>&1
check "a condition that is none is refused with those that there are" grep -q 'hint: there are .*DiskPressure' "$work/none.out"

before="$(since "$reason")"
# The condition is saved at once, the place in the log with the round after the event.
saved() { [[ "$work/state/health.json" -nt "$work/heard" ]] && jq -e ".conditions[] | select(.condition == \"$reason\") | .verdict == 2" "$work/state/health.json" >/dev/null; }
check "the state is saved with the next round" within 10 saved
kill -9 "$pid" && wait "$pid" 2>/dev/null
start
check "after kill -9 the condition is still true, since the same moment" within 10 test "$(since "$reason")" = "$before"
check "and its event is not told again" \
  happened '[.items[] | select(.kind == "event" and .reason == "Heard")] | length == 1'

check "a check runs on demand" test "$(health run memory -o json | jq -r '.checks[] | select(.name == "memory") | .verdict')" = good
health run nothing >"$work/run.out" 2>&1
check "a check that is none is refused" grep -q 'there is no check "nothing"' "$work/run.out"
check "a check of the operator's is made, and is a condition" within 10 is StampMissing FALSE
rm "$work/stamp"
check "its condition becomes true after as many rounds as asked for" within 10 is StampMissing TRUE
touch "$work/stamp"
check "and false again" within 10 is StampMissing FALSE
check "a command says how it is" asked '.checks[] | select(.name == "says") | .verdict == "good" and .message == "0 says hello"'
touch "$work/broken"
check "a command runs when it is asked for" \
  test "$(health run says -o json | jq -r '.conditions[] | select(.type == "SaysUnhealthy") | .status')" = CONDITION_STATUS_TRUE
check "explain says what the command said" sh -c "'$agent' health explain SaysUnhealthy --run-dir '$work/run' | grep -q '0 says hello'"
rm "$work/broken"
health run says >/dev/null
chmod 777 "$work/says"
health run says >/dev/null
check "a command that others may write is not run, and that is a problem of health" \
  asked '.problems[] | select(contains("says may be written by others"))'
chmod 755 "$work/says"
health run says >/dev/null
check "which goes away with its cause" asked '[.problems[] | select(contains("says"))] | length == 0'
check "a custom plugin of node-problem-detector is run" within 10 is TestPlugin FALSE
touch "$work/down" "$work/event"
check "what it finds is a condition" within 10 is TestPlugin TRUE
check "and an event, told once" \
  within 10 happened '[.items[] | select(.subject == "test-plugin" and .reason == "PluginEvent")] | length == 1 and .[0].message == "event it is"'
rm "$work/down"
check "the condition goes away with its cause" within 10 is TestPlugin FALSE

OMNITIDE_HEALTH_CHECKS='[{name: a, command: [/bin/true]}]' "$agent" config check --config-dir "$work/none" >"$work/refused" 2>&1
check "a command that comes from no file of root's is refused" grep -q 'commands are taken only from files that root owns' "$work/refused"

check "pause" health pause --for 1h
check "it is paused" asked '.paused and .pausedUntil != null'
kill -TERM "$pid" && wait "$pid" 2>/dev/null
start
check "a pause survives a restart" within 10 asked '.paused'
check "resume" health resume
check "it is resumed" asked '.paused | not'
touch "$work/lock"
check "the lock file is seen" asked '.locked'
sed -i 's/remediation: {/remediation: {reset_links: [nowhere0], vacuum_journal: 100, repeats: 2, /' "$work/agent.yaml"
kill -HUP "$pid"
remedy_of() { asked "[.remedies[] | select(.condition == \"$1\") | .steps] == $2"; }
check "a reload takes over what may be done" within 5 remedy_of DiskPressure '[["vacuum-journal"]]'
check "for each link by itself" remedy_of NetworkDegraded '[["reset-link nowhere0"]]'
check "and what was said before still holds" asked '.locked'

kill -TERM "$pid" && wait "$pid" 2>/dev/null
head -c 40 "$work/state/health.json" >"$work/cut" && cp "$work/cut" "$work/state/health.json"
start
check "a damaged state is put aside" cmp -s "$work/cut" "$work/state/health.json.damaged"
check "and its budgets count as used up" within 10 asked '.actions == .actionsLimit'

echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
