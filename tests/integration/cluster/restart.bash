# shellcheck shell=bash disable=SC2154 # work: a folder of the test's
# A node of the cluster that loses its power and comes up again: node_off NODE, node_on NODE; of two nodes the second one. All its processes
# end at once, and everything that a boot begins without is gone: network namespaces with their devices, routes and connections, mounts,
# the BPF file system with its pins, what the container runtime has below /run. What is on the node's disk stays. The machine's kernel
# goes on: its boot id, and what counts by it, are as before.
# The steps are those of `node` in the cluster's script, but for the files that are there.

# Processes of the node, containers too: they see its folder among their mounts, which nobody outside of it does.
processes_of_node() {
  local pid own
  own="$(readlink /proc/self/ns/mnt)"
  for pid in /proc/[0-9]*; do
    if [[ "$(readlink "$pid/ns/mnt" 2>/dev/null)" != "$own" ]] && grep -qsF "$OMNITIDE_CLUSTER_RUN/node-$1/" "$pid/mountinfo"; then
      echo "${pid#/proc/}"
    fi
  done
}

# remember_program NODE PROGRAM: how it was started, in a file.
remember_program() { cat "/proc/$(<"$OMNITIDE_CLUSTER_RUN/node-$1-$2.pid")/cmdline" >"$work/node-$1-$2"; }
start_program() { # NODE PROGRAM
  local words folder="$OMNITIDE_CLUSTER_RUN/node-$1"
  mapfile -d '' -t words <"$work/node-$1-$2"
  setsid nsenter --mount="$folder/mnt" --uts="$folder/uts" --net="/run/netns/oc-n$1" "${words[@]}" >>"$folder-$2.log" 2>&1 </dev/null &
  echo $! >"$folder-$2.pid"
}

node_off() {
  local program each folder="$OMNITIDE_CLUSTER_RUN/node-$1" pods=()
  for program in containerd kubelet proxy; do remember_program "$1" $program; done
  on_node "$1" cat /sys/class/net/eth0/address >"$work/node-$1-mac"
  for each in $(on_node "$1" ls /run/netns); do # files of this node's pods, and those of the others, which are not mounted here
    if [[ "$each" == cni-* && "$(on_node "$1" stat -f -c %T "/run/netns/$each")" == nsfs ]]; then pods+=("$each"); fi
  done
  while each="$(processes_of_node "$1")" && [[ -n $each ]]; do
    xargs kill -9 <<<"$each" 2>/dev/null
    sleep 0.1
  done
  # What goes at once when the power does goes one after the other here, and for a moment a pod's kernel would answer whose policy is
  # gone: nobody hears it. Not before: connections that nobody answers would keep the node's namespace.
  ip link set "oc-v$1" down
  for each in "${pods[@]}"; do on_node "$1" ip netns del "$each"; done
  umount "$folder/mnt" "$folder/uts"
  ip netns del "oc-n$1"
  rm -rf "$folder/containerd/state" "$folder/containerd.sock"
  within 20 no_device "oc-v$1" || not_ok "the node's namespace goes"
}
no_device() { ! ip link show "$1" >/dev/null 2>&1; }

node_on() {
  local i=$1 other folder="$OMNITIDE_CLUSTER_RUN/node-$1" inside=(nsenter "--net=/run/netns/oc-n$1")
  ip netns add "oc-n$i"
  ip link add "oc-v$i" type veth peer name eth0 address "$(<"$work/node-$i-mac")" netns "oc-n$i"
  ip link set "oc-v$i" master oc-br up
  "${inside[@]}" ip link set lo up
  "${inside[@]}" ip addr add "172.30.0.$((10 + i))/24" dev eth0
  "${inside[@]}" ip -6 addr add "fd00:172:30::$((10 + i))/64" dev eth0 nodad
  "${inside[@]}" ip link set eth0 up
  "${inside[@]}" ip route add default via 172.30.0.1
  "${inside[@]}" ip -6 route add default via fd00:172:30::1
  "${inside[@]}" sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1 net.ipv4.conf.all.rp_filter=0
  for other in $(seq "$(<"$OMNITIDE_CLUSTER_RUN/nodes")"); do
    [[ $other != "$i" ]] || continue
    "${inside[@]}" ip route add "10.244.$other.0/24" via "172.30.0.$((10 + other))"
    "${inside[@]}" ip -6 route add "fd00:10:244:$other::/64" via "fd00:172:30::$((10 + other))"
  done
  # shellcheck disable=SC2016 # variables of the inner shell
  NODE=$i DIR=$folder unshare --mount="$folder/mnt" --uts="$folder/uts" "${inside[@]}" bash -euc '
    mount --make-rprivate /
    mount --rbind /sys/fs/cgroup "$DIR/cg"
    mount -t sysfs sysfs /sys
    mount --rbind "$DIR/cg" /sys/fs/cgroup
    mount -t bpf bpf /sys/fs/bpf
    mount -t tracefs tracefs /sys/kernel/tracing || true
    mount --bind "$DIR/cni" /etc/cni/net.d
    mount --bind "$DIR/cni-bin" /opt/cni/bin
    mount --bind "$DIR/var-lib-omnitide" /var/lib/omnitide
    mount --bind "$DIR/etc/machine-id" /etc/machine-id
    mount --bind "$DIR/pod-logs" /var/log/pods # as run.sh
    hostname "node-$NODE"'
  no_pin "$i" || return 1
  start_program "$i" containerd
  within 20 on_node "$i" ctr -a "$folder/containerd.sock" version >/dev/null 2>&1 || return 1
  start_program "$i" kubelet
  start_program "$i" proxy
}
