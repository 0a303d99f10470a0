#!/usr/bin/env bash
# Faults of a node, made for real in a system that systemd runs: each is seen by the packaged agent in its sandbox, named by its
# condition, explained, and cleared when it is gone. faults_test.sh SUITE PACKAGE REGISTRY; OMNITIDE_ROOTS: see deb_test.sh.
# It lowers fs.file-max and sets the status word of this kernel's clock for a moment, and writes into its log; what it wrote there
# is pushed out at the end, with all that was there before.
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
scratch="$(mktemp -d)" registry_pid=0 names_pid=0 file_max="$(cat /proc/sys/fs/file-max)" clock='' lines_written=0
mkdir -p "$roots"
finish() {
  echo "$file_max" >/proc/sys/fs/file-max
  if [ -n "$clock" ]; then set_clock_status "$clock"; fi
  if ((lines_written)); then push_lines_out; fi
  machine_stop
  for pid in "$registry_pid" "$names_pid"; do
    if ((pid)); then kill -KILL "$pid" 2>/dev/null && wait "$pid" 2>/dev/null; fi
  done
  rm -rf --one-file-system "$scratch"
}
trap finish EXIT

# adjtimex(2), by its number on x86-64: the status word; with arguments the word to set, and the bound of the error in microseconds.
# Fields of struct timex: modes, offset, freq, maxerror, esterror, status; ADJ_MAXERROR 4, ADJ_ESTERROR 8, ADJ_STATUS 16.
adjtimex() {
  perl -e '$buffer = pack("L x4 q q q q l x4 x256", @ARGV ? (28, 0, 0, $ARGV[1] // 0, 0, $ARGV[0]) : (0, 0, 0, 0, 0, 0));
    syscall(159, $buffer) >= 0 or die "adjtimex: $!\n"; print((unpack("L x4 q q q q l", $buffer))[5], "\n");' -- "$@"
}
set_clock_status() { adjtimex "$@" >/dev/null; }

# Also those of a run that was killed: a line that stands there already would be taken for the one that is waited for.
push_lines_out() {
  local i
  while (($(dmesg | grep -cE 'omnitide-test [0-9]+:') > 0)); do
    for ((i = 0; i < 1000; i++)); do echo "<7>omnitide-test: this pushes out the lines of a test" >/dev/kmsg; done
  done
}

is() { asked --arg check "$1" --arg verdict "$2" '.checks[] | select(.name == $check) | .verdict == $verdict'; }
condition_is() { asked --arg type "$1" --arg status "CONDITION_STATUS_$2" '.conditions[] | select(.type == $type) | .status == $status'; }
# A check has its own interval, and believes what it saw in one to five rounds: it is made at once, as an operator would.
round_says() {
  inside omnitide-agent health run "$1" >/dev/null 2>&1
  is "$1" "$2"
}
# seen WHAT CHECK CONDITION WORDS: the fault is seen by this check, named by this condition, and explained with these words.
seen() {
  check "$1: it is seen" within 30 round_says "$2" bad
  check "$1: it is named $3" condition_is "$3" TRUE
  check "$1: it is explained: $(inside omnitide-agent health -o json | jq -r --arg check "$2" '.checks[] | select(.name == $check) | .message')" \
    eval "inside omnitide-agent health explain $3 | grep -E '$4' >/dev/null"
}
cleared() {
  check "$1: it clears" within 30 round_says "$2" good
  check "$1: its condition is false" condition_is "$3" FALSE
}
configure() {
  printf '%s\n' "$1" >"$root/etc/omnitide/agent.d/40-faults.yaml"
  inside sh -c "chgrp omnitide /etc/omnitide/agent.d/*; chmod 0640 /etc/omnitide/agent.d/*; systemctl restart $unit"
  within 20 ready
  within 20 asked '[.checks[] | select(.seen != null)] | length > 10'
}
push_lines_out
base='registration: {endpoint: "https://127.0.0.1:7443", token_file: /etc/omnitide/join-token, start_jitter: 0s, backoff_cap: 2s}'

root="$(machine_root "$suite")" || { not_ok "a system of $suite" "debootstrap failed"; exit 1; }
cp "$package" "$root/root/new.deb"
machine_start "$root" || { not_ok "$suite boots" "$(tail -n 5 "$scratch/console")"; exit 1; }
check "$suite: it installs" install /root/new.deb

"$registry" init --dir "$scratch/registry" >/dev/null || { not_ok "a registry is made"; exit 1; }
"$registry" token --dir "$scratch/registry" -o "$root/etc/omnitide/join-token"
registry_start() {
  space_keeps "$registry" serve --dir "$scratch/registry" --listen 127.0.0.1:7443 --heartbeat-interval 1s --certificate-lifetime 4m \
    >>"$scratch/registry.log" 2>&1 &
  registry_pid=$!
}
registry_start
inside sh -c 'chgrp omnitide /etc/omnitide/join-token; chmod 0640 /etc/omnitide/join-token'
part_is() { inside omnitide-agent status -o json | jq -e --arg part "$1" --arg state "PART_STATE_$2" '.parts[] | select(.name == $part) | .state == $state' >/dev/null; }

# A network with a gateway, a name server that answers all questions with what was asked, and disks.
peer_start wan0 192.0.2.2/24 192.0.2.1/24
behind ip address add 192.0.2.53/32 dev peer0
space ip route add default via 192.0.2.1
name_server='use IO::Socket::INET; my $socket = IO::Socket::INET->new(LocalAddr => $ARGV[0], LocalPort => 53, Proto => "udp") or die "$!\n";
  while (defined $socket->recv(my $message, 512)) { substr($message, 2, 2) = pack "n", 0x8180; $socket->send($message) }'
behind_keeps perl -e "$name_server" 192.0.2.53 >"$scratch/names.log" 2>&1 &
names_pid=$!
inside sh -c 'rm -f /etc/resolv.conf; echo "nameserver 192.0.2.53" >/etc/resolv.conf; mkdir /srv/data /srv/inodes /srv/turns'
inside mount -t tmpfs -o size=32m tmpfs /srv/data
inside mount -t tmpfs -o size=32m,nr_inodes=200 tmpfs /srv/inodes
inside mount -t tmpfs -o size=32m tmpfs /srv/turns
memory="$(awk '/^MemTotal/ { all = $2 } /^MemAvailable/ { print int(100 * $2 / all) - 8 }' /proc/meminfo)"
memory=$((memory < 90 ? memory : 90))
configure "$base
health: {thresholds: {certificate: 1m, registry: 1m, use: 50, memory: $memory}}"
check "the agent is registered" within 30 part_is registration ON

# The registry goes away first: its certificates are short, and time works meanwhile.
kill -KILL "$registry_pid" && wait "$registry_pid" 2>/dev/null
registry_pid=0
gone="$(date +%s)"
registry_missed() { inside omnitide-agent status -o json | jq -e '.parts[] | select(.name == "registration") | .reason // "" | test("not answer|no answer|refused")' >/dev/null; }
registry_found() { part_is registration ON && ! registry_missed; }
check "registry gone: it is seen, and said by status" within 30 registry_missed

inside sh -c 'head -c 31M /dev/zero >/srv/data/big'
seen "a disk that is full" disk-space DiskPressure '/srv/data'
inside rm /srv/data/big
cleared "a disk that is full" disk-space DiskPressure
inside sh -c 'i=0; while [ $i -lt 196 ]; do : >/srv/inodes/$i; i=$((i + 1)); done'
seen "inodes that are used up" disk-inodes DiskPressure '/srv/inodes'
inside sh -c 'rm /srv/inodes/*'
cleared "inodes that are used up" disk-inodes DiskPressure
inside mount -o remount,ro /srv/turns
seen "a filesystem that turns read-only" readonly ReadonlyFilesystem '/srv/turns'
inside mount -o remount,rw /srv/turns
cleared "a filesystem that turns read-only" readonly ReadonlyFilesystem

# A process that forks and does not end what it began. The kernel's limit for the whole machine is too far away: a namespace of process
# ids has one of its own since Linux 6.14.
limit="$(inside cat /proc/sys/kernel/pid_max)"
inside sh -c 'echo 3000 >/proc/sys/kernel/pid_max'
inside perl -e '$SIG{TERM} = sub { kill 9, @children; exit }; for (1 .. 1700) { my $pid = fork // last; if (!$pid) { sleep 1000; exit } push @children, $pid } sleep 1000' &
leak=$!
seen "processes that leak" processes PIDPressure 'processes and threads are in use'
inside pkill -TERM -x perl
wait "$leak" 2>/dev/null
cleared "processes that leak" processes PIDPressure
inside sh -c "echo $limit >/proc/sys/kernel/pid_max"

opened="$(cut -f1 /proc/sys/fs/file-nr)"
echo $((opened + 12000)) >/proc/sys/fs/file-max
inside perl -e 'for (1 .. 11600) { open(my $file, "<", "/dev/null") or last; push @files, $file } sleep 1000' &
leak=$!
seen "open files that leak" open-files FileDescriptorPressure 'open files are in use'
inside pkill -TERM -x perl
wait "$leak" 2>/dev/null
cleared "open files that leak" open-files FileDescriptorPressure
echo "$file_max" >/proc/sys/fs/file-max

# Memory: the threshold stands below what was free at the start. A process takes what is above it by now, and some more, since others on
# this machine go on meanwhile: a sixteenth of all at least.
bytes="$(awk -v percent="$((memory - 6))" '/^MemTotal/ { all = $2 } /^MemAvailable/ { more = $2 - all * percent / 100
  print int((more > all / 16 ? more : all / 16) * 1024) }' /proc/meminfo)"
inside perl -e '$hoard = "x" x $ARGV[0]; sleep 1000' -- "$bytes" &
leak=$!
seen "memory pressure" memory MemoryPressure 'of the memory is available|for want of memory'
inside pkill -TERM -x perl
wait "$leak" 2>/dev/null
cleared "memory pressure" memory MemoryPressure

inside sh -c ': >/etc/resolv.conf'
seen "no name server" resolver DNSUnavailable 'names no server'
inside sh -c 'echo "nameserver 192.0.2.53" >/etc/resolv.conf'
cleared "no name server" resolver DNSUnavailable
kill -STOP "$names_pid"
seen "name servers that are silent" name-servers DNSUnavailable 'no name server answers: 192[.]0[.]2[.]53'
kill -CONT "$names_pid"
cleared "name servers that are silent" name-servers DNSUnavailable
space ip route delete default
seen "a route that is lost" default-route NetworkUnavailable 'default route is gone'
space ip route add default via 192.0.2.1
cleared "a route that is lost" default-route NetworkUnavailable
behind ip address delete 192.0.2.1/24 dev peer0
space ip neighbour flush dev wan0
seen "a gateway that is gone" gateway NetworkUnavailable 'nobody answers for the gateway 192[.]0[.]2[.]1'
behind ip address add 192.0.2.1/24 dev peer0
cleared "a gateway that is gone" gateway NetworkUnavailable
behind ip link set peer0 down
seen "a link without carrier" carrier NetworkDegraded 'wan0'
behind ip link set peer0 up
cleared "a link without carrier" carrier NetworkDegraded
space ip route replace default via 192.0.2.1

# A plug that is loose: the check needs two rounds of its own, since it counts what changed between them.
(while [ ! -e "$scratch/plugged" ]; do
  behind ip link set peer0 down
  sleep 1
  behind ip link set peer0 up
  sleep 1
done) &
flapping=$!
check "a link that flaps: it is seen" within 60 is link-flaps bad
check "a link that flaps: it is named NetworkDegraded" condition_is NetworkDegraded TRUE
check "a link that flaps: it is explained" eval "inside omnitide-agent health explain NetworkDegraded | grep 'wan0 comes and goes' >/dev/null"
touch "$scratch/plugged"
wait "$flapping"
space ip route replace default via 192.0.2.1
plugged="$(date +%s)"

# The clock, as a time service tells the kernel of it.
clock="$(adjtimex)"
set_clock_status 1
cleared "a clock in step" clock NTPProblem
set_clock_status 64
seen "a clock that no time service keeps in step" clock NTPProblem 'no time service keeps the clock in step'
set_clock_status 1
cleared "a clock that no time service keeps in step" clock NTPProblem
set_clock_status 1 8000000
seen "a clock that may be off by seconds" clock NTPProblem 'may be off by 8'
set_clock_status 1
cleared "a clock that may be off by seconds" clock NTPProblem
set_clock_status "$clock"
clock=''

# The kernel's log: a line of each kind, as the kernel prints it.
say() {
  lines_written=1
  echo "<3>omnitide-test $$: $1" >/dev/kmsg
}
event() { # REASON LINE
  say "$2"
  check "a line of the kernel's log: $1" within 10 happened --arg reason "$1" --arg id "omnitide-test $$" \
    '[.items[] | select(.kind == "event" and .reason == $reason and (tostring | contains($id)))] | length == 1'
}
stands() { # CONDITION REASON LINE
  say "$3"
  check "a line of the kernel's log: $2" within 10 happened --arg type "$1" --arg reason "$2" --arg id "omnitide-test $$" \
    '[.items[] | select(.kind == "condition" and .subject == $type and .outcome == "true" and .reason == $reason and (tostring | contains($id)))] | length > 0'
  check "it is named $1" condition_is "$1" TRUE
  check "and explained with its line" eval "inside omnitide-agent health explain $1 | grep 'omnitide-test $$' >/dev/null"
}
event OOMKilling 'Killed process 1234 (hog) total-vm:1000kB, anon-rss:900kB, file-rss:0kB'
event TaskHung 'INFO: task app:77 blocked for more than 120 seconds.'
event KernelOops 'BUG: unable to handle page fault for address: 0000000000000010'
event Ext4Error 'EXT4-fs error (device sda1): ext4_lookup:1790: inode #2: comm ls: deleted inode referenced: 12'
event Ext4Warning 'EXT4-fs warning (device sda1): ext4_end_bio:343: I/O error 10 writing to inode 12'
event IOError 'I/O error, dev sda, sector 2048 op 0x0:(READ) flags 0x0 phys_seg 1 prio class 2'
event MemoryReadError 'EDAC MC0: 1 CE memory read error on CPU_SrcID#0_MC#0_Chan#1_DIMM#0'
event UnregisterNetDevice 'unregister_netdevice: waiting for eth7 to become free. Usage count = 2'
event NetworkTransmitTimeout 'NETDEV WATCHDOG: eth7 (e1000): transmit queue 0 timed out 5000 ms'
event ConntrackFull 'nf_conntrack: nf_conntrack: table full, dropping packet'
event CpuThrottled 'CPU0: Core temperature above threshold, cpu clock throttled (total events = 1)'
stands KernelDeadlock SoftLockup 'watchdog: BUG: soft lockup - CPU#1 stuck for 22s! [kworker/1:1:99]'
stands XfsShutdown XfsHasShutdown 'XFS (sdb1): Corruption of in-memory data (0x8) detected at xfs_trans_cancel. Shutting down filesystem.'
stands CperHardwareErrorFatal CperHardwareErrorFatal '{1}[Hardware Error]: event severity: fatal'
stands ReadonlyFilesystem FilesystemIsReadOnly 'EXT4-fs (sda1): Remounting filesystem read-only'
readonly_clears() {
  inside omnitide-agent health run readonly >/dev/null 2>&1
  condition_is ReadonlyFilesystem FALSE
}
check "the last of these clears when a check has found all well for a minute" within 100 readonly_clears

check "a link that flaps: it clears" within $((100 - ($(date +%s) - plugged) > 1 ? 100 - ($(date +%s) - plugged) : 1)) is link-flaps good

# A certificate of four minutes, whose renewal nobody answers: less than one is left.
while (($(date +%s) - gone < 185)); do sleep 1; done
seen "a certificate that ends" certificates CertificateExpiring 'registration'
seen "registry gone" registry RegistryUnreachable 'registry was not heard for'
registry_start
check "registry gone: status says that it is back" within 60 registry_found
cleared "registry gone" registry RegistryUnreachable
cleared "a certificate that ends" certificates CertificateExpiring

# What may be mended is mended once it is switched on, and that it helped is told: the unit that resolves names is restarted when its
# process stands still, the journal vacuumed when it fills its disk. One action is verified before the next one.
done_by() { # WHAT STEP CHECK CONDITION
  check "$1: $2 is done" within 240 told "$2" act
  check "$1: it clears" within 60 round_says "$3" good
  check "$1: its condition is false" condition_is "$4" FALSE
  check "$1: that it helped is told" within 240 told "$2" helped
}
told() { # STEP OUTCOME
  happened --arg step "$1" --arg outcome "$2" '[.items[] | select(.kind == "remedy" and .outcome == $outcome and (tostring | contains($step)))] | length > 0'
}
printf '%s\n' "$name_server" >"$root/root/names.pl"
printf '[Service]\nExecStart=/usr/bin/perl /root/names.pl 127.0.0.1\n' >"$root/etc/systemd/system/names.service"
mkdir -p "$root/etc/systemd/journald.conf.d"
printf '[Journal]\nStorage=persistent\nSystemMaxUse=60M\nSystemKeepFree=1M\nSystemMaxFileSize=8M\nRateLimitIntervalSec=0\n' >"$root/etc/systemd/journald.conf.d/large.conf"
inside sh -c 'echo "nameserver 127.0.0.1" >/etc/resolv.conf; mkdir -p /var/log/journal; mount -t tmpfs -o size=64m tmpfs /var/log/journal
  systemctl daemon-reload; systemctl start names; systemctl restart systemd-journald; journalctl --flush'
mended='health: {remediation: {restart_resolver: names.service, vacuum_journal: 8}}'
printf '%s\n' "$mended" >"$root/root/polkit.yaml"
inside sh -c 'mkdir -p /etc/polkit-1/rules.d; omnitide-agent config polkit --config /root/polkit.yaml --config-dir /root >/etc/polkit-1/rules.d/60-omnitide-agent.rules
  chmod 0644 /etc/polkit-1/rules.d/*; systemctl try-restart polkit'
configure "$mended"
check "a resolver that answers" within 30 round_says name-servers good
inside systemctl kill -s STOP names
seen "a resolver that stands still" name-servers DNSUnavailable 'no name server answers: 127[.]0[.]0[.]1'
done_by "a resolver that stands still" 'restart-resolver names.service' name-servers DNSUnavailable
inside sh -c 'for i in 1 2 3 4 5 6 7; do head -c 7000000 /dev/urandom | base64 -w 1000 | systemd-cat -t filler; journalctl --rotate; done'
vacuumed() {
  inside omnitide-agent health run disk-space >/dev/null 2>&1
  told vacuum-journal act
}
check "a journal that fills its disk: it is seen" within 60 vacuumed
check "a journal that fills its disk: it is named DiskPressure" happened \
  '[.items[] | select(.kind == "condition" and .subject == "DiskPressure" and .outcome == "true" and (tostring | contains("/var/log/journal")))] | length > 0'
done_by "a journal that fills its disk" vacuum-journal disk-space DiskPressure

echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
