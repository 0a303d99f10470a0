#!/usr/bin/env bash
# Rules for the journal and for log files: a real journald in a mount namespace of this test's own, a real agent. Then what
# the oneshot units do as root. Needs root. OMNITIDE_PROGRAMS: the folder of the programs.
set -u
export LC_ALL=C
if [ "$(id -u)" != 0 ]; then
  echo "FAILED  this test needs root"
  exit 1
fi
if [ "${1:-}" != inside ]; then exec unshare -m --propagation private "$0" inside; fi
# shellcheck source=tests/integration/checks.bash
. "$(dirname "${BASH_SOURCE[0]}")/../checks.bash"
agent="${OMNITIDE_PROGRAMS:?}/omnitide-agent"
work="$(mktemp -d /tmp/omnitide-journal-test-XXXXXX)"
pid=0 journald=0
unset "${!OMNITIDE_@}"

finish() {
  local each
  for each in "$pid" "$journald"; do
    if ((each)); then kill -9 "$each" 2>/dev/null && wait "$each" 2>/dev/null; fi
  done
  rm -rf "$work"
}
trap finish EXIT

mount -t tmpfs none /run
mount -t tmpfs none /var/log
mkdir -p /run/systemd/journal /run/log /var/log/journal
/lib/systemd/systemd-journald 2>"$work/journald.log" &
journald=$!
within 10 test -S /run/systemd/journal/stdout || { cat "$work/journald.log"; exit 1; }
say() { echo "$2" | systemd-cat -t "$1"; }

mkdir "$work/rules"
cat >"$work/rules/kubelet.json" <<'JSON'
{
	"plugin": "journald",
	"pluginConfig": {"source": "kubelet"},
	"logPath": "/var/log/journal",
	"lookback": "5m",
	"bufferSize": 10,
	"source": "kubelet-monitor",
	"conditions": [{"type": "KubeletSick", "reason": "KubeletIsWell", "message": "the kubelet has said nothing bad"}],
	"rules": [
		{"type": "temporary", "reason": "KubeletStart", "pattern": "Started Kubernetes kubelet \\d+"},
		{"type": "permanent", "condition": "KubeletSick", "reason": "KubeletSaidSo", "pattern": "kubelet is sick: .*"}
	]
}
JSON
# As node-problem-detector's docker-monitor-filelog.json.
cat >"$work/rules/docker.json" <<JSON
{
	"plugin": "filelog",
	"pluginConfig": {
		"timestamp": "^time=\"(\\\\S*)\"",
		"message": "msg=\"([^\\n]*)\"",
		"timestampFormat": "2006-01-02T15:04:05.999999999-07:00"
	},
	"logPath": "$work/docker.log",
	"lookback": "5m",
	"bufferSize": 10,
	"source": "docker-monitor",
	"conditions": [],
	"rules": [{"type": "temporary", "reason": "CorruptDockerImage", "pattern": "Error trying v2 registry: failed to register layer.*"}]
}
JSON
cat >"$work/agent.yaml" <<YAML
paths: {state_dir: $work/state, run_dir: $work/agent}
http: {enabled: false}
metrics: {enabled: false}
discovery: {enabled: false}
health:
  interval: 1s
  kernel_log: false
  rule_files: [$work/rules/kubelet.json, $work/rules/docker.json]
YAML
start() {
  rm -f "$work/agent/agent.sock"
  "$agent" run --config-dir "$work/none" --config "$work/agent.yaml" >>"$work/log" 2>&1 &
  pid=$!
  within 20 test -S "$work/agent/agent.sock" || { cat "$work/log"; exit 1; }
}
health() { "$agent" health "$@" --run-dir "$work/agent"; }
asked() { health -o json 2>/dev/null | jq -e "$1" >/dev/null; }
told() { health history -o json 2>/dev/null | jq -e "[.items[] | select(.reason == \"$1\")] | length == $2" >/dev/null; }
sick() { asked ".conditions[] | select(.type == \"KubeletSick\") | .status == \"CONDITION_STATUS_$1\""; }
reads() { asked ".logs | length == $1 and all(.reading)"; }
docker_says() { echo "time=\"$(date --iso-8601=ns | tr , .)\" level=error msg=\"$1\"" >>"$work/docker.log"; }
bad_layer='Error trying v2 registry: failed to register layer: rename'

say kubelet "Started Kubernetes kubelet 1"
say other "kubelet is sick: says another one"
docker_says "$bad_layer 1"
echo "time=\"2001-02-03T04:05:06.7+00:00\" msg=\"$bad_layer long ago\"" >>"$work/docker.log"
start
check "both logs are followed" within 20 reads 2
check "what the journal has of the last minutes is read" within 10 told KubeletStart 1
check "what the file has of the last minutes is read, and what is older is not" within 10 told CorruptDockerImage 1
check "what others write is not held against the rules" within 10 sick FALSE
say kubelet "kubelet is sick: it has a cold"
check "a line of the journal makes a condition true at once" within 2 sick TRUE
health explain KubeletSick >"$work/explained"
check "explain says what was seen, and where" grep -q 'line: kubelet is sick: it has a cold, log: journal' "$work/explained"
lines() { asked ".logs[] | select(.log == \"$1\") | (.lines | tonumber) == $2"; }
check "each line was looked at once" lines journal 2

journalctl --rotate
say kubelet "Started Kubernetes kubelet 2"
check "the journal is followed into new files" within 5 lines journal 3
docker_says 'nothing of note'
check "a line of another kind is looked at" within 5 lines "$work/docker.log" 3
mv "$work/docker.log" "$work/docker.log.1"
docker_says 'the first of the new file'
check "the file is followed when it is renamed and begun anew" within 5 lines "$work/docker.log" 4
: >"$work/docker.log"
docker_says 'cut'
check "and when it is cut" within 5 lines "$work/docker.log" 5

kill -TERM "$pid" && wait "$pid" 2>/dev/null
say kubelet "kubelet was seen while the agent was away"
docker_says 'while the agent was away'
start
check "both are followed again" within 20 reads 2
check "after a restart the journal is read on from where it ended" within 5 lines journal 1
check "and so is the file" within 5 lines "$work/docker.log" 1
check "the condition is still true" sick TRUE
check "nothing is told again" told CorruptDockerImage 1

# More lines than are looked at in a second.
for i in $(seq 5000); do echo "line $i"; done | systemd-cat -t kubelet
say kubelet "kubelet is sick: again"
check "a flood is read through" within 20 lines journal 5002
cpu="$(awk '{print $14 + $15}' "/proc/$pid/stat")"
sleep 3
check "a silent journal costs nothing" test $(($(awk '{print $14 + $15}' "/proc/$pid/stat") - cpu)) -le 15
kill -TERM "$pid" && wait "$pid" 2>/dev/null
pid=0

mkdir -m 0755 "$work/etc" "$work/etc/agent.d"
printf 'health: {remediation: {vacuum_journal: 1, clean: ["/var/tmp/omnitide-nothing 7d"]}}\n' >"$work/etc/agent.yaml"
maintain() { "$agent" maintenance "$1" --config-dir "$work/etc" >"$work/out" 2>&1; }
size() { du -sm /var/log/journal /run/log/journal | awk '{ sum += $1 } END { print sum }'; }
for _ in 1 2 3; do
  head -c 300000 /dev/urandom | base64 -w 1000 | systemd-cat -t filler
  journalctl --rotate
done
before="$(size)"
check "the journal is vacuumed" maintain vacuum
after="$(size)"
check "it is smaller: $before MiB before, $after after" test "$after" -lt "$before"
maintain clean
check "while no clock can be trusted, or where there is no folder, nothing is cleaned" grep -qE 'no time service|no such file' "$work/out"
chmod 0666 "$work/etc/agent.yaml"
maintain vacuum
check "configuration that others can write is refused" grep -q 'may be written by others' "$work/out"
chmod 0644 "$work/etc/agent.yaml"
OMNITIDE_HEALTH_REMEDIATION_VACUUM_JOURNAL=0 maintain vacuum
check "the environment has no say" grep -vq 'Nothing to do' "$work/out"
echo 'health: {}' >"$work/etc/agent.yaml"
maintain vacuum
check "what is not set is not done" grep -q 'Nothing to do: health.remediation.vacuum_journal is not set' "$work/out"

echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
