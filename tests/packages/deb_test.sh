#!/usr/bin/env bash
# The .deb in a system that systemd runs: install, upgrade, downgrade, remove, purge, each without a question or a leftover.
# deb_test.sh SUITE PACKAGE: bookworm or trixie. OMNITIDE_ROOTS: where systems are kept that debootstrap made.
# shellcheck disable=SC2016  # variables of jq, perl and the inner shell
set -uo pipefail
export LC_ALL=C DEBIAN_FRONTEND=noninteractive
here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
# shellcheck source=tests/integration/checks.bash
. "$here/../integration/checks.bash"
# shellcheck source=tests/packages/machine.bash
. "$here/machine.bash"
suite="${1:?which suite}" package="$(realpath "${2:?which package}")"
roots="${OMNITIDE_ROOTS:?where systems are kept}"
scratch="$(mktemp -d)"
mkdir -p "$roots"
servers=()
finish() {
  for pid in "${servers[@]}"; do kill -KILL "$pid" && wait "$pid"; done 2>/dev/null
  machine_stop
  rm -rf --one-file-system "$scratch"
}
trap finish EXIT

pins=/sys/fs/bpf/omnitide
node_id() { inside sh -c 'cat /var/lib/omnitide/identity/*.pub /var/lib/omnitide/marker 2>/dev/null | sha256sum'; }
pinned() { inside sh -c "find $pins -mindepth 1 | wc -l"; }
collector_succeeds() { # not `curl | grep -q`: curl fails when grep has seen enough
  inside curl -s http://127.0.0.1:9797/metrics >"$scratch/metrics" && grep -q "^node_scrape_collector_success{collector=\"$1\"} 1" "$scratch/metrics"
}
holds() { (($(pinned) > 0)); }
enforced() { inside omnitide-agent policy wait --timeout 5s >/dev/null && holds; }
knock() { behind timeout 0.5 bash -c "exec 3<>/dev/tcp/10.9.0.1/$1" 2>/dev/null; }
no_agent() { ! inside pgrep -x omnitide-agent >/dev/null; }
# What lies in the system but for what dpkg, systemd and the journal keep about any package.
listing() {
  (cd "$root" && find etc usr var/lib var/cache opt home root -xdev ! -path 'var/lib/dpkg/*' ! -path 'var/lib/systemd/*' ! -path 'root/*' | sort)
}
# with_version VERSION FILE: the same package under another version.
with_version() {
  rm -rf "$scratch/unpacked"
  dpkg-deb -R "$package" "$scratch/unpacked"
  sed -i "s/^Version: .*/Version: $1/" "$scratch/unpacked/DEBIAN/control"
  dpkg-deb --root-owner-group -Znone -b "$scratch/unpacked" "$2" >/dev/null
}

root="$(machine_root "$suite")" || { not_ok "a system of $suite" "debootstrap failed"; exit 1; }
cp "$package" "$root/root/new.deb"
with_version 0.0.9-1 "$root/root/old.deb"
with_version 9.0.0-1 "$root/root/newer.deb"
machine_start "$root" || { not_ok "$suite boots" "$(tail -n 5 "$scratch/console")"; exit 1; }
listing >"$scratch/before"
inside sh -c 'getent passwd; getent group' >"$scratch/users-before"

check "$suite: it installs" install /root/new.deb
check "the agent runs and has said that it is ready" within 5 active
check "its commands find it" within 5 ready
check "it is no root" [ "$(inside ps -o user= -p "$(property MainPID)")" = omnitide ]
check "it holds four capabilities" [ "$(inside grep CapEff "/proc/$(property MainPID)/status" | cut -f2)" = 000000c400001000 ]
check "its eBPF collectors run in the sandbox" within 10 eval "inside omnitide-agent status | grep -E '^ebpf-metrics +on +[0-9]+ collectors'"
check "a collector that sets no clock reads it" collector_succeeds timex
score="$(inside systemd-analyze security --no-pager "$unit" | sed -nE 's/.*exposure level.*: ([0-9.]+) .*/\1/p')"
check "systemd-analyze security: $score, at most 3.5" awk "BEGIN { exit !(\"$score\" != \"\" && $score <= 3.5) }"
check "the manual is there" eval "inside test -s /usr/share/man/man8/omnitide-agent.8.gz"
check "the shipped configuration sets nothing" [ -z "$(grep -v '^#' "$root/etc/omnitide/agent.yaml" | tr -d '[:space:]')" ]

# The watchdog: systemd starts an agent anew whose loop stands still.
inside sh -c "mkdir -p /run/systemd/system/$unit.d; printf '[Service]\nWatchdogSec=2\n' >/run/systemd/system/$unit.d/short.conf; systemctl daemon-reload; systemctl restart $unit"
before="$(property MainPID)"
inside kill -STOP "$before"
other_runs() { active && [ "$(property MainPID)" != "$before" ]; }
check "an agent whose loop is stopped is started anew by the watchdog" within 15 other_runs
inside sh -c "rm -r /run/systemd/system/$unit.d; systemctl daemon-reload"

# The kernel's log in the sandbox, and a unit that fails: restarted by an agent that polkit lets restart this unit and no other.
printf '[Service]\nExecStart=/bin/sleep 1000\n' | tee "$root/etc/systemd/system/weak.service" >"$root/etc/systemd/system/other.service"
printf 'health: {units: [weak.service, other.service]}\n' >"$root/etc/omnitide/agent.d/40-health.yaml"
mkdir -p "$root/etc/polkit-1/rules.d"
printf 'health: {units: [weak.service]}\n' >"$root/root/polkit.yaml"
inside sh -c 'omnitide-agent config polkit --config /root/polkit.yaml --config-dir /root >/etc/polkit-1/rules.d/60-omnitide-agent.rules'
inside sh -c 'chgrp omnitide /etc/omnitide/agent.d/*; chmod 0644 /etc/polkit-1/rules.d/*; systemctl daemon-reload; systemctl start weak other; systemctl try-restart polkit'
inside systemctl restart "$unit"
check "the agent runs with units to watch" within 10 ready
check "it reads the kernel's log" within 10 asked .kernelLog.reading
told() { happened "[.items[] | select($1)] | length > 0"; }
inside systemctl kill -s KILL weak.service
check "a unit that fails is seen" within 3 told '.subject == "SystemdUnitFailed" and .outcome == "true"'
check "it is restarted" within 60 unit_runs weak.service
check "that it helped is seen" within 90 told '.outcome == "helped"'
inside systemctl kill -s KILL other.service
check "a restart that polkit refuses is told" within 200 told 'tostring | test("restart-unit other.service.*([Aa]uthentication|denied|refused)")'
check "and does nothing" eval "! unit_runs other.service"
inside sh -c "rm /etc/omnitide/agent.d/40-health.yaml; systemctl reset-failed; systemctl stop weak; rm /etc/systemd/system/weak.service /etc/systemd/system/other.service /etc/polkit-1/rules.d/60-omnitide-agent.rules; systemctl daemon-reload; systemctl restart $unit"

# What root does for the agent: oneshot units in sandboxes of their own, which polkit lets the agent's user start, and nothing else.
as_agent() { # METHOD UNIT
  inside setpriv --reuid=omnitide --regid=omnitide --clear-groups busctl call org.freedesktop.systemd1 /org/freedesktop/systemd1 \
    org.freedesktop.systemd1.Manager "$1" ss "$2" replace >/dev/null 2>&1
}
printf 'health: {remediation: {vacuum_journal: 8}}\n' >"$root/etc/omnitide/agent.d/40-remedies.yaml"
journal_mebibytes() { inside sh -c 'du -cm /var/log/journal /run/log/journal 2>/dev/null | tail -n 1 | cut -f1'; }
inside sh -c 'for i in 1 2 3; do head -c 10000000 /dev/urandom | base64 -w 1000 | systemd-cat -t filler; journalctl --rotate; done'
before="$(journal_mebibytes)"
check "the vacuum unit does its work in its sandbox" inside systemctl start omnitide-agent-vacuum.service
check "the journal is smaller ($before MiB before)" [ "$(journal_mebibytes)" -lt "$before" ]
check "the unit that asks disks runs in its sandbox" inside systemctl start omnitide-agent-smart.service
check "its report is there" [ -n "$(inside cat /run/omnitide-maintenance/smart.prom)" ]
check "the agent's user may start the vacuum unit" as_agent StartUnit omnitide-agent-vacuum.service
check "and the cleaning one" as_agent StartUnit omnitide-agent-clean.service
check "but stop neither" eval '! as_agent StopUnit omnitide-agent-clean.service'
check "nor start another" eval '! as_agent StartUnit omnitide-agent-smart.service'
inside sh -c 'rm /etc/omnitide/agent.d/40-remedies.yaml; systemctl reset-failed'

# Network policy goes on holding while the agent is changed below it.
peer_start pod0 10.9.0.1/24 10.9.0.2/24
space_keeps iperf3 -s -p 443 >/dev/null 2>&1 &
servers+=($!)
space_keeps iperf3 -s -p 80 >/dev/null 2>&1 &
servers+=($!)
check "without policy a peer reaches both ports" eval "within 5 knock 443 && within 5 knock 80"
inside sh -c 'printf "policy: {mode: enforce}\n" >/etc/omnitide/agent.d/50-site.yaml; cp /usr/share/doc/omnitide-agent/examples/host-policy.yaml /etc/omnitide/policy.d/'
inside sh -c 'sed -i "s/\"eth\*\", \"en\*\"/pod0/" /etc/omnitide/policy.d/host-policy.yaml; chgrp omnitide /etc/omnitide/agent.d/* /etc/omnitide/policy.d/*; echo kept >/var/lib/omnitide/marker'
inside systemctl restart "$unit"
check "network policy is enforced by an agent that is no root" within 10 enforced
check "it lets in what it allows, and nothing else" eval "knock 443 && ! knock 80"
identity="$(node_id)"
# While the agent is changed: a connection that transfers, and knocks at the port that is closed.
behind_keeps iperf3 -c 10.9.0.1 -p 443 -t 600 -b 100M -i 1 --forceflush >"$scratch/transfer" 2>&1 &
transfer=$!
(while [ ! -e "$root/root/stop" ]; do ! knock 80 || echo open; sleep 0.05; done >"$scratch/leaks") &
knocker=$!
check "a connection transfers" within 5 grep -q 'Mbits/sec' "$scratch/transfer"
# A second shell looks all the while whether the program is on the device.
inside sh -c "while [ ! -e /root/stop ]; do [ -e $pins ] && [ \"\$(ls -A $pins | wc -l)\" -gt 0 ] || echo gone; sleep 0.01; done >/root/gaps" &
watcher=$!
check "an upgrade asks nothing" install /root/newer.deb
check "the new agent runs" within 10 ready
check "a downgrade asks nothing" install /root/old.deb
check "the old agent runs" within 10 ready
check "and back" install /root/new.deb
check "it runs" within 10 ready
touch "$root/root/stop"
wait "$watcher" "$knocker"
check "policy held at every moment of it" [ ! -s "$root/root/gaps" ]
check "and the port stayed closed" [ ! -s "$scratch/leaks" ]
rows="$(grep -c 'Mbits/sec' "$scratch/transfer")"
goes_on() { kill -0 "$transfer" && (($(grep -c 'Mbits/sec' "$scratch/transfer") > rows + 1)); }
check "the connection that was there transfers still" within 5 goes_on
check "and never stood still for a second" eval "! grep -E ' 0.00 (Bytes|bits/sec)' '$scratch/transfer'"
kill -TERM "$transfer"
wait "$transfer" 2>/dev/null
check "identity and state are kept" [ "$(node_id)" = "$identity" ]
check "the operator's configuration is kept" grep -q enforce "$root/etc/omnitide/agent.d/50-site.yaml"

inside sh -c 'printf "policy: {mode: nonsense}\n" >/etc/omnitide/agent.d/60-bad.yaml; chgrp omnitide /etc/omnitide/agent.d/*'
check "a bad configuration does not make an upgrade fail" install /root/newer.deb
check "the journal names the file, the line and the key" within 10 eval "inside journalctl -u $unit --no-pager | grep '60-bad.yaml:1: policy.mode' >/dev/null"
check "policy holds meanwhile" holds
rm "$root/etc/omnitide/agent.d/60-bad.yaml"
check "it runs again once that is mended" eval "inside systemctl reset-failed $unit; inside systemctl restart $unit; within 10 ready"

check "it is removed" eval "inside dpkg -r omnitide-agent >/dev/null 2>&1 </dev/null"
check "nothing runs" no_agent
check "policy is taken away" [ "$(inside sh -c "ls -A $pins 2>/dev/null | wc -l")" = 0 ]
check "configuration and identity stay" [ -e "$root/etc/omnitide/agent.d/50-site.yaml" -a -e "$root/var/lib/omnitide/marker" ]
check "it is installed again" install /root/new.deb
check "and runs as before" within 10 ready
check "it is purged" eval "inside dpkg -P omnitide-agent >/dev/null 2>&1 </dev/null"
listing >"$scratch/after"
check "no file is left" diff "$scratch/before" "$scratch/after"
inside sh -c 'getent passwd; getent group' >"$scratch/users-after"
check "no user is left" diff "$scratch/users-before" "$scratch/users-after"

echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
