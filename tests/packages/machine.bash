# shellcheck shell=bash disable=SC2154
# A Debian system that systemd-nspawn boots: made once by debootstrap, then copied for each test. Uses $scratch, and
# $roots, where the made ones are kept.

machine_pid=0 machine_space='' peer='' netns_is_ours=0 root=''
unit=omnitide-agent.service

# machine_root SUITE: the folder of a fresh copy.
machine_root() {
  local suite="$1" made="$roots/$1" ssl=libssl3 packages
  [[ $suite == bookworm ]] || ssl=libssl3t64
  packages="systemd,systemd-sysv,dbus,procps,iproute2,kmod,init-system-helpers,libcrypt1,libsystemd0,libpam-systemd,polkitd,curl,rpm,$ssl"
  if [[ "$(cat "$made/.complete" 2>/dev/null)" != "$packages" ]]; then
    rm -rf -- "$made"
    debootstrap --variant=minbase --include="$packages" "$suite" "$made" >"$scratch/debootstrap.log" 2>&1 || {
      tail -n 3 "$scratch/debootstrap.log" >&2
      return 1
    }
    echo "$packages" >"$made/.complete"
  fi
  cp -a --reflink=auto "$made" "$scratch/$suite"
  rm -f "$scratch/$suite/.complete"
  machine_devices "$scratch/$suite"
  printf '%s\n' "$scratch/$suite"
}

# What a machine of its own has and nspawn gives none of: the filesystem for pins, as systemd mounts it, the kernel's log, and an id of
# the boot that is seen in the sandbox too.
machine_devices() {
  cat >"$1/etc/systemd/system/machine.service" <<'UNIT'
[Unit]
DefaultDependencies=no
Before=systemd-tmpfiles-setup.service sysinit.target
[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/bin/mount -t bpf -o mode=0700 bpf /sys/fs/bpf
ExecStart=/bin/sh -c 'umount /dev/kmsg 2>/dev/null; rm -f /dev/kmsg; mknod -m 0644 /dev/kmsg c 1 11'
ExecStart=/bin/sh -c 'cat /proc/sys/kernel/random/boot_id >/run/boot-id'
UNIT
  mkdir -p "$1/etc/systemd/system/$unit.d"
  printf '[Service]\nBindReadOnlyPaths=/run/boot-id:/proc/sys/kernel/random/boot_id\n' >"$1/etc/systemd/system/$unit.d/machine.conf"
  mkdir -p "$1/etc/systemd/system/sysinit.target.wants"
  ln -s ../machine.service "$1/etc/systemd/system/sysinit.target.wants/"
}

# machine_start ROOT: boots it in a network namespace of its own, with what eBPF needs. Its time since the boot begins near zero, as
# that of a machine would.
machine_start() {
  root="$1"
  if [[ -z $machine_space ]]; then
    machine_space="omnitide-package-$$"
    mountpoint -q /run/netns || netns_is_ours=1 # `ip netns add` mounts it and leaves it
    ip netns add "$machine_space"
    space ip link set lo up
  fi
  machine_run "$1" </dev/null >>"$scratch/console" 2>&1 &
  machine_pid=$!
  within 20 machine_is_up
}
# Control groups of its own: nspawn takes those that it is started in, and two machines in the same ones disturb each other.
machine_groups() {
  local base
  for base in /sys/fs/cgroup /sys/fs/cgroup/unified /sys/fs/cgroup/systemd; do
    if [[ -e $base/cgroup.procs ]]; then printf '%s\n' "$base/$machine_space"; fi
  done
}

# nspawn ends with 133 when the system restarts itself.
machine_run() {
  local status=133 group
  for group in $(machine_groups); do mkdir -p "$group" && echo "$BASHPID" >"$group/cgroup.procs"; done
  while ((status == 133)); do
    SYSTEMD_NSPAWN_API_VFS_WRITABLE=yes unshare --fork --kill-child=TERM --time --boottime "-$(cut -d. -f1 /proc/uptime)" \
      systemd-nspawn -q -D "$1" --register=no --keep-unit -b --console=pipe --capability=all \
      --system-call-filter='bpf perf_event_open' --network-namespace-path="/run/netns/$machine_space"
    status=$?
  done
}

machine_is_up() { [[ "$(inside systemctl is-system-running 2>/dev/null)" =~ ^(running|degraded)$ ]]; }
machine_is_down() { ! kill -0 "$machine_pid" 2>/dev/null; }
machine_boot() { inside cat /proc/sys/kernel/random/boot_id 2>/dev/null; }

# The process of nspawn, and that of the system's init.
machine_nspawn() {
  local unshare
  unshare="$(pgrep -P "$machine_pid" -x unshare)" && pgrep -P "$unshare"
}
machine_init() {
  local nspawn
  nspawn="$(machine_nspawn)" && pgrep -P "$nspawn"
}

# inside COMMAND...: in the machine; space COMMAND...: a program of this system in the machine's network.
inside() {
  local init
  init="$(machine_init)" || return 1
  nsenter -t "$init" -a -- "$@"
}
space() { nsenter --net="/run/netns/$machine_space" -- "$@"; }
space_keeps() { exec nsenter --net="/run/netns/$machine_space" -- "$@"; } # with &: $! is the program's own

# The system is shut down as by its own switch; machine_start boots it again.
machine_off() {
  ((machine_pid)) || return 0
  kill -TERM "$(machine_nspawn)" 2>/dev/null
  within 30 machine_is_down || kill -KILL "$(machine_nspawn)" 2>/dev/null
  wait "$machine_pid" 2>/dev/null
  machine_pid=0
}

machine_stop() {
  local group
  machine_off
  [[ -n $machine_space ]] || return 0
  if [[ -n $peer ]]; then ip netns delete "$peer"; fi
  ip netns delete "$machine_space"
  for group in $(machine_groups); do find "$group" -depth -type d -exec rmdir {} \; 2>/dev/null; done
  rmdir "/run/systemd/nspawn/propagate/${root##*/}" 2>/dev/null # of nspawn, which leaves it where /run is on a disk
  if ((netns_is_ours)); then umount /run/netns 2>/dev/null; fi # busy: another test came meanwhile
}

# peer_start DEVICE ADDRESS PEER: a peer of the machine in a network namespace of its own, with the address PEER on its device peer0,
# behind DEVICE of the machine.
peer_start() {
  peer="$machine_space-peer"
  ip netns add "$peer"
  ip link add "$1" netns "$machine_space" type veth peer name peer0 netns "$peer"
  space ip address add "$2" dev "$1"
  space ip link set "$1" up
  behind ip address add "$3" dev peer0
  behind ip link set peer0 up
}
behind() { nsenter --net="/run/netns/$peer" -- "$@"; }
behind_keeps() { exec nsenter --net="/run/netns/$peer" -- "$@"; } # as space_keeps

# The agent in the machine.
active() { inside systemctl is-active -q "$unit"; }
ready() { inside omnitide-agent status >/dev/null 2>&1; }
property() { inside systemctl show -p "$1" --value "$unit"; }
install() { inside dpkg -i "$1" >"$scratch/dpkg.log" 2>&1 </dev/null; }
asked() { # it exits with 1 while a condition is true; and for jq 1.6 nothing at all is no failure
  local answer
  answer="$(inside omnitide-agent health -o json 2>/dev/null)"
  [[ -n $answer ]] && jq -e "$@" >/dev/null <<<"$answer"
}
happened() { inside omnitide-agent health history -o json 2>/dev/null | jq -e "$@" >/dev/null; }
unit_runs() { inside systemctl is-active -q "$1"; }
