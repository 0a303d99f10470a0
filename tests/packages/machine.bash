# shellcheck shell=bash disable=SC2154
# A Debian system that systemd-nspawn boots: made once by debootstrap, then copied for each test. Uses $scratch, and
# $roots, where the made ones are kept.

machine_pid=0 machine_space='' netns_is_ours=0

# machine_root SUITE: the folder of a fresh copy.
machine_root() {
  local suite="$1" made="$roots/$1" ssl=libssl3
  if [[ ! -e "$made/.complete" ]]; then
    [[ $suite == bookworm ]] || ssl=libssl3t64
    rm -rf -- "$made"
    debootstrap --variant=minbase \
      --include="systemd,systemd-sysv,dbus,procps,iproute2,kmod,init-system-helpers,libcrypt1,libsystemd0,polkitd,curl,$ssl" "$suite" "$made" \
      >"$scratch/debootstrap.log" 2>&1 || {
      tail -n 3 "$scratch/debootstrap.log" >&2
      return 1
    }
    touch "$made/.complete"
  fi
  cp -a --reflink=auto "$made" "$scratch/$suite"
  rm -f "$scratch/$suite/.complete"
  printf '%s\n' "$scratch/$suite"
}

# machine_start ROOT: boots it in a network namespace of its own, with what eBPF needs.
machine_start() {
  machine_space="omnitide-package-$$"
  mountpoint -q /run/netns || netns_is_ours=1 # `ip netns add` mounts it and leaves it
  ip netns add "$machine_space"
  SYSTEMD_NSPAWN_API_VFS_WRITABLE=yes systemd-nspawn -q -D "$1" --register=no --keep-unit -b --console=pipe --capability=all \
    --system-call-filter='bpf perf_event_open' --network-namespace-path="/run/netns/$machine_space" \
    </dev/null >"$scratch/console" 2>&1 &
  machine_pid=$!
  within 20 machine_is_up || return 1
  inside mount -t bpf -o mode=0700 bpf /sys/fs/bpf # as systemd does where it is the machine's own
}

machine_is_up() { [[ "$(inside systemctl is-system-running 2>/dev/null)" =~ ^(running|degraded)$ ]]; }

machine_is_down() { ! kill -0 "$machine_pid" 2>/dev/null; }

inside() { nsenter -t "$(pgrep -P "$machine_pid")" -a -- "$@"; }

machine_stop() {
  ((machine_pid)) || return 0
  kill -TERM "$machine_pid" 2>/dev/null # nspawn shuts the system down
  within 20 machine_is_down || kill -KILL "$machine_pid" 2>/dev/null
  wait "$machine_pid" 2>/dev/null
  machine_pid=0
  ip netns delete "$machine_space"
  if ((netns_is_ours)); then umount /run/netns; fi
}
